"""Command lines for people to copy, so that pip and uv use this farm. Each works as it stands (tests/functional)."""

from __future__ import annotations

from urllib.parse import urlsplit

from farm.model.overview import ClientLine

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def client_lines(base: str, name: str, version: str = "") -> tuple[ClientLine, ...]:
    """Return how to install a project from the farm at `base`, the URL that the client used, without a slash at its end."""
    wanted = f"{name}=={version}" if version else name
    trusted = _trusted(base)
    index = f"{base}/simple/"
    return (
        ClientLine(tool="pip", text=f"pip install --index-url {index}{trusted} {wanted}"),
        ClientLine(tool="uv", text=f"uv pip install --default-index {index} {wanted}"),
        ClientLine(tool="requirements.txt", text=f"--index-url {index}\n{wanted}"),
    )


def beside_line(base: str, name: str) -> ClientLine:
    """Return how to install a project with pip from another index and the wheels that were built here."""
    text = f"pip install --prefer-binary --extra-index-url {base}/wheels/simple/{_trusted(base)} {name}"
    return ClientLine(tool="pip, beside another index", text=text)


def _trusted(base: str) -> str:
    parts = urlsplit(base)
    # pip takes no plain HTTP from another machine unless it is told to.
    return f" --trusted-host {parts.netloc.rpartition('@')[2]}" if parts.scheme == "http" and parts.hostname not in _LOOPBACK else ""
