"""The lock file of images, and asking registries and Debian archives what its pins could move to."""

from __future__ import annotations

import json
import ssl
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from farm.adapters import docker_engine
from farm.adapters.durable import replace_file
from farm.errors import ImageError, UsageError
from farm.model.image_lock import ImageLock, ImagePin, Looked, movable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from farm.adapters.debian_root import Mirror, Suite
    from farm.adapters.image_maker import ImageSettings

_SCHEMA = 1
_DAY = "%Y%m%dT%H%M%SZ"
# Long enough for a registry's answer, short enough to go on without one.
REGISTRY_SECONDS = 15
_ARCHIVE_SECONDS = 30
_MOST_RELEASE = 4 << 20
_HEAD = """\
# What the images are made from. Written by `farm images update`; keep it with config.toml (docs/images.md).
schema = 1
"""


def read_lock(path: Path | None) -> ImageLock:
    """Return the lock file's content; an empty one where there is no file. UsageError when it is malformed."""
    if path is None or not path.is_file():
        return ImageLock()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        if content.get("schema") != _SCHEMA:
            raise _malformed(path, f"schema = {_SCHEMA}", repr(content.get("schema")))
        suites = {name: _text(row["snapshot"]) for name, row in content.get("suites", {}).items()}
        images = {
            name: ImagePin(reference=_text(row["reference"]), digest=_text(row["digest"]))
            for name, row in content.get("images", {}).items()
        }
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", solution="make it readable, or remove it") from error
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise _malformed(path, "tables [suites.NAME] with snapshot and [images.NAME] with reference and digest", repr(error)) from error
    return ImageLock(suites=suites, images=images)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text was expected, not {value!r}")
    return value


def _malformed(path: Path, expected: str, found: str) -> UsageError:
    return UsageError(f"{path}: expected {expected}, found {found}", solution="remove it, and run `farm images update`")


def write_lock(path: Path, lock: ImageLock) -> None:
    """Write the lock file, whole or not at all. StoreError."""
    parts = [_HEAD]
    for suite, day in sorted(lock.suites.items()):
        parts.append(f"\n[suites.{suite}]\nsnapshot = {json.dumps(day)}\n")
    for name, pin in sorted(lock.images.items()):
        parts.append(f"\n[images.{name}]\nreference = {json.dumps(pin.reference)}\ndigest = {json.dumps(pin.digest)}\n")
    replace_file(path, "".join(parts).encode())


def moved(lock: ImageLock, found: Iterable[Looked]) -> ImageLock:
    """Return the lock with the pins where they were found to be now."""
    rows = [look for look in found if look.now is not None]
    suites = {look.subject: look.now for look in rows if look.kind == "suite" and look.now}
    images = {
        look.subject: ImagePin(reference=look.reference, digest=look.now) for look in rows if look.kind == "image" and look.now
    }
    return replace(lock, suites={**lock.suites, **suites}, images={**lock.images, **images})


def look_at_image(name: str, base: tuple[str, bool], lock: ImageLock, docker_host: str | None) -> Looked:
    """Ask a registry what an image's base is now. `base` is its reference and whether it is an official one."""
    from docker.errors import DockerException  # noqa: PLC0415 - see docker_engine
    from requests.exceptions import RequestException  # noqa: PLC0415 - the same

    named, official = base
    pin = lock.images.get(name)
    reference = movable(named, official=official)
    if reference is None:
        return Looked(kind="image", subject=name, before=named, now=None, reason="config.toml names it by digest")
    before = pin.digest if pin is not None and pin.reference == reference else named.partition("@")[2] or None
    client = docker_engine.connect(docker_host, timeout=REGISTRY_SECONDS)
    try:
        digest = str(client.images.get_registry_data(reference).id)
    except (DockerException, RequestException) as error:
        reason = f"{reference}: {getattr(error, 'explanation', None) or error}"
        return Looked(kind="image", subject=name, before=before, now=None, reason=reason, failed=True)
    finally:
        client.close()
    return Looked(kind="image", subject=name, before=before, now=digest, reference=reference)


def look_at_suite(suite: Suite, mirror: Mirror, lock: ImageLock, settings: ImageSettings) -> Looked:
    """Ask a Debian archive of when its newest packages of a suite are: the latest Date of the Release files of its pockets."""
    before = lock.suites.get(suite.name)
    today = datetime.now(UTC).strftime(_DAY)
    try:
        days = [_release_day(f"{uri}/dists/{name}/InRelease", settings) for uri, name in mirror.archives(suite, today)]
    except ImageError as error:
        return Looked(kind="suite", subject=suite.name, before=before, now=None, reason=error.reason, failed=True)
    return Looked(kind="suite", subject=suite.name, before=before, now=max(days).strftime(_DAY), reference=mirror.archive)


def _release_day(url: str, settings: ImageSettings) -> datetime:
    """Return the Date of a Release file. Its signature is apt's to check: this only says that there is something new."""
    import httpx  # noqa: PLC0415 - only an update asks

    try:
        context = ssl.create_default_context(cafile=str(settings.certificates))
        with httpx.Client(
            verify=context, trust_env=False, proxy=_proxy(url, settings.proxies), timeout=_ARCHIVE_SECONDS, follow_redirects=True
        ) as client:
            answer = client.get(url)
            answer.raise_for_status()
            line = next(line for line in answer.text[:_MOST_RELEASE].splitlines() if line.startswith("Date:"))
        return parsedate_to_datetime(line.partition(":")[2].strip()).astimezone(UTC)
    except (httpx.HTTPError, OSError) as error:
        raise ImageError(f"{url}: {error}", solution="check the mirror, the network and the proxies") from error
    except (StopIteration, ValueError) as error:
        raise ImageError(f"{url}: expected a Release file with a Date, found none", solution="check the mirror") from error


def _proxy(url: str, proxies: Mapping[str, str]) -> str | None:
    """Return the proxy for a URL, as curl chooses it."""
    low = {name.lower().removesuffix("_proxy"): value for name, value in proxies.items()}
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    outside = [name.strip().lower().removeprefix("*").removeprefix(".") for name in low.get("no", "").split(",")]
    if any(name and (host == name or host.endswith(f".{name}")) for name in outside) or low.get("no", "").strip() == "*":
        return None
    return low.get(parts.scheme)
