"""Where a direct reference leads: a repository, a file on the web, a folder or a file here. Reads the text; asks no network.

Follows pip's "VCS Support" and "Local project installs": `git+https://HOST/PATH@REF#subdirectory=SUB`, `file:///PATH`, `./PATH`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from farm.adapters.git import TRANSPORTS, Remote
from farm.adapters.process import redact
from farm.model.build import BadSdist

if TYPE_CHECKING:
    from farm.model.direct import Asked

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_SYSTEM = re.compile(r"(git|hg|svn|bzr)\+", re.IGNORECASE)
_SCP = re.compile(r"(?P<user>[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>(?!//).+)")
_SUBDIRECTORY = re.compile(r"(?:^|&)subdirectory=([^&]*)")
_OTHERS = {"hg": "Mercurial", "svn": "Subversion", "bzr": "Bazaar"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`remote` of a repository, `url` on the web (with its credentials), `path` of a folder or file here; `filename` of a file."""

    kind: Literal["git", "web", "folder", "file"]
    remote: Remote = field(default_factory=lambda: Remote(url=""))
    url: str = ""
    path: Path = field(default_factory=Path)
    filename: str = ""
    subdirectory: str = ""


def shown(url: str) -> str:
    """Return a direct reference as people may see it: no credentials, no query (which may be a signature), no fragment."""
    plain = redact(url.partition("#")[0])
    head, query, _ = plain.partition("?")
    return f"{head}?***" if query and "://" in head else plain


def place_of(asked: Asked) -> Place:
    """Return where it leads. BadSdist when that is nowhere that the farm can go, with what to do instead."""
    url, _, fragment = asked.url.partition("#")
    match = _SUBDIRECTORY.search(fragment)
    subdirectory = _inside(unquote(match[1])) if match else ""
    system = found[1].lower() if (found := _SYSTEM.match(url)) else ""
    if system == "git":
        return Place(kind="git", remote=_remote(asked, url.partition("+")[2]), subdirectory=subdirectory)
    if system:
        reason = (
            f"a {_OTHERS[system]} repository ({shown(asked.url)}); of version control systems the farm knows git only"
        )
        raise _refused(
            reason,
            "make an sdist of it (`python -m build --sdist`) and name that file or its URL, or mirror it to git",
        )
    scheme = found[1].lower() if (found := _SCHEME.match(url)) else ""
    if scheme in {"http", "https"}:
        filename = unquote(urlsplit(url).path.rpartition("/")[2])
        return Place(kind="web", url=url, filename=filename, subdirectory=subdirectory)
    if scheme and scheme != "file":
        raise _refused(f"the scheme {scheme}:", "give an https URL, a git+https repository or a local path")
    return _local(_file_path(asked, url) if scheme else Path(asked.base, url), subdirectory)


def _local(path: Path, subdirectory: str) -> Place:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, and the name would be another
    if absolute.is_dir():
        return Place(kind="folder", path=absolute / subdirectory)
    if absolute.is_file():
        return Place(kind="file", path=absolute, filename=absolute.name, subdirectory=subdirectory)
    raise _refused(f"nothing at {absolute}", "correct the path; a relative one counts from the current directory")


def _file_path(asked: Asked, url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise _refused(f"a file URL of the host {parts.netloc!r}", "write file:///PATH, with three slashes")
    return Path(asked.base, unquote(parts.path))


def _remote(asked: Asked, text: str) -> Remote:
    """Return a repository's URL and what follows the last @ of its path."""
    if "::" in text.partition("/")[0]:
        raise _refused(f"a remote helper of git ({text.partition('::')[0]}::)", "give the address of a server")
    if "://" not in text:
        text = _with_scheme(asked, text)
    parts = urlsplit(text)
    scheme = parts.scheme.lower()
    if scheme not in TRANSPORTS:
        known = ", ".join(f"git+{name}" for name in TRANSPORTS)
        raise _refused(f"the transport {scheme!r}", f"use one of {known}")
    path, at, ref = parts.path.rpartition("@")
    ref = unquote(ref) if at else ""
    host = parts.netloc.rpartition("@")[2]
    if host.startswith("-") or (parts.username or "").startswith("-") or (scheme != "file" and not host):
        raise _refused(f"the host {host!r}", "correct the URL")
    if ref.startswith("-") or any(ord(letter) < 33 or letter in "~^:?*[\\" for letter in ref) or ".." in ref:
        raise _refused(f"{ref!r} after the @", "name a branch, a tag or a commit")
    url = urlunsplit((scheme, parts.netloc, path if at else parts.path, parts.query, ""))
    return Remote(url=url, ref=ref or None)


def _with_scheme(asked: Asked, text: str) -> str:
    """Return the URL of an scp-like address (locks have them) or of a path."""
    scp = _SCP.fullmatch(text)
    if scp is not None and not Path(asked.base, text.rpartition("@")[0] or text).exists():
        return f"ssh://{scp['user'] or ''}{scp['host']}/{scp['path'].lstrip('/')}"
    path, at, ref = text.rpartition("@")
    place = os.path.abspath(Path(asked.base, path if at else text))  # noqa: PTH100 - as above
    return f"file://{quote(place)}" + (f"@{ref}" if at else "")


def _inside(subdirectory: str) -> str:
    path = PurePosixPath(subdirectory)
    if path.is_absolute() or ".." in path.parts or "\\" in subdirectory or "\0" in subdirectory:
        raise _refused(f"the subdirectory {subdirectory!r}, which leads out", "name a folder below the project's top")
    return path.as_posix() if path.parts else ""


def _refused(found: str, advice: str) -> BadSdist:
    return BadSdist(f"expected a project, archive, wheel or git repository, found {found}", solution=advice)
