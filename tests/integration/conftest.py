"""Fixtures that several files here share."""

from tests.integration.container_fixtures import dependencies, engine, farm, images

__all__ = ["dependencies", "engine", "farm", "images"]
