"""The situations in which clients choose, and who must win. A table: a farm's wheel beside what upstream has, and a requirement.

Each row is a project of its own, so that one farm holds them all. `wins` says for each view what is to be installed: where it is from
and its version; a pair where pip and uv differ, as they do where the farm is an extra index.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.clients.samples import marked, upstream_wheel
from tests.fakes.client_world import sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.clients.programs import Family
    from tests.clients.site import Site
    from tests.fakes.client_world import File

Wins = str | tuple[str, str]
ERROR = "error"
_CP = f"cp3{sys.version_info[1]}"
ONLY_BINARY = ("--only-binary", ":all:")
EARLIER = "2026-03-01T00:00:00Z"
"""After the sdists were uploaded, and before the farm built."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """`ask` is the requirement behind the project's name; {sdist} and {farm} in it are the digests of the first of each."""

    name: str
    merged: Wins
    wheels: Wins
    strict: Wins
    upstream: tuple[File, ...] = ()
    farm: tuple[File, ...] = ()
    ask: str = ""
    options: Mapping[Family, tuple[str, ...]] = field(default_factory=dict)
    page: Mapping[str, Any] | None = None
    """What upstream's page says instead."""
    cutoff: bool = False

    def wins(self, view: str, family: Family) -> str:
        found: Wins = getattr(self, view)
        return found if isinstance(found, str) else found[family == "uv"]

    @property
    def line(self) -> str:
        digests = {
            kind: files[0].sha256 if files else "" for kind, files in (("sdist", self.upstream), ("farm", self.farm))
        }
        return self.name + self.ask.format(**digests)

    def build(self, site: Site) -> None:
        """Put the files in their places."""
        site.host(*self.upstream)
        if self.page is not None:
            document = {"meta": {"api-version": "1.4"}, "name": self.name} | dict(self.page)
            site.upstream.raw_pages[self.name] = ("application/vnd.pypi.simple.v1+json", json.dumps(document).encode())
        sources = {
            file.name.rsplit("-", 1)[1].removesuffix(".tar.gz"): file
            for file in self.upstream
            if file.name.endswith(".tar.gz")
        }
        for file in self.farm:
            site.publish(file, sources.get(file.name.split("-")[1]))


def both(*options: str) -> dict[Family, tuple[str, ...]]:
    return {"pip": options, "uv": options}


def same(name: str, **more: Any) -> dict[str, Any]:
    """Return version 1.0 on both sides."""
    return {"name": name, "upstream": (sdist(name, "1.0"),), "farm": (wheel(name, "1.0"),)} | more


def newer(name: str, **more: Any) -> dict[str, Any]:
    """Return what `same` does, and 1.1 upstream only."""
    return same(name) | {"upstream": (sdist(name, "1.0"), sdist(name, "1.1"))} | more


def everywhere(wins: Wins) -> dict[str, Wins]:
    return {"merged": wins, "wheels": wins, "strict": wins}


BEST_MATCH: dict[Family, tuple[str, ...]] = {"pip": (), "uv": ("--index-strategy", "unsafe-best-match")}
HASHES = ("--require-hashes", "--no-deps")
LISTED = {"url": "../../files/{0}/{1}", "hashes": {}}


def _odd(name: str) -> dict[str, Any]:
    """Return a page on which all but the first file is what makes a strict client refuse the page."""
    source = sdist(name, "1.0")
    good = {"filename": source.name, "url": f"../../files/{name}/{source.name}", "hashes": {"sha256": source.sha256}}
    odd: list[dict[str, Any]] = [
        {"size": None}, {"size": "7"}, {"upload-time": None}, {"upload-time": ""}, {"upload-time": "2026-01-02"}, {"yanked": None},
        {"hashes": None}, {"requires-python": ["3"]}, {"core-metadata": "true"}, {"dist-info-metadata": {"sha256": "x"}},
        {"filename": None}, {"url": None}, {"filename": "../../etc/passwd-0.1.tar.gz"},
    ]  # fmt: skip
    rest = [good | {"filename": f"{name}-0.{n}.tar.gz", "hashes": {}} | each for n, each in enumerate(odd)]
    return {"files": [good, *rest, None, 7], "project-status": "active", "versions": None}


def _quarantined(name: str) -> dict[str, Any]:
    return {
        "files": [],
        "versions": [],
        "project-status": {"status": "quarantined", "reason": hashlib.sha256().hexdigest()},
    }


