"""The conformance kit: inherit a class, give it your store, and it is proved."""
