"""What every container that runs package code has in common."""

from __future__ import annotations

USER = "1000:1000"
"""Whom package code runs as: nobody that the image knows."""
HOME = "/tmp/home"  # noqa: S108 - a path inside the container
OPEN_FILES = 16384
"""As many as a build wants. Engines differ in what they give unasked, and some programs walk through all of it."""
