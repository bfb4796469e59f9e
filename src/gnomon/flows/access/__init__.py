"""Who may do what over HTTP: grants, the keys that carry them, and the log of what was denied and changed."""
