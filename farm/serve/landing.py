"""The page that a person sees who opens the index in a browser."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}"
    "pre{background:#eee;padding:1rem;overflow-x:auto}"
)


def render_landing(base: str, prefixes: Sequence[str], *, strict: bool = False) -> str:
    """Return the HTML page. `base` is the URL that the client used, without a slash at the end."""
    address = f"{base}/simple/"
    insecure = f" \\\n    --trusted-host {base.partition('://')[2].partition('/')[0].rpartition('@')[2]}"
    needs_trust = base.startswith("http://") and "://127.0.0.1" not in base and "://localhost" not in base
    trust = insecure if needs_trust else ""
    pip = f"pip install --index-url {address}{trust} PACKAGE"
    uv = f"uv pip install --default-index {address} PACKAGE"
    beside = f"pip install --prefer-binary \\\n    --extra-index-url {base}/wheels/simple/{trust} \\\n    PACKAGE"
    links = "".join(
        f'<li><a href=".{escape(prefix)}/simple/">{escape(prefix)}/simple/</a></li>\n' for prefix in prefixes
    )
    if strict:
        links += "<li>/strict/TARGET/simple/: without sdists where a wheel for that target exists</li>\n"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>wheel farm</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>wheel farm</h1>\n"
        "<p>A Python package index: all that upstream has, and wheels that were built here because no one had published "
        "them. Each of these was installed and imported on a clean machine without compilers before it appeared.</p>\n"
        f"<h2>pip</h2>\n<pre>{escape(pip)}</pre>\n<h2>uv</h2>\n<pre>{escape(uv)}</pre>\n"
        f"<h2>pip, beside another index</h2>\n<p>The wheels that were built here, and nothing else:</p>\n"
        f"<pre>{escape(beside)}</pre>\n"
        f'<h2>Pages</h2>\n<ul>\n{links}<li><a href="./health">/health</a>, <a href="./ready">/ready</a></li>\n</ul>\n'
        "</body>\n</html>\n"
    )
