"""`farm lock` put together: lock files from the disk, the farm's wheels from its store or its URL, the new text back."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from farm.adapters.durable import replace_file
from farm.errors import UsageError
from farm.model.package import Digest
from farm.model.shelf import Augmented, Shelf
from farm.survey.augment.augment import Request, augment, standing
from farm.survey.augment.lockfile import LockFile, World, open_lock

if TYPE_CHECKING:
    from farm.model.package import NormalizedName
    from farm.wire.assembly import Farm

STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What `farm lock` is asked. `farm` is the URL of a farm elsewhere; None: the store of this machine."""

    files: tuple[str, ...]
    mode: Literal["add", "strip"] = "add"
    farm: str | None = None


def lock(farm: Farm, question: Question) -> tuple[Augmented, ...]:
    """Return each lock as it is to be. Writes nothing.

    UsageError or RequirementsError when a file is no lock, or the farm is nowhere to be found; UpstreamError when it does not answer.
    """
    from farm.wire.reading import read_text  # noqa: PLC0415 - only where a requirements file includes others

    world = World(read_text=lambda path: read_text(path, farm.pip), env=farm.env)
    locks = [open_lock(file, _read(file), world) for file in question.files]
    shelf = _shelf(farm, question, locks)
    from farm.wire.exact import exact_targets  # noqa: PLC0415 - after what may be refused

    targets = exact_targets(farm.settings.targets, farm.cache)
    return tuple(augment(Request(lock=each, mode=question.mode, shelf=shelf, targets=targets)) for each in locks)


def write(file: str, text: str) -> None:
    """Put a lock's text in place of the old one at once, a link's target with its permissions kept. StoreError when it cannot be."""
    path = Path(file).resolve()
    mode = path.stat().st_mode & 0o7777 if path.exists() else None
    replace_file(path, text.encode())
    if mode is not None:
        path.chmod(mode)


def _read(file: str) -> str:
    try:
        # No translation of line ends: the text goes back as it came.
        return (sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: expected UTF-8, found other bytes: {error}", solution="save the file as UTF-8") from error
    except OSError as error:
        raise UsageError(f"{file}: cannot be read: {error.strerror}", solution="correct the path") from error


def _shelf(farm: Farm, question: Question, locks: list[LockFile]) -> Shelf:
    names = frozenset(package.name for each in locks for package, slot in each.rows if not slot.closed)
    if question.farm is not None:
        if question.mode == "strip" and all(each.urls for each in locks):
            # The URLs tell, also when the farm is down or gone: that may be why.
            return Shelf(base=_base(question.farm))
        return _remote(farm, question.farm, locks, names)
    base = _base(farm.settings.public_url)
    with_urls = next((each for each in locks if each.urls), None)
    if with_urls is not None and not base and question.mode == "add":
        raise UsageError(
            f"{with_urls.file}: a {with_urls.kind} lock holds URLs, and the farm's own is not known",
            solution="set public-url below [serve] in config.toml to the URL that clients use, or give it with --index-url",
        )
    if not (farm.root / "catalogue.sqlite").is_file():
        if question.mode == "strip" and all(each.urls for each in locks):
            return Shelf(base=base)
        raise UsageError(
            f"{farm.root}: expected the farm's store, found none here", solution="name the farm with --index-url https://HOST/simple/"
        )
    from farm.adapters.shelf import store_shelf  # noqa: PLC0415 - only with a store

    return store_shelf(farm.store, names, base)


def _remote(farm: Farm, url: str, locks: list[LockFile], names: frozenset[NormalizedName]) -> Shelf:
    from farm.adapters.pipconfig import with_indexes  # noqa: PLC0415 - only with a URL
    from farm.adapters.shelf import RemoteFarm  # noqa: PLC0415 - the same
    from farm.adapters.web import Web  # noqa: PLC0415 - the same

    web = Web(with_indexes(farm.pip, url, ()))
    try:
        remote = RemoteFarm(web, url, farm.cache)
        there = (entry for each in locks for entry in standing(each, remote.base))
        return remote.shelf(names, {Digest(entry.sha256): entry.url for entry in there})
    finally:
        web.close()


def _base(url: str) -> str:
    if not url:
        return ""
    from farm.adapters.shelf import base_url  # noqa: PLC0415 - only with a URL

    return base_url(url)
