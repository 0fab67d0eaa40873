"""Fixtures that several files here share."""

from tests.integration.container_fixtures import dependencies, engine, farm

__all__ = ["dependencies", "engine", "farm"]
