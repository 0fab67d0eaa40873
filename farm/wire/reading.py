"""The reading half: upstream, sdists and the resolver, for one demand's index options."""

from __future__ import annotations

import codecs
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from farm.adapters.downloads import Downloads
from farm.adapters.page_cache import PageCache
from farm.adapters.pipconfig import with_indexes
from farm.adapters.sdists import Sdists
from farm.adapters.upstream import Upstream
from farm.adapters.web import Web
from farm.errors import EngineError, FarmError, UpstreamError
from farm.model.build import BuildFailed, WheelsMissing
from farm.model.gap import Missing, Present
from farm.model.outcome import Diagnosis
from farm.model.package import Digest
from farm.survey.detect import policy_of_builds
from farm.survey.environment import NoEnvironment, environment
from farm.survey.plan import PlanPorts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from farm.adapters.pipconfig import IndexSettings
    from farm.adapters.resolver import UvResolver
    from farm.model.demand import IndexOptions
    from farm.model.job import Recipe
    from farm.model.package import IndexFile, Pin
    from farm.model.target import Target
    from farm.wire.assembly import Farm

_OWN_FILE = re.compile(r"files/([0-9a-f]{2})/([0-9a-f]{62})/[^/]+")
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")


def read_text(name: str, index: IndexSettings) -> str:
    """Return a requirements file's text, by path or URL; its encoding by BOM, then coding line, then UTF-8 (as pip does)."""
    if urlsplit(name).scheme in {"http", "https"}:
        web = Web(index)
        try:
            reply = web.get(name, {}, subject="a requirements file")
        finally:
            web.close()
        if reply.status == 404:
            raise FileNotFoundError(2, "not found (404)", name)
        data = reply.body
    else:
        data = Path(name).read_bytes()
    for bom, encoding in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith(bom):
            return data[len(bom) :].decode(encoding)
    for line in data.split(b"\n")[:2]:
        match = _CODING.match(line)
        if match:
            try:
                return data.decode(match[1].decode("ascii"))
            except LookupError as error:
                message = f"its coding line names an encoding that is none: {error}"
                raise UnicodeError(message) from error
    return data.decode("utf-8")


class Reading:
    """Everything that only reads; satisfies `survey.environment.EnvironmentPorts` and `ports.Toolbox`."""

    def __init__(self, farm: Farm, options: IndexOptions) -> None:
        self._farm = farm
        index = with_indexes(farm.pip, options.index_url, options.extra_index_urls)
        cache = farm.cache
        settings = farm.settings
        self._web = Web(index)
        pages = PageCache(cache / "pages", ttl=settings.index_ttl, now=lambda: farm.clock.now().timestamp())
        self.upstream = Upstream(self._web, pages, index.urls, private=settings.private, refresh=farm.refresh)
        self.farm = farm.store
        self.downloads = Downloads(self._web, cache, self._own)
        self.sdists = Sdists(self.downloads, cache)
        self._index = index

    @cached_property
    def resolver(self) -> UvResolver:
        """Loaded while the first pages are on their way."""
        from farm.adapters.exact_metadata import ExactMetadata  # noqa: PLC0415 - after the first requests
        from farm.adapters.resolver import Setting, UvResolver  # noqa: PLC0415 - the same
        from farm.adapters.version_files import Sources  # noqa: PLC0415 - the same
        from farm.adapters.wheel_metadata import WheelMetadata  # noqa: PLC0415 - the same

        farm, cache, settings, index = self._farm, self._farm.cache, self._farm.settings, self._index
        sources = Sources(
            upstream=self.upstream,
            farm=farm.store,
            sdists=self.sdists,
            wheel_metadata=WheelMetadata(self._web, cache, self._own).read,
            exact=ExactMetadata(farm.root / "metadata"),
        )
        return UvResolver(
            sources,
            Setting(
                cache=cache / "resolver",
                env=farm.env,
                state=lambda: f"{farm.store.serial()} {' '.join(index.urls)} {settings.private}",
                prepare=None if farm.reads_only else self._prepare,
                refresh=farm.refresh,
                ttl=settings.index_ttl,
                cool_down=settings.cool_down,
                note=farm.note,
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._web.close()

    def _own(self, url: str) -> Path | None:
        """Where a file of the farm's own index lies: its URLs are paths that hold the digest."""
        match = _OWN_FILE.fullmatch(url)
        return self._farm.store.blob(Digest(match[1] + match[2])) if match else None

    def plan_ports(self) -> PlanPorts:
        return PlanPorts(
            upstream=self.upstream,
            farm=self.farm,
            resolver=self.resolver,
            sdists=self.sdists,
            image=self._farm.builder_image,
            recipe=self._farm.recipe,
        )

    def wheels(self, texts: Sequence[str], recipe: Recipe, target: Target) -> tuple[IndexFile, ...]:
        policy = policy_of_builds(self._farm.settings.from_source, self.resolver.newest())
        try:
            cells = environment(tuple(texts), recipe.build_constraints, target, policy=policy, ports=self)
        except NoEnvironment as error:
            raise BuildFailed(Diagnosis(cause="missing-python-build-dep", summary=str(error))) from error
        absent = [cell for cell in cells if not isinstance(cell.presence, Present)]
        if absent:
            names = ", ".join(str(cell.pin) for cell in absent)
            summary = f"its build asks for {names}, of which there is no wheel for {target}"
            remedy = "name it in [recipes.NAME] build-requires, so that it is built first"
            buildable = all(isinstance(cell.presence, Missing) for cell in absent)
            found = Diagnosis(cause="missing-python-build-dep", summary=summary, remedy=remedy)
            raise WheelsMissing(found, buildable=buildable)
        return tuple(cell.presence.file for cell in cells if isinstance(cell.presence, Present))

    def _prepare(self, pin: Pin, file: IndexFile, target: Target) -> str | None:
        from farm.wire.hands import Workshop  # noqa: PLC0415 - only for sdists without static metadata
        from farm.work.prepare import prepare  # noqa: PLC0415 - the same

        try:
            facts = self.sdists.facts(pin, file)
            recipe = self._farm.recipe(pin, target)
            return prepare((pin, file, target), facts, recipe, Workshop(self._farm).build_ports())
        except UpstreamError:
            raise
        except EngineError as error:
            self._farm.note(f"the dependencies of {pin} are a guess: {error.reason}")
        except FarmError as error:
            self._farm.note(f"the dependencies of {pin} are a guess: its build backend could not be asked: {error.reason}")
        return None
