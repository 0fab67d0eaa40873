"""Direct references put together: what fetches them, and the container that is asked for what they do not state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from farm.adapters.direct_files import Blobs, DirectFiles
from farm.adapters.direct_sources import DirectSetting, DirectSources
from farm.adapters.direct_trees import Trees, TreeSetting
from farm.adapters.exact_metadata import ExactMetadata
from farm.adapters.pipconfig import with_indexes
from farm.adapters.web import Web
from farm.model.demand import IndexOptions
from farm.model.gap import Present
from farm.model.package import Pin
from farm.model.recipes import told_to_backend
from farm.survey.direct import settle
from farm.work.publish import how_to_ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farm.model.demand import Demand
    from farm.model.gap import Matrix
    from farm.model.package import IndexFile, NormalizedName
    from farm.model.target import Target
    from farm.wire.assembly import Farm

_NAMELESS = canonicalize_name("project")
# Until its backend was asked, nothing but a label hangs on a project's version.
_UNTOLD = Version("0")


def settled(farm: Farm, demand: Demand, targets: Sequence[Target]) -> Demand:
    """Return the demand with its direct references looked at; see `survey.direct.settle`."""
    return settle(demand, targets, sources(farm, demand))


def sources(farm: Farm, demand: Demand) -> DirectSources:
    """Return what fetches direct references for a demand's index options."""
    index = with_indexes(farm.pip, demand.options.index_url, demand.options.extra_index_urls)
    blobs = Blobs(keep=farm.store.keep, find=farm.store.blob)
    scratch = farm.root / "staging"
    # A URL's own credentials are for its own host, as an index's are.
    files = DirectFiles(
        farm.cache / "direct", scratch, blobs, lambda url: Web(replace(index, extra_urls=(*index.extra_urls, url)))
    )

    def say(subject: str, text: str) -> None:
        farm.progress.say(subject, text)  # which is another one once the run goes on

    ask = None if farm.reads_only else lambda file, name, target: _ask(farm, file, name, target)
    setting = TreeSetting(
        cache=farm.cache / "direct",
        scratch=scratch,
        env=_environment(farm),
        blobs=blobs,
        say=say,
        omit=(farm.root.absolute(),),
    )

    def mark(name: NormalizedName | None, target: Target) -> str:
        return told_to_backend(farm.settings.recipe(_asked_as(name), target))

    exact = ExactMetadata(farm.root / "metadata")
    return DirectSources(
        Trees(files, setting), DirectSetting(blobs=blobs, exact=exact, built=farm.store.direct.of, ask=ask, mark=mark)
    )


def _environment(farm: Farm) -> dict[str, str]:
    """git does not know the variable under which the rest of this machine finds its certificates."""
    bundle = farm.pip.cert or farm.env.get("SSL_CERT_FILE")
    return {**({"GIT_SSL_CAINFO": bundle} if bundle else {}), **dict(farm.env.items())}


def _ask(farm: Farm, file: IndexFile, name: NormalizedName | None, target: Target) -> str:
    from farm.wire.hands import Workshop  # noqa: PLC0415 - only for projects that do not state their version
    from farm.work.prepare import prepare  # noqa: PLC0415 - the same

    pin = _asked_as(name)
    facts = farm.reading(IndexOptions()).sdists.facts(pin, file)
    return prepare((pin, file, target), facts, farm.recipe(pin, target), Workshop(farm).build_ports())


def _asked_as(name: NormalizedName | None) -> Pin:
    """Return what a project goes by until its backend has told its version."""
    return Pin(name=name or _NAMELESS, version=_UNTOLD)


def tell_where(farm: Farm, matrix: Matrix) -> None:
    """Note of each wheel that the farm has built of what is on no index how to ask for it."""
    for cell in matrix.cells:
        if cell.direct is not None and isinstance(cell.presence, Present) and cell.presence.where == "farm":
            if farm.settings.is_private(cell.pin.name):
                continue
            farm.note(
                f"{cell.presence.file.filename}: {how_to_ask(cell.pin.name, cell.presence.file.url, farm.settings.served)}"
            )
