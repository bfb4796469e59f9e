"""Sources: rows from files and databases, and their normal form."""