def _table() -> tuple[dict[str, Any], ...]:
    return (
        # The same version on both sides.
        same("same-version", **everywhere("farm 1.0")),
        same("same-version-pinned", ask="==1.0", **everywhere("farm 1.0")),
        # A newer sdist of which the farm has no wheel.
        newer("newer-sdist", merged="compiled 1.1", wheels=("compiled 1.1", "farm 1.0"), strict="farm 1.0"),
        newer("newer-sdist-pinned", ask="==1.0", **everywhere("farm 1.0")),
        newer("newer-sdist-range", ask=">=1.1", merged="compiled 1.1", wheels=("compiled 1.1", ERROR), strict=ERROR),
        newer("newer-sdist-prefer-binary", options={"pip": ("--prefer-binary",), "uv": ONLY_BINARY}, **everywhere("farm 1.0")),
        newer("newer-sdist-only-binary", options=both(*ONLY_BINARY), **everywhere("farm 1.0")),
        newer("best-match", options=BEST_MATCH, merged="compiled 1.1", wheels="compiled 1.1", strict="farm 1.0"),
        newer("best-match-pinned", options=BEST_MATCH, ask="==1.0", **everywhere("farm 1.0")),
        newer("best-match-range", options=BEST_MATCH, ask=">=1.1", merged="compiled 1.1", wheels="compiled 1.1", strict=ERROR),
        # Build tags and platforms.
        same(
            "rebuilt",
            farm=(
                wheel("rebuilt", "1.0"),
                marked("rebuilt", "rebuilt", "1.0", "2-py3-none-any"),
                wheel("rebuilt", "1.0", "1-py3-none-any"),
            ),
            **everywhere("rebuilt 1.0"),
        ),
        same(
            "build-tag",
            upstream=(sdist("build-tag", "1.0"), upstream_wheel("build-tag", "1.0")),
            farm=(wheel("build-tag", "1.0", "1-py3-none-any"),),
            merged="upstream 1.0", wheels="farm 1.0", strict="upstream 1.0",
        ),
        same(
            "same-file-name",
            upstream=(sdist("same-file-name", "1.0"), upstream_wheel("same-file-name", "1.0")),
            **everywhere("upstream 1.0"),
        ),
        same(
            "newer-platform",
            upstream=(sdist("newer-platform", "1.0"), upstream_wheel("newer-platform", "1.0", f"{_CP}-{_CP}-manylinux_2_17_x86_64")),
            farm=(wheel("newer-platform", "1.0", f"{_CP}-{_CP}-manylinux_2_28_x86_64"),),
            **everywhere("farm 1.0"),
        ),
        same(
            "platform-or-pure",
            upstream=(sdist("platform-or-pure", "1.0"), upstream_wheel("platform-or-pure", "1.0")),
            farm=(wheel("platform-or-pure", "1.0", f"{_CP}-{_CP}-manylinux_2_28_x86_64"),),
            **everywhere("farm 1.0"),
        ),
        same(
            "other-platform",
            farm=(wheel("other-platform", "1.0", f"{_CP}-{_CP}-win_amd64"),),
            merged="compiled 1.0", wheels=("compiled 1.0", ERROR), strict=ERROR,
        ),
        # Hashes.
        same(
            "hash-of-the-sdist", ask="==1.0 --hash=sha256:{sdist}", options=both(*HASHES),
            merged="compiled 1.0", wheels=("compiled 1.0", ERROR), strict=ERROR,
        ),
        same("hash-of-the-sdist-only-binary", ask="==1.0 --hash=sha256:{sdist}", options=both(*HASHES, *ONLY_BINARY), **everywhere(ERROR)),
        same("both-hashes", ask="==1.0 --hash=sha256:{sdist} --hash=sha256:{farm}", options=both(*HASHES), **everywhere("farm 1.0")),
        same("wrong-hash", ask=f"==1.0 --hash=sha256:{'0' * 64}", options=both(*HASHES), **everywhere(ERROR)),
        # Yanks, times, limits, states.
        newer(
            "yanked",
            upstream=(sdist("yanked", "1.0"), sdist("yanked", "1.1", yanked="broken")),
            farm=(wheel("yanked", "1.0"), wheel("yanked", "1.1")),
            **everywhere("farm 1.0"),
        ),
        newer(
            "yanked-pinned", ask="==1.1",
            upstream=(sdist("yanked-pinned", "1.0"), sdist("yanked-pinned", "1.1", yanked=True)),
            farm=(wheel("yanked-pinned", "1.0"), wheel("yanked-pinned", "1.1")),
            **everywhere("farm 1.1"),
        ),
        same("cutoff", cutoff=True, **everywhere("farm 1.0")),
        same("requires-python", upstream=(sdist("requires-python", "1.0", requires_python=">=3.99"),), **everywhere(ERROR)),
        newer(
            "requires-python-of-the-newer",
            upstream=(sdist("requires-python-of-the-newer", "1.0"), sdist("requires-python-of-the-newer", "1.1", requires_python=">=3.99")),
            farm=(wheel("requires-python-of-the-newer", "1.0"), wheel("requires-python-of-the-newer", "1.1")),
            **everywhere("farm 1.0"),
        ),
        newer(
            "prerelease",
            upstream=(sdist("prerelease", "1.0"), sdist("prerelease", "1.1rc1")),
            farm=(wheel("prerelease", "1.0"), wheel("prerelease", "1.1rc1")),
            **everywhere("farm 1.0"),
        ),
        same("quarantined", upstream=(), page=_quarantined("quarantined"), **everywhere(ERROR)),
        same("odd-page", page=_odd("odd-page"), merged="farm 1.0", wheels=(ERROR, "farm 1.0"), strict="farm 1.0"),
        # Who has it at all.
        same("no-binary", options=both("--no-binary", ":all:"), merged="compiled 1.0", wheels=("compiled 1.0", ERROR), strict=ERROR),
        same("upstream-only", upstream=(upstream_wheel("upstream-only", "1.0"),), farm=(), **everywhere("upstream 1.0")),
        same("acme-private", upstream=(), **everywhere("farm 1.0")),
        same("nobody-has-it", upstream=(), farm=(), **everywhere(ERROR)),
    )  # fmt: skip


SITUATIONS = {row["name"]: Situation(**row) for row in _table()}
QUICK = (
    "same-version", "newer-sdist", "same-file-name", "other-platform", "hash-of-the-sdist", "yanked", "odd-page",
)  # fmt: skip
"""What the newest clients are put to in every run; the rest is for `make clients`."""
