"""A resolver over a small real index, put together as the farm does it, and demands as a requirements file would give them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name

from farm.adapters.downloads import Downloads
from farm.adapters.exact_metadata import ExactMetadata
from farm.adapters.page_cache import PageCache
from farm.adapters.pipconfig import IndexSettings
from farm.adapters.resolver import Setting, UvResolver
from farm.adapters.sdists import Sdists
from farm.adapters.upstream import Upstream
from farm.adapters.version_files import Sources
from farm.adapters.web import Retry, Web
from farm.adapters.wheel_metadata import WheelMetadata
from farm.model.demand import Demand, IndexOptions, Origin, Requirement
from farm.model.gap import Resolution, Unresolved
from tests.projects.make import Made

if TYPE_CHECKING:
    from pathlib import Path

    from farm.ports import Index
    from tests.fakes.index_server import IndexServer

QUICK = Retry(tries=2, pause=0.01, total=5.0)


def asked(text: str, line: int, file: str = "requirements.txt") -> Requirement:
    parsed = Parsed(text)
    return Requirement(
        name=canonicalize_name(parsed.name),
        extras=frozenset(parsed.extras),
        specifier=parsed.specifier,
        marker=parsed.marker,
        url=parsed.url,
        origin=Origin(file=file, line=line),
        text=text,
    )


def demand(*texts: str, constraints: tuple[str, ...] = (), **options: Any) -> Demand:
    return Demand(
        requirements=tuple(asked(text, line) for line, text in enumerate(texts, 1)),
        constraints=tuple(asked(text, line, "constraints.txt") for line, text in enumerate(constraints, 1)),
        options=IndexOptions(**options),
        files=("requirements.txt",),
    )


@dataclass
class Resolving:
    """What a resolver needs. `resolver()` makes a fresh one each time, as a new run of the farm would."""

    folder: Path
    index: IndexServer
    farm: Index | None = None
    private: tuple[str, ...] = ()
    webs: list[Web] = field(default_factory=list)

    def upstream(self) -> tuple[Web, Upstream]:
        web = Web(IndexSettings(url=self.index.url, timeout=5), QUICK)
        self.webs.append(web)
        # Pages are never cached between runs here, so that a test may change them.
        return web, Upstream(web, PageCache(self.folder / "pages", ttl=-1, now=lambda: 0.0), (self.index.url,), private=self.private)

    def sources(self) -> Sources:
        web, upstream = self.upstream()
        return Sources(
            upstream=upstream,
            farm=self.farm,
            sdists=Sdists(Downloads(web, self.folder), self.folder),
            wheel_metadata=WheelMetadata(web, self.folder).read,
            exact=ExactMetadata(self.folder / "exact"),
        )

    def resolver(self, **setting: Any) -> UvResolver:
        given: dict[str, Any] = {
            "cache": self.folder / "resolver",
            "env": {"UV_INDEX_URL": "http://127.0.0.1:9/", "PIP_NO_INDEX": "1"},
        }
        return UvResolver(self.sources(), Setting(**(given | setting)))

    def close(self) -> None:
        for web in self.webs:
            web.close()


def pins(found: Resolution | Unresolved) -> list[str]:
    assert isinstance(found, Resolution), found.explanation
    return [str(pin.pin) for pin in found.pins]


def explanation(found: Resolution | Unresolved) -> str:
    assert isinstance(found, Unresolved), pins(found)
    assert "127.0.0.1" not in found.explanation
    assert "py3-none-any" not in found.explanation
    assert "no-build" not in found.explanation
    assert "uv " not in found.explanation
    return found.explanation


def static(index: IndexServer, name: str, *versions: str, requires: tuple[str, ...] = (), **page: Any) -> None:
    for version in versions:
        index.add(Made(name=name, version=version, requires=requires).sdist(), **page)
