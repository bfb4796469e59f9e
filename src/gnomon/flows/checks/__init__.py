"""What the doctor looks at, one module a part of the body."""
