"""farm: a wheel cache and build farm for Python. `docs/architecture.md` has the reading order."""

__version__ = "2026.11.0"
