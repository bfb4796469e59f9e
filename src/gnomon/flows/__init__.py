"""The arrows: one file a flow, read from top to bottom."""
