"""Statuses: what is said of each value of an online answer (SEMANTICS §7). Codes are positions in it."""

STATUSES = ("NOT_FOUND", "EXPIRED", "NULL", "PRESENT", "NOT_READY", "ERROR")
