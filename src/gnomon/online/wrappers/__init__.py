"""Stores that stand before another store: each adds one thing, and they can stand before each other."""
