"""`farm export` put together: a view of the index, written as static files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from farm.adapters.clock import SystemClock
from farm.adapters.static_tree import ExportRequest, StaticTree
from farm.adapters.store import Store
from farm.errors import UsageError
from farm.model.page import file_url
from farm.serve.simple import render_project, render_root
from farm.serve.static_nginx import render_static_nginx
from farm.wire.site import statement_base

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from pathlib import Path

    from farm.adapters.static_tree import Exported, Files
    from farm.model.package import NormalizedName
    from farm.model.page import Coding, Kind, Page
    from farm.model.settings import Settings

View = Literal["wheels", "merged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What `farm export` is asked. `base_url` replaces relative links to files; "" leaves them relative."""

    folder: Path
    view: View = "wheels"
    base_url: str = ""
    files: Files = "auto"
    delete: bool = False


def export(settings: Settings, env: Mapping[str, str], question: Question) -> Exported:
    """Write the index. UsageError when it cannot be written so; UpstreamError when the merged view needs an index that is down."""
    folder = question.folder.absolute()
    if not (settings.store / "catalogue.sqlite").is_file():
        raise UsageError(
            f"{settings.store}: expected the farm's store, found none", solution="set path under [store] in config.toml"
        )
    if folder == settings.store.absolute() or folder in settings.store.absolute().parents:
        raise UsageError(f"{folder} holds the store itself", solution="export to a folder of its own")
    if question.view == "merged" and question.base_url:
        raise UsageError(
            "--base-url goes with --view wheels only", solution="leave it out: relative links work below any URL"
        )
    request = ExportRequest(
        folder=folder,
        files=question.files,
        delete=question.delete,
        mark=f"{question.view} {question.base_url}",
        extra={"nginx.conf": render_static_nginx(str(folder)).encode()},
    )
    store = Store(settings.store, render_project, SystemClock(), provenance=statement_base(settings))
    try:
        if question.view == "wheels":
            source = _Elsewhere(store, question.base_url) if question.base_url else store
            return StaticTree(source, store, render_root).write(request)
        return _merged(settings, env, store, request)
    finally:
        store.close()


def _merged(settings: Settings, env: Mapping[str, str], store: Store, request: ExportRequest) -> Exported:
    from farm.wire.views import make_views, upstream_settings  # noqa: PLC0415 - only where upstream is asked

    # Upstream's files under their own URLs: nobody answers for others here.
    views = make_views(replace(settings, mirror="link", list_upstream=False), store, upstream_settings(settings, env))
    try:
        return StaticTree(views.sources[""], store, render_root).write(request)
    finally:
        views.close()


class _Elsewhere:
    """The farm's pages, with files below a URL."""

    def __init__(self, store: Store, base_url: str) -> None:
        self._store = store
        self._base = base_url.rstrip("/") + "/"
        self.names = store.names

    def stamp(self, name: NormalizedName) -> Hashable | None:
        return self._store.stamp(name)

    def page(self, name: NormalizedName, kind: Kind, encoding: Coding) -> Page | None:
        project = self._store.project(name)
        if project is None:
            return None
        files = tuple(
            replace(file, url=self._base + file_url(file.sha256, file.filename))
            for file in project.files
            if file.sha256
        )
        made = render_project(replace(project, files=files))
        return next(page for page in made if (page.content_type, page.encoding) == (kind, encoding))
