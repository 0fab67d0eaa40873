"""Pages of the simple repository API from records: PEP 503 HTML, PEP 691 JSON with PEP 700's keys. Pure."""

from __future__ import annotations

import gzip
import json
from datetime import UTC
from html import escape
from typing import TYPE_CHECKING, Any

from farm.model.page import HTML, JSON, make_page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from farm.model.package import IndexFile, NormalizedName, Project
    from farm.model.page import Page

# From /simple/<project>/ to the root of the view, so that an index below any path prefix works.
_UP = "../../"


def render_project(project: Project) -> tuple[Page, ...]:
    """Return the four representations of a project's page: JSON and HTML, plain and gzip.

    The version said is 1.1 when every file tells its size, which PEP 700 demands of it, else 1.0.
    """
    version = "1.1" if all(file.size is not None for file in project.files) else "1.0"
    entries = [_entry(file) for file in project.files]
    document: dict[str, Any] = {"meta": {"api-version": version}, "name": project.name, "files": entries}
    if version != "1.0":
        document["versions"] = [str(v) for v in sorted({file.version for file in project.files if file.version})]
    anchors = [_anchor(file) for file in project.files]
    return _representations(document, _document(version, f"Links for {project.name}", anchors))


def render_root(names: Sequence[NormalizedName]) -> tuple[Page, ...]:
    """Return the four representations of the list of projects."""
    document = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]}
    anchors = [f'<a href="{escape(name)}/">{escape(name)}</a>' for name in names]
    return _representations(document, _document("1.1", "Simple index", anchors))


def _representations(document: dict[str, Any], html: str) -> tuple[Page, ...]:
    pages = []
    for kind, body in ((JSON, json.dumps(document, separators=(",", ":")).encode()), (HTML, html.encode())):
        pages.append(make_page(kind, "identity", body))
        # mtime 0: the same page has the same bytes, and so the same ETag, whenever it is rendered.
        pages.append(make_page(kind, "gzip", gzip.compress(body, mtime=0)))
    return tuple(pages)


def _entry(file: IndexFile) -> dict[str, Any]:
    """Return a file's JSON. Keys without a value are left out: uv refuses a whole page for one `null`."""
    entry: dict[str, Any] = {
        "filename": file.filename,
        "url": _href(file),
        "hashes": {} if file.sha256 is None else {"sha256": file.sha256},
    }
    if file.size is not None:
        entry["size"] = file.size
    if file.upload_time is not None:
        entry["upload-time"] = _time(file.upload_time)
    if file.requires_python:
        entry["requires-python"] = file.requires_python
    entry["yanked"] = _yanked(file)
    if file.metadata:
        # Never "dist-info-metadata" too: pip 22.3 to 23.1.2 crash on it in JSON.
        entry["core-metadata"] = True if file.metadata is True else {"sha256": file.metadata}
    return entry


def _yanked(file: IndexFile) -> bool | str:
    # An empty reason means "not yanked" to pip and "yanked" to uv; PEP 592 says it is yanked.
    return True if file.yanked == "" else file.yanked


def _time(time: datetime) -> str:
    utc = time.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds" if utc.microsecond else "seconds") + "Z"


def _href(file: IndexFile) -> str:
    return file.url if "://" in file.url else _UP + file.url


def _anchor(file: IndexFile) -> str:
    attributes = {"href": _href(file) + (f"#sha256={file.sha256}" if file.sha256 else "")}
    if file.requires_python:
        attributes["data-requires-python"] = file.requires_python
    if file.metadata:
        value = "true" if file.metadata is True else f"sha256={file.metadata}"
        # The second is PEP 658's name, for clients older than PEP 714.
        attributes |= {"data-core-metadata": value, "data-dist-info-metadata": value}
    yanked = _yanked(file)
    if yanked is not False:
        attributes["data-yanked"] = "" if yanked is True else yanked
    written = " ".join(f'{key}="{escape(value)}"' for key, value in attributes.items())
    return f"<a {written}>{escape(file.filename)}</a>"


def _document(version: str, title: str, anchors: Sequence[str]) -> str:
    lines = "".join(f"{anchor}<br>\n" for anchor in anchors)
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="pypi:repository-version" content="{version}">\n<title>{escape(title)}</title>\n</head>\n'
        f"<body>\n<h1>{escape(title)}</h1>\n{lines}</body>\n</html>\n"
    )
