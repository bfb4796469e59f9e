"""Proof: what was served is logged, computed again from the offline rows, and compared bit by bit."""
