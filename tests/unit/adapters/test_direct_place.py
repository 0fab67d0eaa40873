"""Where direct references lead, and which of them are refused before anything is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name as canonical

from farm.adapters.direct_place import place_of, shown
from farm.model.build import BadSdist
from farm.model.demand import Origin
from farm.model.direct import Asked

if TYPE_CHECKING:
    from pathlib import Path


def asked(url: str, base: str = "") -> Asked:
    return Asked(url=url, name=canonical("demo"), base=base, origin=Origin(file="r.txt", line=1))


@pytest.mark.parametrize(
    ("url", "remote", "ref", "subdirectory"),
    [
        ("git+https://h/r", "https://h/r", None, ""),
        ("git+https://h/r.git@main#egg=demo", "https://h/r.git", "main", ""),
        ("git+https://u:p%40w@h/r@v1.0#egg=demo&subdirectory=a/b", "https://u:p%40w@h/r", "v1.0", "a/b"),
        ("git+ssh://git@h/g/r.git@feature/x#subdirectory=pkg", "ssh://git@h/g/r.git", "feature/x", "pkg"),
        ("git+ssh://git@h/r", "ssh://git@h/r", None, ""),
        ("git+file:///srv/r@" + "a" * 40, "file:///srv/r", "a" * 40, ""),
        ("git+git@h:g/r.git@abc", "ssh://git@h/g/r.git", "abc", ""),
        ("git+../r@abc", "file:///locks/r", "abc", ""),
        ("GIT+HTTPS://h/r", "https://h/r", None, ""),
    ],
)
def test_repositories(url: str, remote: str, ref: str | None, subdirectory: str) -> None:
    place = place_of(asked(url, base="/locks/here"))
    assert (place.kind, place.remote.url, place.remote.ref, place.subdirectory) == ("git", remote, ref, subdirectory)


def test_files_on_the_web() -> None:
    place = place_of(asked("https://h/a%2Bb-1.0.tar.gz?sig=x#sha256=ab&subdirectory=in"))
    assert (place.kind, place.filename, place.subdirectory) == ("web", "a+b-1.0.tar.gz", "in")
    assert place.url == "https://h/a%2Bb-1.0.tar.gz?sig=x"


def test_paths_count_from_their_base(tmp_path: Path) -> None:
    (tmp_path / "libs" / "a b").mkdir(parents=True)
    (tmp_path / "x-1.0-py3-none-any.whl").write_bytes(b"")
    assert place_of(asked("libs/a b", base=str(tmp_path))).path == tmp_path / "libs" / "a b"
    assert place_of(asked("../x-1.0-py3-none-any.whl", base=f"{tmp_path}/libs")).filename == "x-1.0-py3-none-any.whl"
    assert place_of(asked(f"file://{tmp_path}/libs/a%20b")).kind == "folder"
    assert place_of(asked(f"file://localhost{tmp_path}/x-1.0-py3-none-any.whl")).kind == "file"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("hg+https://h/r", "Mercurial"),
        ("svn+ssh://h/r", "Subversion"),
        ("bzr+lp:thing", "Bazaar"),
        ("ftp://h/x.tar.gz", "the scheme ftp:"),
        ("git+git://h/r", "the transport 'git'"),
        ("git+ext::sh -c 'touch /tmp/x'", "remote helper"),
        ("git+ext://sh", "the transport 'ext'"),
        ("git+ssh://-oProxyCommand=touch/r", "the host"),
        ("git+ssh://-oProxyCommand=x@h/r", "the host"),
        ("git+https://h/r@--upload-pack=touch%20x", "after the @"),
        ("git+https://h/r@a..b", "after the @"),
        ("git+https://h/r@a%0Ab", "after the @"),
        ("git+https://h/r#subdirectory=../../etc", "leads out"),
        ("https://h/x.tar.gz#subdirectory=/etc", "leads out"),
        ("file://host/share/x", "of the host 'host'"),
        ("./nowhere", "nothing at"),
    ],
)
def test_what_is_refused(url: str, told: str) -> None:
    with pytest.raises(BadSdist, match=told) as caught:
        place_of(asked(url))
    assert caught.value.solution


def test_nobody_sees_credentials_or_signatures() -> None:
    assert shown("git+https://user:secret@h/r@main#egg=x") == "git+https://***@h/r@main"
    assert shown("https://token@h/x.whl?X-Signature=abc#sha256=1") == "https://***@h/x.whl?***"
    assert shown("git+ssh://git@h/r") == "git+ssh://git@h/r"
    assert shown("./here") == "./here"
