"""Pages of the simple repository API from records: PEP 503 HTML, PEP 691 JSON with PEP 700's keys. Pure."""

from __future__ import annotations

import gzip
from html import escape
from typing import TYPE_CHECKING, Any

import msgspec

from farm.model.page import HTML, JSON, make_page
from farm.serve.repair import utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from farm.model.package import IndexFile, NormalizedName, Project
    from farm.model.page import Kind, Page

# From /simple/<project>/ to the root of the view, so that an index below any path prefix works.
_UP = "../../"
_HASHES = ("sha512", "sha384", "sha224", "sha3_256", "sha3_512", "blake2b", "sha1", "md5")
_LARGE, _BEST, _QUICK = 1 << 20, 9, 5


def render_project(project: Project) -> tuple[Page, ...]:
    """Return the four representations of the page of the farm's own files: JSON and HTML, plain and gzip.

    The version said is 1.1 when every file tells its size, which PEP 700 demands of it, else 1.0; 1.3 with PEP 740's provenance.
    """
    version = "1.1" if all(file.size is not None for file in project.files) else "1.0"
    if version == "1.1" and any(file.provenance for file in project.files):
        version = "1.3"
    entries = [file_entry(file) for file in project.files]
    for entry in entries:
        if "://" not in entry["url"]:
            entry["url"] = _UP + entry["url"]
    document: dict[str, Any] = {"meta": {"api-version": version}, "name": project.name, "files": entries}
    if version != "1.0":
        document["versions"] = [str(v) for v in sorted({file.version for file in project.files if file.version})]
    return tuple(page for kind in (JSON, HTML) for page in render_document(document, kind))


def render_document(document: dict[str, Any], kind: Kind) -> tuple[Page, Page]:
    """Return a page as JSON or HTML, plain and gzip. The document is a project's as PEP 691 shapes it."""
    return _both(kind, msgspec.json.encode(document) if kind == JSON else _html(document))


def render_root(names: Sequence[NormalizedName]) -> tuple[Page, ...]:
    """Return the four representations of the list of projects."""
    document = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]}
    anchors = [f'<a href="{escape(name)}/">{escape(name)}</a>' for name in names]
    html = _document((("pypi:repository-version", "1.1"),), "Simple index", anchors)
    return (*_both(JSON, msgspec.json.encode(document)), *_both(HTML, html))


def _both(kind: Kind, body: bytes) -> tuple[Page, Page]:
    # mtime 0: the same page has the same bytes, and so the same ETag, whenever it is rendered.
    level = _BEST if len(body) < _LARGE else _QUICK
    return make_page(kind, "identity", body), make_page(kind, "gzip", gzip.compress(body, level, mtime=0))


def file_entry(file: IndexFile) -> dict[str, Any]:
    """Return a file's JSON, its URL as it is. Keys without a value are left out: uv refuses a whole page for one `null`."""
    entry: dict[str, Any] = {
        "filename": file.filename,
        "url": file.url,
        "hashes": {} if file.sha256 is None else {"sha256": file.sha256},
    }
    if file.size is not None:
        entry["size"] = file.size
    if file.upload_time is not None:
        entry["upload-time"] = utc_text(file.upload_time)
    if file.requires_python:
        entry["requires-python"] = file.requires_python
    # An empty reason means "not yanked" to pip and "yanked" to uv; PEP 592 says it is yanked.
    entry["yanked"] = True if file.yanked == "" else file.yanked
    if file.metadata:
        # Never "dist-info-metadata" too: pip 22.3 to 23.1.2 crash on it in JSON.
        entry["core-metadata"] = True if file.metadata is True else {"sha256": file.metadata}
    if file.provenance:
        entry["provenance"] = file.provenance
    return entry


def _html(document: dict[str, Any]) -> bytes:
    # PEP 833: HTML stays at 1.4, and what came later is in JSON only.
    version = min(
        document["meta"]["api-version"].split("."), ["1", "4"], key=lambda parts: [int(part) for part in parts]
    )
    metas = [("pypi:repository-version", ".".join(version))]
    status = document.get("project-status")
    if status is not None:
        metas.append(("pypi:project-status", status["status"]))
        if status.get("reason"):
            metas.append(("pypi:project-status-reason", status["reason"]))
    return _document(metas, f"Links for {document['name']}", [_anchor(entry) for entry in document["files"]])


def _anchor(entry: dict[str, Any]) -> str:
    attributes = [f'<a href="{escape(entry["url"] + _fragment(entry["hashes"]))}"']
    if entry.get("requires-python"):
        attributes.append(f'data-requires-python="{escape(entry["requires-python"])}"')
    metadata = entry.get("core-metadata")
    if metadata is not None and metadata is not False:
        value = _fragment(metadata)[1:] if isinstance(metadata, dict) else ""
        # The second is PEP 658's name, for clients older than PEP 714.
        attributes += [
            f'{key}="{escape(value or "true")}"' for key in ("data-core-metadata", "data-dist-info-metadata")
        ]
    yanked = entry.get("yanked", False)
    if yanked is not False:
        attributes.append(f'data-yanked="{"" if yanked is True else escape(yanked)}"')
    if entry.get("provenance"):
        attributes.append(f'data-provenance="{escape(entry["provenance"])}"')
    if entry.get("gpg-sig") is not None:
        attributes.append(f'data-gpg-sig="{"true" if entry["gpg-sig"] else "false"}"')
    return f"{' '.join(attributes)}>{escape(entry['filename'])}</a>"


def _fragment(hashes: dict[str, str]) -> str:
    """Return the one hash that HTML has room for, as a URL's fragment; sha256 where it is known (PEP 503)."""
    if "sha256" in hashes:
        return f"#sha256={hashes['sha256']}"
    return next((f"#{name}={hashes[name]}" for name in _HASHES if name in hashes), "")


def _document(metas: Iterable[tuple[str, str]], title: str, anchors: Iterable[str]) -> bytes:
    lines = "".join(f"{anchor}<br>\n" for anchor in anchors)
    said = "".join(f'<meta name="{name}" content="{escape(content)}">\n' for name, content in metas)
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="en">\n<head>\n<meta charset="utf-8">\n{said}<title>{escape(title)}</title>\n</head>\n'
        f"<body>\n<h1>{escape(title)}</h1>\n{lines}</body>\n</html>\n"
    ).encode()
