"""Requirements by path, URL and repository on the real command line, without an engine: what is told, and what never runs."""

from __future__ import annotations

import base64
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.fakes.repositories import STATIC, Repository, scm, static
from tests.functional.conftest import TARGET, Shell, add_wheel
from tests.projects.make import Made, tar_gz, zipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.index_server import IndexServer

CHECK = ("check", "-r", "requirements.txt", "--json")
DRY = ("build", "-r", "requirements.txt", "--dry-run", "--json")
TELLS = "open({told!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n"


class _Handler(SimpleHTTPRequestHandler):
    seen: list[tuple[str, int]]

    def send_response(self, code: int, message: str | None = None) -> None:
        self.seen.append((self.path.partition("?")[0], int(code)))
        super().send_response(code, message)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def stocked(index: IndexServer) -> IndexServer:
    for name, version in (("setuptools", "80.0"), ("setuptools-scm", "9.0"), ("leaf", "1.0"), ("leaf", "2.0"), ("fork", "7.0")):
        add_wheel(index, name.replace("-", "_"), version)
    return index


Web = tuple[str, "Path", list[tuple[str, int]]]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """Return a server's URL, the folder that it serves, and what it was asked for and answered."""
    folder = tmp_path / "web"
    folder.mkdir()
    seen: list[tuple[str, int]] = []
    handler = type("Handler", (_Handler,), {"seen": seen})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder, seen
        server.shutdown()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(folder=tmp_path / "remote")


