"""One module for each page of the reference: `page()` returns its text."""
