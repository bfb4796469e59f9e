"""Offline stores: the rows of cached groups, for ever."""
