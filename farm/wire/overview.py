"""What the API and the pages of `farm serve` show and change, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farm.adapters.clock import SystemClock
from farm.errors import UsageError
from farm.model.target import parse_target
from farm.model.watch import WatchSet
from farm.serve.api import ApiOptions, api_routes

if TYPE_CHECKING:
    from starlette.routing import Route

    from farm.adapters.overview import CatalogueOverview
    from farm.adapters.store import Store
    from farm.adapters.watches import Watches
    from farm.model.settings import Settings
    from farm.serve.access import Access
    from farm.serve.api_changes import NewSet
    from farm.serve.tail import Tails


def make_overview(settings: Settings, store: Store) -> CatalogueOverview:
    """Return what the farm on this store knows."""
    from farm.adapters.overview import CatalogueOverview  # noqa: PLC0415 - it imports the database

    targets = tuple(target.name for target in settings.targets)
    sets = {watch.name: (watch.sources, watch.targets) for watch in settings.watches}
    return CatalogueOverview(store, settings.store, SystemClock().now, targets, sets)


def make_api_routes(settings: Settings, store: Store, access: Access, shown: CatalogueOverview, tails: Tails) -> list[Route]:
    """Return the routes of `/api/v1` on this store. `tails` are shared with the pages: who reads a log's page costs no look of its own."""
    options = ApiOptions(changes=SetChanges(settings, store), access=access, private=not access.open_reading)
    return api_routes(shown, tails, options)


class SetChanges:
    """Satisfies `farm.serve.api_changes.Changes`: the table of registered sets, and config.toml's names."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._configured = {watch.name for watch in settings.watches}
        self._store = store

    def register(self, new: NewSet) -> None:
        targets = tuple(dict.fromkeys(parse_target(name).name for name in new.targets))
        watch = WatchSet(name=new.name, sources=new.sources, targets=targets, extras=new.extras, groups=new.groups)
        self._watches().add(watch, SystemClock().now())

    def taken(self, name: str) -> bool:
        return name in self._configured or any(watch.name == name for watch in self._watches().registered())

    def remove(self, name: str) -> bool:
        if name in self._configured:
            raise UsageError(f"{name}: it stands in config.toml", solution=f"remove [watch.{name}] from the file")
        return self._watches().remove(name)

    def _watches(self) -> Watches:
        from farm.adapters.watches import Watches  # noqa: PLC0415 - it imports the database

        return Watches(self._store.catalogue.database)
