"""The only room that knows the adapters: Settings -> ports -> survey, engine, server. The type checker proves each fit here."""

from farm.wire.assembly import Farm

__all__ = ["Farm"]
