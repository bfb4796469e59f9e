"""What a user declares: frozen values without I/O."""
