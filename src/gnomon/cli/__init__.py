"""The command line: what a person or a script asks for → calls of a Store → text, tables or JSON."""

from gnomon.cli.main import main

__all__ = ["main"]
