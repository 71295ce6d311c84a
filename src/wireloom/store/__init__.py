"""Tables of results, in SQLite or PostgreSQL. Free of torch."""

from wireloom.store.results import Results, Run, without_password

__all__ = ["Results", "Run", "without_password"]
