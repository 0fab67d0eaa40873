"""`/direct/`: wheels of what is on no index, as lists of links for pip's --find-links. Their bytes are served with all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

_HEADERS = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


class DirectPages(Protocol):
    """The lists, as HTML. StoreError when they cannot be read."""

    def root(self) -> bytes:
        """Return the list of projects."""
        ...

    def page(self, name: str) -> bytes | None:
        """Return a project's list; None when there is none of that name."""
        ...


def direct_routes(pages: DirectPages) -> list[Route]:
    """Return the routes below `/direct/`."""

    def root(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        return Response(pages.root(), media_type="text/html", headers=_HEADERS)

    def project(request: Request) -> Response:
        name = request.path_params["project"]
        body = pages.page(name)
        if body is None:
            raise HTTPException(404, f"there are no wheels of {name} from elsewhere than an index")
        return Response(body, media_type="text/html", headers=_HEADERS)

    def to_slash(request: Request) -> Response:
        # Relative, as all redirects here: the index may be below any path prefix.
        last = request.url.path.rpartition("/")[2]
        return RedirectResponse(f"./{last}/", status_code=301)

    return [
        Route("/direct", to_slash, name="direct-without-slash"),
        Route("/direct/", root, name="direct"),
        Route("/direct/{project}/", project, name="direct-project"),
        Route("/direct/{project}", to_slash, name="direct-project-without-slash"),
    ]
