"""Tables of results, in SQLite or PostgreSQL. Free of torch."""

from wireloom.store.results import Results, Run

__all__ = ["Results", "Run"]
