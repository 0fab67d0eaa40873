"""Command lines for people to copy, so that pip and uv use this farm. Each works as it stands (tests/functional)."""

from __future__ import annotations

from urllib.parse import urlsplit

from farm.model.overview import ClientLine

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def client_lines(base: str, name: str, version: str = "") -> tuple[ClientLine, ...]:
    """Return how to install a project from the farm at `base`, the URL that the client used, without a slash at its end."""
    wanted = f"{name}=={version}" if version else name
    parts = urlsplit(base)
    # pip takes no plain HTTP from another machine unless it is told to.
    trusted = f" --trusted-host {parts.netloc.rpartition('@')[2]}" if parts.scheme == "http" and parts.hostname not in _LOOPBACK else ""
    index = f"{base}/simple/"
    return (
        ClientLine(tool="pip", text=f"pip install --index-url {index}{trusted} {wanted}"),
        ClientLine(tool="uv", text=f"uv pip install --default-index {index} {wanted}"),
        ClientLine(tool="requirements.txt", text=f"--index-url {index}\n{wanted}"),
    )
