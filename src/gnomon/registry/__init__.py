"""Which revision is true: definitions as documents, their history, and what a change means."""
