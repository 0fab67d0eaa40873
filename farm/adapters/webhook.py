"""A JSON text posted to a URL, which is a secret and so never told."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from farm.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT = 30.0


def post(url: str, text: str, *, authorities: str = "", proxies: Mapping[str, str] | None = None) -> None:
    """Post; `authorities` is a file of CA certificates, "" for the system's; `proxies` are by scheme. UpstreamError unless it is taken."""
    import ssl  # noqa: PLC0415 - only when something is told

    import httpx  # noqa: PLC0415 - the same

    host = urlsplit(url).hostname or "?"
    proxy = (proxies or {}).get(urlsplit(url).scheme)
    try:
        trust = ssl.create_default_context(cafile=authorities or None)
        # What proxies the environment names was read by whoever calls this.
        with httpx.Client(verify=trust, proxy=proxy, trust_env=False, timeout=_TIMEOUT) as client:
            answer = client.post(url, content=text.encode(), headers={"Content-Type": "application/json", "User-Agent": "farm"})
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        # A ValueError is one of a URL, of the proxy's too, which the message would show.
        raise UpstreamError(f"webhook at {host}: {type(error).__name__}", solution=_SOLUTION) from None
    if not answer.is_success:
        said = " ".join(answer.text.split())[:200]
        raise UpstreamError(f"webhook at {host}: answered {answer.status_code}{f' {said}' if said else ''}", solution=_SOLUTION)


_SOLUTION = "look at `webhook` under [nightly] in config.toml"
