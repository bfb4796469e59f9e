"""The server: HTTP requests → questions to a store → answers. `gnomon serve` starts it."""
