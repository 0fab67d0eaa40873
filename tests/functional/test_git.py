"""git against real repositories: what is fetched, and that nothing that a repository or its URL holds is run."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from farm.adapters.git import Git, Refs, Remote, describe_here
from farm.errors import UpstreamError
from farm.model.build import BadSdist
from tests.fakes.git_server import git_server
from tests.fakes.repositories import Repository, scm, static

if TYPE_CHECKING:
    from pathlib import Path

ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(folder=tmp_path / "remote")


def remote(repository: Repository, ref: str | None = None) -> Remote:
    return Remote(url=f"file://{repository.folder}", ref=ref)


def fresh(tmp_path: Path, env: dict[str, str] | None = None) -> Git:
    number = len(list(tmp_path.glob("clone-*")))
    return Git(env or ENV, tmp_path / f"clone-{number}")


def test_a_reference_is_its_commit_before_anything_is_cloned(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit(static("demo", "1.0"), tag="v1.0")
    second = repository.commit({"more": "x"})
    repository.git("branch", "dev/x", first)
    refs = fresh(tmp_path).refs(remote(repository))
    # An annotated tag is an object of its own; what counts is the commit that it is of.
    assert [refs.find(ref) for ref in ("v1.0", "dev/x", "main", None, "refs/heads/main")] == [first, first, second, second, second]
    assert refs.find("nope") is None
    repository.git("tag", "v2.0")
    assert fresh(tmp_path).refs(remote(repository)).tags != refs.tags
    assert refs.tags == Refs(commits={n: c for n, c in refs.commits.items() if n.startswith("refs/tags/")}).tags


@pytest.mark.parametrize("url", ["file://{folder}/inner", "../inner"])
def test_a_commit_is_checked_out_with_its_submodules(repository: Repository, tmp_path: Path, url: str) -> None:
    inner = Repository(folder=tmp_path / "inner")
    inner.commit({"inside.c": "int x;\n"})
    first = repository.commit(static("demo", "1.0"))
    repository.git("submodule", "add", "-q", f"file://{inner.folder}", "vendor/inner")
    modules = (repository.folder / ".gitmodules").read_text()
    (repository.folder / ".gitmodules").write_text(modules.replace(f"file://{inner.folder}", url.format(folder=tmp_path)))
    second = repository.commit({})
    assert not (fresh(tmp_path).check_out(remote(repository), first) / "vendor").exists()
    assert (fresh(tmp_path).check_out(remote(repository), second) / "vendor" / "inner" / "inside.c").is_file()


def test_a_commit_that_no_reference_leads_to_and_an_abbreviated_one(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit({"one": "1"})
    repository.commit({"two": "2"})
    assert not (fresh(tmp_path).check_out(remote(repository), first) / "two").exists()
    assert fresh(tmp_path).whole(remote(repository), first[:9]) == first
    for missing in ("0" * 40, "f" * 9):
        with pytest.raises((BadSdist, UpstreamError)):
            fresh(tmp_path).whole(remote(repository), missing)


@pytest.mark.parametrize("partial", ["true", "false"])
def test_the_place_in_the_history_is_told_as_setuptools_scm_wants_it(repository: Repository, tmp_path: Path, partial: str) -> None:
    untagged = repository.commit(scm("demo"))
    repository.git("config", "uploadpack.allowFilter", partial)
    clone = fresh(tmp_path)
    clone.check_out(remote(repository), untagged)
    assert f"describe-name: 0.0-1-g{untagged[:7]}" in clone.archival(remote(repository), untagged, ("*[0-9]*",))
    repository.git("tag", "v1.2")
    repository.git("tag", "other")
    repository.commit({"between": "x"})
    repository.git("rm", "-q", "between")
    later = repository.commit({"more": "x"})
    clone = fresh(tmp_path)
    clone.check_out(remote(repository), later)
    told = clone.archival(remote(repository), later, ("*[0-9]*",))
    assert told.startswith(f"node: {later}\nnode-date: 2")
    assert f"describe-name: v1.2-2-g{later[:7]}" in told
    assert f"describe-name: v1.2-2-g{later[:7]}" in (describe_here(repository.folder, ENV, ("*[0-9]*",)) or "")
    assert describe_here(tmp_path, ENV, ("*",)) is None


def test_neither_hooks_nor_filters_nor_templates_run(repository: Repository, tmp_path: Path) -> None:
    """Also not those of the user's own configuration, which a repository's .gitattributes could call."""
    told = tmp_path / "told"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\necho ran >> {told}\ncat\n")
    script.chmod(0o755)
    home = tmp_path / "home"
    (home / "templates" / "hooks").mkdir(parents=True)
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        (home / "templates" / "hooks" / hook).write_bytes(script.read_bytes())
        (home / "templates" / "hooks" / hook).chmod(0o755)
    config = f'[filter "lfs"]\nsmudge = {script}\nclean = {script}\nprocess = {script}\nrequired = true\n'
    config += f"[init]\ntemplateDir = {home}/templates\n"
    (home / ".gitconfig").write_text(f"{config}[core]\nhooksPath = {home}/templates/hooks\nfsmonitor = {script}\n")
    hooks = repository.folder / ".git" / "hooks"
    commit = repository.commit({".gitattributes": "* filter=lfs diff=lfs merge=lfs\n", **static("demo", "1.0")})
    hooks.mkdir(exist_ok=True)
    for hook in ("post-checkout", "post-index-change", "reference-transaction"):
        (hooks / hook).write_bytes(script.read_bytes())
        (hooks / hook).chmod(0o755)
    clone = fresh(tmp_path, {**ENV, "HOME": str(home)})
    assert clone.refs(remote(repository)).find("main") == commit
    tree = clone.check_out(remote(repository), commit)
    clone.archival(remote(repository), commit, ("*",))
    describe_here(repository.folder, {**ENV, "HOME": str(home)}, ("*",))
    assert (tree / "demo.py").read_text() == "X = 1\n"
    assert not told.exists()
    # The trap works: git as the user has it would have run them.
    subprocess.run(["git", "clone", "-q", str(repository.folder), str(tmp_path / "naive")], env={**ENV, "HOME": str(home)}, check=False,
                   capture_output=True)  # fmt: skip
    assert told.exists()


def test_the_user_s_way_to_a_server_is_kept(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit({"x": "1"})
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "file://{repository.folder}"]\n\tinsteadOf = "https://short.invalid/r"\n')
    place = Remote(url="https://short.invalid/r")
    with pytest.raises(UpstreamError, match="transport 'file' not allowed"):
        fresh(tmp_path, {**ENV, "HOME": str(home)}).refs(place)
    (home / ".gitconfig").write_text(f'[url "file://{repository.folder}"]\n\tinsteadOf = "file:///short"\n')
    assert fresh(tmp_path, {**ENV, "HOME": str(home)}).refs(Remote(url="file:///short")).find(None) == commit


@pytest.mark.parametrize("update", ["!touch TOLD", "checkout"])
def test_a_submodule_runs_nothing_and_reads_nothing_it_should_not(repository: Repository, tmp_path: Path, update: str) -> None:
    repository.commit({"x": "1"})
    blob = repository.git("rev-parse", "HEAD")
    modules = f'[submodule "evil"]\n\tpath = evil\n\turl = ext::sh -c "touch {tmp_path}/told"\n\tupdate = {update}\n'
    (repository.folder / ".gitmodules").write_text(modules.replace("TOLD", f"{tmp_path}/told"))
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{blob},evil")
    repository.git("add", ".gitmodules")
    repository.git("commit", "-qm", "evil")
    with pytest.raises(UpstreamError):
        fresh(tmp_path).check_out(remote(repository), repository.git("rev-parse", "HEAD"))
    assert not (tmp_path / "told").exists()


def test_credentials_are_in_no_message_and_no_command_line(tmp_path: Path) -> None:
    git = fresh(tmp_path)
    with pytest.raises(UpstreamError) as caught:
        git.refs(Remote(url="http://user:s3cret@127.0.0.1:9/r"))
    assert "s3cret" not in f"{caught.value.reason} {caught.value.solution}"
    assert "127.0.0.1:9/r" in caught.value.reason
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert [(path.name, path.stat().st_mode & 0o77) for path in kept] == [("config", 0)]


def test_a_server_with_a_password_and_every_step_over_http(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit(scm("demo"), tag="v1.2")
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    later = repository.commit({"more": "x"})
    with git_server(tmp_path, "user", "s3cret") as port:
        place = Remote(url=f"http://user:s3cret@127.0.0.1:{port}/remote")
        clone = fresh(tmp_path)
        assert clone.refs(place).find("v1.2") == first
        assert (clone.check_out(place, later) / "more").is_file()
        assert f"describe-name: v1.2-1-g{later[:7]}" in clone.archival(place, later, ("*[0-9]*",))
        assert fresh(tmp_path).whole(place, first[:8]) == first
        with pytest.raises(UpstreamError) as caught:
            fresh(tmp_path).refs(Remote(url=f"http://user:gu3ss@127.0.0.1:{port}/remote"))
    assert "Authentication failed" in caught.value.reason
    assert "gu3ss" not in caught.value.reason
