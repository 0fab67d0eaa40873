"""What of this machine the farm's own children and containers get to know: proxies, certificates, pip's indexes, paths."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from farm.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farm.adapters.pipconfig import IndexSettings
    from farm.model.settings import Settings

_PASSWORD = re.compile(r"://[^/\s@]+@")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_HOST = ("PATH", "HOME", "TMPDIR", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_CONTEXT",
         "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")  # fmt: skip


def statement_base(settings: Settings) -> str:
    """Return the URL of the index for links to statements, without a slash at its end; "" where pages name none.

    UsageError without a URL of a secure origin, which PEP 740 asks for; this machine's own addresses count as one.
    """
    if not settings.serve_provenance:
        return ""
    url = settings.served
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in _LOOPBACK:
        return url
    raise UsageError(
        f"trust.serve-provenance: expected an index with an https URL (PEP 740), found {url or 'no URL'}",
        solution='set public-url = "https://..." under [serve], as clients reach the farm',
    )


def proxies(env: Mapping[str, str]) -> dict[str, str]:
    """Return the proxy variables that are set, each in both spellings: apt reads only the small one, other programs the large."""
    given = {name: env[name] for name in _PROXIES if env.get(name)}
    other = {name.swapcase(): value for name, value in given.items()}
    return other | given


def host_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return what host programs (docker, cibuildwheel, auditwheel) need; nothing of the user's CIBW_*, PIP_* or UV_*."""
    return {name: env[name] for name in _HOST if env.get(name)} | proxies(env)


def certificates(index: IndexSettings, env: Mapping[str, str]) -> Path:
    """Return the bundle of CA certificates that pip on this machine uses; UsageError when there is none."""
    candidates = (index.cert, env.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt")
    for candidate in candidates:
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    raise UsageError(
        f"no bundle of CA certificates: looked at {', '.join(c for c in candidates if c)}",
        solution="install the package ca-certificates, or set SSL_CERT_FILE",
    )


def image_variables(index: IndexSettings, default: str) -> dict[str, str]:
    """Return pip's variables for image builds: only what differs from pip's own `default`, which the image's pip has too."""
    told = {}
    if index.url != default:
        told["PIP_INDEX_URL"] = index.url
    if index.extra_urls:
        told["PIP_EXTRA_INDEX_URL"] = " ".join(index.extra_urls)
    if index.trusted_hosts:
        told["PIP_TRUSTED_HOST"] = " ".join(index.trusted_hosts)
    if index.proxy:
        told["PIP_PROXY"] = index.proxy
    return told


def network_variables(index: IndexSettings, env: Mapping[str, str]) -> dict[str, str]:
    """Return what a build that a recipe gives a network gets to know: proxies, and pip's index settings.

    It runs strangers' code, so that an index URL with a password stays away.
    """
    told = {"PIP_INDEX_URL": index.url, "UV_DEFAULT_INDEX": index.url}
    if index.extra_urls:
        told["PIP_EXTRA_INDEX_URL"] = told["UV_INDEX"] = " ".join(index.extra_urls)
    if index.trusted_hosts:
        told["PIP_TRUSTED_HOST"] = told["UV_INSECURE_HOST"] = " ".join(index.trusted_hosts)
    if index.proxy:
        told["PIP_PROXY"] = index.proxy
    return proxies(env) | {name: value for name, value in told.items() if not _PASSWORD.search(value)}


def memory() -> int:
    """Return this machine's memory in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
