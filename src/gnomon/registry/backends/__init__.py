"""Where revisions are kept."""
