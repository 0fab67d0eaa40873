"""What the server asks of the world: a view gives pages, file sources give bytes. Views are composed outside (`farm.wire.views`)."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Literal, Protocol

from farm.serve.simple import render_root

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping
    from pathlib import Path

    from farm.model.package import Digest, NormalizedName
    from farm.model.page import Coding, Kind, Page
    from farm.model.upload import UpstreamProject


class PageSource(Protocol):
    """One view of the index: merged, wheels-only, strict. StoreError when its pages cannot be read. Safe for threads.

    `page` may block while upstream is asked; the others never touch the network.
    """

    def page(self, name: NormalizedName, kind: Kind, encoding: Coding) -> Page | None:
        """Return one representation of a project's page as it is now; None when the project is unknown (404).

        UpstreamError when upstream did not answer and no page was ever read: 503 with Retry-After, never 404
        (docs/decisions/0013-views.md).
        """
        ...

    def stamp(self, name: NormalizedName) -> Hashable | None:
        """Return what tells whether `page` would still answer the same; costs a stat and a look at the clock.

        Equal stamps mean an equal answer; None that an answer must not be kept. To keep an answer, take the stamp before
        `page` is called: what is published in between is then seen at the next request.
        """
        ...

    def names(self) -> tuple[NormalizedName, ...]:
        """Return the known projects, sorted."""
        ...

    def names_token(self) -> str:
        """Return what changes whenever `names` does; cheap."""
        ...


class FileSource(Protocol):
    """The bytes behind the farm's own entries."""

    def blob(self, digest: Digest) -> Path | None:
        """Return where the bytes lie, or None."""
        ...

    def metadata(self, digest: Digest) -> Path | None:
        """Return a published wheel's METADATA, or None when no such wheel was published."""
        ...

    def serial(self) -> str:
        """Return a token that changes whenever something is published."""
        ...


class UpstreamFile(Protocol):
    """An upstream file that the farm is asked for under `/packages/`. Nothing is fetched before `start` or `wait`.

    `redirect` is where to send the client (307), None when the farm sends the bytes itself; `path` is the file on the disk,
    None when it is not here yet. `etag` is strong, quotes included, "" without one. `size` is in bytes as upstream's page
    says, None when it does not.
    """

    @property
    def redirect(self) -> str | None: ...

    @property
    def path(self) -> Path | None: ...

    @property
    def etag(self) -> str: ...

    @property
    def size(self) -> int | None: ...

    def start(self) -> UpstreamStream:
        """Begin to fetch the file, or join whoever fetches it already. UpstreamError before the first byte is a 502."""
        ...

    def wait(self) -> Path:
        """Fetch the file whole and checked, and return where it lies: for a range of a file that is not here yet.

        UpstreamError or IntegrityError (a FarmError) when it cannot be had: 502.
        """
        ...


class UpstreamStream(Protocol):
    """A file on its way. `size` is its length in bytes, None when nobody knows it yet (then the answer is chunked)."""

    @property
    def size(self) -> int | None: ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes; blocks. The last ones come only when the hash of all is right.

        FarmError in the middle when it is not, or when upstream broke off: close the connection, so that no client
        takes the answer for whole.
        """
        ...


class UpstreamFiles(Protocol):
    """Upstream's files under the farm's own URLs; with `mirror = "link"` pages name only sdists, and of the others all is None."""

    @property
    def mode(self) -> Literal["link", "redirect", "cache"]: ...

    def find(self, path: str) -> UpstreamFile | None:
        """Return the file at `/packages/<path>`, percent-decoded, `.metadata` included; None for 404.

        Only what a page lists is ever fetched. May block while that page is read; UpstreamError as for a page.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What `farm serve` offers. `sources` maps a prefix ("" merged, "/wheels") to its view.

    `strict` gives the view of `/strict/<target>`, the same object for each spelling of a target; UsageError for an unknown one (404, and
    its solution names the nearest). `packages` has the bytes of upstream's files. `project` tells what upstream has of a project
    that someone uploads to (None: nothing; UpstreamError). `upstream` counts what it was asked, by result. `close` ends connections
    and threads.
    """

    sources: Mapping[str, PageSource]
    strict: Callable[[str], PageSource]
    packages: UpstreamFiles
    project: Callable[[NormalizedName], UpstreamProject | None]
    close: Callable[[], None]
    upstream: Callable[[], Mapping[str, int]]


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
