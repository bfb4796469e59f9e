"""Engines bring the rows of the same keys together; the part function computes."""
