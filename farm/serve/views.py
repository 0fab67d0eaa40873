"""What the server asks of the world: a view gives pages, a file source gives bytes. Views are composed outside."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Protocol

from farm.serve.simple import render_root

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.package import Digest, NormalizedName
    from farm.model.page import Coding, Kind, Page


class PageSource(Protocol):
    """One view of the index: merged, wheels-only, strict. StoreError when its pages cannot be read."""

    def page(self, name: NormalizedName, kind: Kind, encoding: Coding) -> Page | None:
        """Return one representation of a project's page as it is now; None when the project is unknown."""
        ...

    def names(self) -> tuple[NormalizedName, ...]:
        """Return the known projects, sorted."""
        ...

    def names_token(self) -> str:
        """Return what changes whenever `names` does; cheap."""
        ...


class FileSource(Protocol):
    """The bytes behind the pages."""

    def blob(self, digest: Digest) -> Path | None:
        """Return where the bytes lie, or None."""
        ...

    def metadata(self, digest: Digest) -> Path | None:
        """Return a published wheel's METADATA, or None when no such wheel was published."""
        ...

    def serial(self) -> str:
        """Return a token that changes whenever something is published."""
        ...


class RootPages:
    """The list of projects, rendered when it is asked for and kept until it changes.

    Publishing would otherwise rewrite a page of all projects for each new one.
    """

    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._lock = Lock()
        self._token = ""
        self._pages: dict[tuple[Kind, Coding], Page] = {}

    def page(self, kind: Kind, encoding: Coding) -> Page:
        with self._lock:
            # The token is read first: a name that arrives in between is rendered now and once more next time.
            token = self._source.names_token()
            if token != self._token:
                pages = render_root(self._source.names())
                self._pages = {(page.content_type, page.encoding): page for page in pages}
                self._token = token
            return self._pages[kind, encoding]
