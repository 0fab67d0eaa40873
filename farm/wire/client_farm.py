"""Traps that show only when the farm is asked: its wheels against what this client would take."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from farm.adapters.process import redact
from farm.model.client import needed_pip
from farm.model.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.model.package import IndexFile, NormalizedName
    from farm.wire.client_doctor import Client, Shelves

_SHOWN = 5


def normalized(name: str) -> NormalizedName:
    return canonicalize_name(name)


def unreachable(reason: str, solution: str) -> Finding:
    """Return the finding about a farm that does not answer; a certificate that is not trusted has a cure of its own."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return Finding(
            subject="certificates", state="fault", found=reason, why="pip finds nothing on the farm and takes the sdist, or fails",
            fix="give pip the farm's CA (cert in pip.conf, or PIP_CERT) and uv too (SSL_CERT_FILE)",
        )  # fmt: skip
    return Finding(subject="farm", state="fault", found=reason, why="clients fail, or compile", fix=solution)


def silent_index(_client: Client, shelves: Shelves) -> Iterator[Finding]:
    """Pages that pip could not read."""
    silent = [choice for choice in shelves.choices if choice.state == "unknown"]
    if silent:
        more = f"; {len(silent) - 1} more likewise" if len(silent) > 1 else ""
        yield Finding(
            subject="index", state="fault", found=f"{silent[0].name}: {redact(silent[0].faults[0])}{more}",
            why="pip finds nothing, or compiles", fix="check that the index is up, and pip's proxy and cert settings",
        )  # fmt: skip


def newer_sdists(client: Client, shelves: Shelves) -> Iterator[Finding]:
    """pip would compile although the farm has a wheel of this or another version."""
    for choice in shelves.choices:
        if choice.state != "found" or choice.wheel:
            continue
        name = normalized(choice.name)
        fitting = [file for file in _wheels(shelves, name) if _fits(client, file)]
        versions = sorted({file.version for file in fitting if file.version}, reverse=True)
        same = choice.version in {str(version) for version in versions}
        if same:
            yield Finding(
                subject="sdist", state="warning", found=f"{choice.asked}: pip takes {choice.filename}, though the farm has its wheel",
                why="pip compiles: the wheel's hash is not in the requirements, or pip does not ask the farm",
                fix="`farm lock` adds the hash, `farm seed` fills pip's cache, `farm client pip` sets the index",
            )  # fmt: skip
        elif versions:
            have = ", ".join(map(str, versions[:_SHOWN]))
            yield Finding(
                subject="sdist", state="warning", found=f"{choice.asked}: pip takes {choice.filename}, the farm has wheels of {have}",
                why="pip compiles the newer sdist",
                fix=f"pin {name}=={versions[0]}, set prefer-binary, or have the farm build {choice.version}",
            )  # fmt: skip


def own_builds(client: Client, shelves: Shelves) -> Iterator[Finding]:
    """Wheels that uv built itself outrank the farm's."""
    built = client.uv.built if client.uv else frozenset()
    for name in shelves.pages:
        ours = {str(file.version) for file in _wheels(shelves, name) if _fits(client, file)}
        both = sorted(version for found, version in built if found == name and version in ours)
        if both:
            yield Finding(
                subject="uv cache", state="warning", found=f"uv has built {name} {', '.join(both)} itself, and keeps using that",
                why="its own build outranks the farm's wheel of the same version", fix=f"uv cache clean {name}",
            )  # fmt: skip


def unseen_tags(client: Client, shelves: Shelves) -> Iterator[Finding]:
    """Wheels for this very machine whose tags this pip does not know."""
    target = client.target
    for name in shelves.pages if target else ():
        assert target is not None
        for file in _wheels(shelves, name):
            tags = file.wheel.tags if file.wheel else frozenset()
            needed = needed_pip(tags, target)
            if needed is not None and needed > Version(client.pip.pip) and not _fits(client, file):
                yield Finding(
                    subject="pip", state="fault", found=f"pip {client.pip.pip} cannot see {file.filename}, which needs pip {needed}",
                    why="the wheel is for this machine, and pip compiles", fix=f"{client.pip.python} -m pip install --upgrade pip",
                )  # fmt: skip
                return


def cut_off(client: Client, shelves: Shelves) -> Iterator[Finding]:
    """Farm wheels that are younger than the cut-off date of pip or uv."""
    uv = client.uv.exclude_newer if client.uv else None
    for tool, option, text in (
        ("pip", "uploaded-prior-to", client.pip.uploaded_prior_to), ("uv", "exclude-newer", uv[0] if uv else None),
    ):  # fmt: skip
        limit = moment(text) if text else None
        if limit is None:
            continue
        every = (file for name in shelves.pages for file in _wheels(shelves, name))
        late = [file.filename for file in every if not file.upload_time or file.upload_time >= limit]
        if late:
            more = f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else ""
            yield Finding(
                subject="cut-off", state="warning", found=f"{tool}'s {option} {text} hides {', '.join(late[:_SHOWN])}{more}",
                why="the client takes an older version, or compiles", fix=f"move {option}, or lift it for the farm",
            )  # fmt: skip


def moment(text: str) -> datetime | None:
    """Read a date or a time as the tools write it; uv also takes durations such as `7 days` or P7D, which are read as days."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        number = text.upper().removeprefix("P").removesuffix("D").removesuffix(" DAYS").removesuffix(" DAY").strip()
        return datetime.now(UTC) - timedelta(days=int(number)) if number.isdigit() else None
    if len(text) == len("2026-01-01"):
        # A bare date means its end for uv, its beginning for pip: the later one claims less.
        found += timedelta(days=1)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _wheels(shelves: Shelves, name: NormalizedName) -> tuple[IndexFile, ...]:
    page = shelves.pages.get(name)
    return tuple(file for file in page.files if file.is_wheel) if page else ()


def _fits(client: Client, file: IndexFile) -> bool:
    wheel = file.wheel
    known = set(client.pip.tags)
    return wheel is not None and any(str(tag) in known for tag in wheel.tags)


CHECKS = (silent_index, newer_sdists, own_builds, unseen_tags, cut_off)
