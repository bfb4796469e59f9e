"""Online stores, and the bytes that stand in them."""
