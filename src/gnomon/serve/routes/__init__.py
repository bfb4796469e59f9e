"""Routes: each module has `routes(served) -> list[Operation]`."""