def cells(report: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {package["name"]: (package["version"], package["cells"][TARGET]["state"]) for package in report["packages"]}


def cell(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(package for package in report["packages"] if package["name"] == name)["cells"][TARGET]


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_every_kind_is_a_row_and_its_dependencies_take_part(
    shell: Shell, stocked: IndexServer, repository: Repository, web: Web
) -> None:
    url, folder, _ = web
    commit = repository.commit(static("fork", "1.5", "leaf<2"), tag="v1.5")
    write(shell.folder / "here", static("here", "1.0", "leaf"))
    write(shell.folder / "edited", static("edited", "1.0", "fork>=1"))
    name, data = Made(name="packed", version="3.0", requires=("leaf",)).sdist()
    (folder / name).write_bytes(data)
    name, data = Made(name="ready", version="4.0", requires=("leaf",)).wheel()
    (folder / name).write_bytes(data)
    (folder / "zipped-main.zip").write_bytes(
        zipped({f"zipped-main/sub/{file}": text for file, text in static("zipped", "5.0").items()})
    )
    shell.requirements(
        "./here", "-e ./edited", f"fork @ {repository.url}@v1.5", f"packed @ {url}/packed-3.0.tar.gz", f"{url}/ready-4.0-py3-none-any.whl",
        f"{url}/zipped-main.zip#subdirectory=sub",
    )  # fmt: skip
    report = shell.run(*DRY).json
    assert cells(report) == {
        "here": ("1.0", "build"), "edited": ("1.0", "build"), "fork": ("1.5", "build"), "packed": ("3.0", "build"),
        "ready": ("4.0", "upstream-wheel"), "zipped": ("5.0", "build"), "leaf": ("1.0", "upstream-wheel"),
    }  # fmt: skip
    fork = cell(report, "fork")
    assert (fork["url"], fork["commit"]) == (f"{repository.url}@v1.5", commit)
    assert "editable" in cell(report, "edited")["reason"]
    assert (report["problems"], report["exit_code"]) == ([], 0)
    checked = shell.run(*CHECK)
    assert (checked.code, cells(checked.json)) == (1, cells(report))
    assert not any("/fork/" in asked for asked in stocked.requests), "upstream has another project of that name"


def test_no_setup_py_runs_and_a_version_that_is_not_stated_is_unknown(
    shell: Shell, stocked: IndexServer, repository: Repository, web: Web
) -> None:
    url, folder, _ = web
    told = shell.folder.parent / "told"
    code = TELLS.format(told=str(told))
    repository.commit({**scm("fork"), "setup.py": code}, tag="v1")
    write(shell.folder / "here", {"setup.py": code})
    (folder / "old-1.0.tar.gz").write_bytes(tar_gz({"old-1.0/setup.py": code}))
    shell.requirements(f"{repository.url}#egg=fork", "-e ./here", f"old @ {url}/old-1.0.tar.gz")
    for command in (CHECK, DRY):
        done = shell.run(*command)
        assert (done.code, {state for _, state in cells(done.json).values()}) == (3, {"unknown"})
        assert set(cells(done.json)) == {"fork", "./here", "old"}
    assert "could not be asked: expected a Docker engine" in cell(done.json, "fork")["reason"]
    assert not told.exists()


@pytest.mark.usefixtures("stocked")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("x @ hg+https://user:s3cret@h.invalid/x", "Mercurial"),
        ("x @ git+https://h.invalid/x@--upload-pack=touch", "after the @"),
        ("x @ git+file://{remote}@nope", "expected a branch, tag or commit 'nope'"),
        ("other @ git+file://{remote}", "expected other, found fork"),
        ("fork @ git+file://{remote}#subdirectory=nowhere", "no folder 'nowhere'"),
        ("fork @ git+file://{remote}@evil", "leads out of the project"),
        ("./empty", "expected a pyproject.toml or setup.py"),
        ("x @ {web}/nothing-1.0.tar.gz?signature=s3cret", "found nothing (404)"),
        ("x @ {web}/login-1.0.tar.gz", "cannot be read as an archive"),
        ("x @ {web}/login-1.0.tar.gz#sha256=" + "0" * 64, "expected sha256 000"),
        ("x @ {web}/escape-1.0.tar.gz", "leaves the archive's own folder"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line_and_fails(
    shell: Shell, repository: Repository, web: Web, line: str, told: str
) -> None:
    url, folder, _ = web
    repository.commit(static("fork", "1.5"))
    repository.git("checkout", "-qb", "evil")
    (repository.folder / "link").symlink_to("/etc/passwd")
    repository.commit({})
    repository.git("checkout", "-q", "main")
    (shell.folder / "empty").mkdir()
    (folder / "login-1.0.tar.gz").write_text("<html>log in</html>")
    (folder / "escape-1.0.tar.gz").write_bytes(tar_gz({"a/../../escape": "x"}))
    shell.requirements("leaf", line.format(remote=repository.folder, web=url))
    done = shell.run(*DRY)
    report = done.json
    assert (done.code, cells(report)) == (1, {"leaf": ("2.0", "upstream-wheel")})
    (problem,) = report["problems"]
    assert (problem["kind"], problem["subject"]) == ("direct", "requirements.txt:2")
    assert told in problem["text"]
    assert "s3cret" not in done.out + done.err
    assert not any("s3cret" in str(path) for path in shell.folder.parent.rglob("*"))


@pytest.mark.parametrize("line", ["x @ git+http://user:s3cret@127.0.0.1:9/x@main", "x @ http://user:s3cret@127.0.0.1:9/x-1.0.tar.gz"])
def test_a_server_that_does_not_answer_leaves_it_unknown_and_keeps_the_password(shell: Shell, stocked: IndexServer, line: str) -> None:
    shell.requirements(line)
    done = shell.run(*DRY)
    assert (done.code, cells(done.json)) == (3, {"x": ("", "unknown")})
    assert "s3cret" not in done.out + done.err
    kept = [path for path in shell.folder.parent.rglob("*") if path.is_file() and path.name != "requirements.txt"]
    assert not any(b"s3cret" in path.read_bytes() for path in kept)


def test_hashes_hold_and_an_unchanged_file_is_not_sent_again(
    shell: Shell, stocked: IndexServer, web: Web
) -> None:
    url, folder, seen = web
    name, data = Made(name="packed", version="3.0").sdist()
    (folder / name).write_bytes(data)
    shell.requirements(f"packed @ {url}/{name}")
    for _ in range(2):
        assert shell.run(*DRY).code == 0
    assert seen == [(f"/{name}", 200), (f"/{name}", 304)]
    good = hashlib.sha256(data).hexdigest()
    shell.requirements(f"packed @ {url}/{name}#sha256={good}")
    assert shell.run(*DRY).code == 0
    assert len(seen) == 2, "a file with a known hash is not asked for"
    shell.requirements(f"packed @ {url}/{name} --hash=sha512:{hashlib.sha512(data).hexdigest()}")
    assert shell.run(*DRY).code == 0
    shell.requirements(f"packed @ {url}/{name} --hash=sha512:{'0' * 128}")
    done = shell.run(*DRY)
    assert (done.code, "expected sha512 000" in done.json["problems"][0]["text"]) == (1, True)
    newer = Made(name="packed", version="3.0", requires=("leaf",)).sdist()[1]
    (folder / name).write_bytes(newer)
    shell.requirements(f"packed @ {url}/{name}")
    assert set(cells(shell.run(*DRY).json)) == {"packed", "leaf"}, "what a URL gives may change"


def test_an_unchanged_commit_is_not_cloned_again_and_a_moved_branch_is(shell: Shell, stocked: IndexServer, repository: Repository) -> None:
    repository.commit(static("fork", "1.5"))
    shell.requirements(f"fork @ {repository.url}@main")
    first = shell.run(*DRY)
    again = shell.run(*DRY)
    assert "fetching" in first.err
    assert "fetching" not in again.err
    assert cells(again.json) == cells(first.json)
    commit = repository.commit(static("fork", "1.6"))
    moved = shell.run(*DRY)
    assert (cells(moved.json)["fork"], cell(moved.json, "fork")["commit"]) == (("1.6", "build"), commit)
    shell.requirements(f"fork @ {repository.url}@{commit}")
    (repository.folder / ".git").rename(repository.folder / "gone")
    assert cells(shell.run(*DRY).json)["fork"] == ("1.6", "build"), "a commit that is known needs no server"


def test_a_specifier_that_the_direct_version_does_not_meet_has_no_solution(
    shell: Shell, stocked: IndexServer, repository: Repository
) -> None:
    repository.commit(static("fork", "1.5"))
    shell.requirements(f"fork @ {repository.url}", "fork>=2")
    done = shell.run(*DRY)
    assert done.code == 7
    assert "fork" in done.json["problems"][0]["text"]
    shell.requirements(f"fork @ {repository.url}", "fork>=1")
    assert shell.run(*DRY).code == 0


def test_two_sources_of_a_name_are_a_conflict(shell: Shell, stocked: IndexServer, repository: Repository) -> None:
    repository.commit(static("fork", "1.5"))
    write(shell.folder / "fork", static("fork", "1.6"))
    shell.requirements(f"fork @ {repository.url}", "./fork")
    done = shell.run(*DRY)
    assert done.code == 1
    assert "remove one of them" in done.json["problems"][0]["text"]


def test_a_local_project_s_caches_change_nothing_and_its_files_do(shell: Shell, stocked: IndexServer) -> None:
    write(shell.folder / "here", static("here", "1.0"))
    shell.requirements("./here")
    assert shell.run(*DRY).code == 0
    before = _blobs(shell)
    write(shell.folder / "here", {"build/lib/x.py": "", "here.egg-info/PKG-INFO": "Name: wrong\n", "__pycache__/x.pyc": ""})
    assert shell.run(*DRY).code == 0
    assert _blobs(shell) == before
    write(shell.folder / "here", {"here.py": "X = 2\n"})
    assert shell.run(*DRY).code == 0
    assert len(_blobs(shell)) == len(before) + 1


def _blobs(shell: Shell) -> list[str]:
    return sorted(f"{path.parent.name}{path.name}" for path in shell.folder.parent.rglob("blobs/*/*") if path.is_file())


def test_a_store_within_the_project_is_no_part_of_it(shell: Shell, stocked: IndexServer) -> None:
    shell.write("config.toml", f'targets = ["{TARGET}"]\n[images]\nfamily = "debian"\n[store]\npath = "store"\n')
    shell.write("pyproject.toml", STATIC.format(name="here", version="1.0", requires=""))
    shell.write("requirements.txt", "-e .\n")
    for _ in range(2):
        assert shell.run(*DRY).code == 0
    assert len(_blobs(shell)) == 1


def test_a_lock_s_repository_and_folder_are_gaps_and_nothing_is_resolved(
    shell: Shell, stocked: IndexServer, repository: Repository, tmp_path: Path
) -> None:
    files = {f"pkg/{name}": text for name, text in static("fork", "1.5", "leaf<2").items()}
    commit = repository.commit(files)
    (shell.folder / "locks").mkdir()
    write(shell.folder / "locks" / "libs", static("inner", "2.0"))
    shell.write(
        "locks/pylock.toml",
        'lock-version = "1.0"\ncreated-by = "test"\n'
        f'[[packages]]\nname = "fork"\nvcs = {{ type = "git", url = "file://{repository.folder}", commit-id = "{commit}", '
        'subdirectory = "pkg" }\n[[packages]]\nname = "inner"\ndirectory = { path = "libs" }\n',
    )
    done = shell.run("build", "-r", "locks/pylock.toml", "--dry-run", "--json")
    assert (done.code, cells(done.json)) == (0, {"fork": ("1.5", "build"), "inner": ("2.0", "build")})
    assert cell(done.json, "fork")["commit"] == commit


def test_a_wheel_that_fits_nowhere_is_impossible(shell: Shell, stocked: IndexServer) -> None:
    name, data = Made(name="ready", version="4.0").wheel("cp39-cp39-win_amd64")
    (shell.folder / name).write_bytes(data)
    shell.requirements(f"./{name}")
    done = shell.run(*DRY)
    assert (done.code, cells(done.json)) == (1, {"ready": ("4.0", "impossible")})


@pytest.mark.usefixtures("stocked")
def test_a_url_s_own_credentials_are_sent_to_its_server(shell: Shell, tmp_path: Path) -> None:
    name, data = Made(name="packed", version="3.0").sdist()

    class Guarded(_Handler):
        seen: ClassVar[list[tuple[str, int]]] = []

        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == f"Basic {base64.b64encode(b'user:s3cret').decode()}"
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(data) if known else 0))
            self.end_headers()
            self.wfile.write(data if known else b"")

    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for user, state in (("user:gu3ss@", "unknown"), ("user:s3cret@", "build")):
            shell.requirements(f"packed @ http://{user}127.0.0.1:{server.server_port}/{name}")
            done = shell.run(*DRY)
            assert cells(done.json)["packed"][1] == state
            assert not any(secret in done.out + done.err for secret in ("s3cret", "gu3ss"))
        server.shutdown()


@pytest.mark.usefixtures("stocked")
def test_a_url_in_a_project_s_own_metadata_is_not_followed(shell: Shell, repository: Repository, tmp_path: Path) -> None:
    other = Repository(folder=tmp_path / "other")
    other.commit(static("leaf", "9.0"))
    repository.commit(static("fork", "1.5", f"leaf @ {other.url}"))
    shell.requirements(f"fork @ {repository.url}")
    done = shell.run(*DRY)
    assert done.code == 7
    assert "leaf" in done.json["problems"][0]["text"]
    assert "9.0" not in done.out
    shell.requirements(f"fork @ {repository.url}", f"leaf @ {other.url}")
    assert cells(shell.run(*DRY).json) == {"fork": ("1.5", "build"), "leaf": ("9.0", "build")}


@pytest.mark.usefixtures("stocked")
def test_an_editable_repository(shell: Shell, repository: Repository) -> None:
    commit = repository.commit(static("fork", "1.5"))
    shell.requirements(f"-e {repository.url}@main#egg=fork")
    found = cell(shell.run(*DRY).json, "fork")
    assert (found["state"], found["commit"]) == ("build", commit)
    assert "editable" in found["reason"]
