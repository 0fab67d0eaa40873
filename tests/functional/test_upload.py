"""The legacy upload API over real HTTP: what honest clients get, and that everything else leaves nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

from farm.model.package import Digest, IndexFile, Version
from farm.model.upload import UpstreamProject
from tests.functional.upload_server import EDGE, UploadFarm, file_of, form
from tests.projects.sdist import write_tar
from tests.unit.adapters.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
CODE = {"demo/__init__.py": b"X = 1\n"}


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[UploadFarm]:
    with UploadFarm(root=tmp_path / "store") as made:
        yield made


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, "demo", CODE)


def sdist(folder: Path, name: str, info_name: str = "") -> Path:
    stem = f"{name.replace('-', '_')}-1.0"
    info = f"Metadata-Version: 2.2\nName: {info_name or name}\nVersion: 1.0\n".encode()
    return write_tar(
        folder / f"{stem}.tar.gz", {f"{stem}/PKG-INFO": info, f"{stem}/setup.py": b"from setuptools import setup\n"}
    )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def upstream_file(filename: str, sha: str, **more: object) -> IndexFile:
    return IndexFile(
        filename=filename, url=f"https://up.example/{filename}", version=Version("1.0"), sha256=Digest(sha), **more
    )  # type: ignore[arg-type]


# What honest clients get


def test_an_uploaded_wheel_is_served_with_its_metadata_at_once(farm: UploadFarm, wheel: Path) -> None:
    fields = [("name", "Demo"), ("version", "1.0"), ("filetype", "bdist_wheel"), ("sha256_digest", sha256(wheel))]
    assert farm.wheel(wheel, fields).status == 200
    entry = file_of(farm.ask("GET", "/simple/demo/", headers=JSON), wheel.name)
    assert entry["hashes"] == {"sha256": sha256(wheel)}
    got = farm.ask("GET", urljoin("/simple/demo/", entry["url"] + ".metadata"))
    assert hashlib.sha256(got.text.encode()).hexdigest() == entry["core-metadata"]["sha256"]
    assert farm.ask("HEAD", urljoin("/simple/demo/", entry["url"])).headers["content-length"] == str(
        wheel.stat().st_size
    )
    assert farm.store.catalogue.wheel(wheel.name).uploader == "ci"  # type: ignore[union-attr]
    assert farm.waste() == []


def test_the_same_bytes_again_are_welcome_and_others_are_told_so(farm: UploadFarm, wheel: Path, tmp_path: Path) -> None:
    assert farm.wheel(wheel).status == 200
    serial = farm.store.serial()
    assert farm.wheel(wheel).status == 200
    (tmp_path / "other").mkdir()
    other = make_wheel(tmp_path / "other", "demo", {"demo/__init__.py": b"X = 2\n"})
    answer = farm.wheel(other)
    assert answer.status == 400
    assert answer.text.startswith("400 File already exists (demo-1.0-py3-none-any.whl")
    assert farm.store.serial() == serial
    assert farm.store.digest_of(wheel.name) == sha256(wheel)


def tool(farm: UploadFarm, folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment that the tests run in, with the farm's token at hand."""
    secret = {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": farm.secret, "UV_PUBLISH_TOKEN": farm.secret}
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_NO_CONFIG": "1",
    } | secret
    command = [str(Path(sys.executable).with_name(argv[0])), *argv[1:]]
    return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


# Twine allows --skip-existing for public indexes only; its judgement of an answer is the same.
_SKIPPED = """
import os, sys, requests
from twine.commands.upload import skip_upload
answer = requests.post(sys.argv[1], data={":action": "file_upload"}, files={"content": open(sys.argv[2], "rb")},
                       auth=("__token__", os.environ["TWINE_PASSWORD"]))
sys.exit(not skip_upload(answer, True, None))
"""


def test_twine_uploads_and_would_skip_what_has_the_name(farm: UploadFarm, wheel: Path, tmp_path: Path) -> None:
    argv = (
        "twine",
        "upload",
        "--non-interactive",
        "--disable-progress-bar",
        "--repository-url",
        f"{farm.url}/legacy/",
        str(wheel),
    )
    first = tool(farm, tmp_path, *argv)
    assert first.returncode == 0, first.stdout + first.stderr
    assert farm.listed("demo") == [wheel.name]
    assert tool(farm, tmp_path, *argv).returncode == 0
    make_wheel(tmp_path, "demo", {"demo/__init__.py": b"X = 2\n"})
    refused = tool(farm, tmp_path, *argv)
    assert refused.returncode != 0
    assert "400" in refused.stdout
    skipped = tool(farm, tmp_path, "python", "-c", _SKIPPED, f"{farm.url}/legacy/", str(wheel))
    assert skipped.returncode == 0, skipped.stderr


def test_uv_publishes_and_compares_what_is_there(farm: UploadFarm, wheel: Path, tmp_path: Path) -> None:
    argv = ("uv", "publish", "--publish-url", f"{farm.url}/legacy/", str(wheel))
    checked = (*argv, "--check-url", f"{farm.url}/simple/")
    first = tool(farm, tmp_path, *argv)
    assert first.returncode == 0, first.stderr
    assert farm.listed("demo") == [wheel.name]
    assert tool(farm, tmp_path, *argv).returncode == 0
    again = tool(farm, tmp_path, *checked)
    assert again.returncode == 0
    assert "already exists" in again.stderr
    make_wheel(tmp_path, "demo", {"demo/__init__.py": b"X = 2\n"})
    refused = tool(farm, tmp_path, *argv)
    assert refused.returncode != 0
    assert "File already exists" in refused.stderr
    differs = tool(farm, tmp_path, *checked)
    assert differs.returncode != 0
    assert "do not match" in differs.stderr


def test_curl_needs_no_more_than_the_file(farm: UploadFarm, wheel: Path) -> None:
    argv = [
        "curl",
        "-sS",
        "-u",
        f"__token__:{farm.secret}",
        "-F",
        f"content=@{wheel}",
        "-w",
        "%{http_code}",
        f"{farm.url}/",
    ]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert (ran.returncode, ran.stdout) == (0, "200"), ran.stderr
    assert farm.listed("demo") == [wheel.name]


def test_native_wheels_of_other_systems_are_taken(farm: UploadFarm, tmp_path: Path) -> None:
    for tag in ("cp311-cp311-macosx_11_0_arm64", "cp311-cp311-win_amd64"):
        assert (
            farm.wheel(make_wheel(tmp_path, "demo", {"demo.so": b"\xcf\xfa\xed\xfe" + b"\0" * 60}, tag=tag)).status
            == 200
        )
    assert len(farm.listed("demo")) == 2


def test_a_wheel_takes_over_when_and_whether_its_source_may_be_used(farm: UploadFarm, wheel: Path) -> None:
    uploaded = datetime(2024, 5, 6, tzinfo=UTC)
    source = upstream_file("demo-1.0.tar.gz", "5" * 64, yanked="broken", upload_time=uploaded)
    farm.upstream["demo"] = UpstreamProject(files=(source,))
    assert farm.wheel(wheel).status == 200
    entry = file_of(farm.ask("GET", "/simple/demo/", headers=JSON), wheel.name)
    assert (entry["yanked"], entry["upload-time"][:10]) == ("broken", "2024-05-06")


def test_an_sdist_of_a_private_name_is_taken_and_upstream_never_asked(farm: UploadFarm, tmp_path: Path) -> None:
    made = sdist(tmp_path, "acme-core")
    assert farm.upload(made.name, made.read_bytes(), [("filetype", "sdist")]).status == 200
    entry = file_of(farm.ask("GET", "/simple/acme-core/", headers=JSON), made.name)
    # Its metadata may change when it is built (PEP 658).
    assert not entry.get("core-metadata")
    got = farm.ask("GET", urljoin("/simple/acme-core/", entry["url"]))
    assert (got.status, got.headers["content-length"]) == (200, str(made.stat().st_size))
    assert farm.asked == []


def test_many_at_once_are_all_there(farm: UploadFarm, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only here

    made = [make_wheel(tmp_path, f"demo{n % 3}", {"m.py": b"%d" % n}, tag=f"py3{n}-none-any") for n in range(18)]
    with ThreadPoolExecutor(6) as pool:
        assert [answer.status for answer in pool.map(farm.wheel, made)] == [200] * 18
    assert sum(len(farm.listed(f"demo{n}")) for n in range(3)) == 18


# Who may


def test_who_has_no_valid_token_is_told_how_to_get_one(farm: UploadFarm, wheel: Path) -> None:
    farm.token("old", expires=datetime.now(UTC) - timedelta(seconds=1))
    for header in (
        {"Authorization": ""},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer farm_wrong"},
        farm.login("wrong"),
    ):
        answer = farm.wheel(wheel, **header)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert "farm token create" in answer.text
    assert farm.store.names() == ()
    assert farm.wheel(wheel, Authorization=f"Bearer {farm.secret}").status == 200


def test_an_expired_or_revoked_token_is_refused_at_the_next_request(farm: UploadFarm, wheel: Path) -> None:
    expired = farm.token("old", expires=datetime.now(UTC) - timedelta(seconds=1))
    assert farm.wheel(wheel, **farm.login(expired)).status == 401
    assert farm.wheel(wheel).status == 200
    before = farm.access.stamp()
    farm.tokens.revoke("ci")
    assert farm.access.stamp() != before
    assert farm.wheel(wheel).status == 401


def test_a_token_does_what_it_is_for_only(farm: UploadFarm, wheel: Path, tmp_path: Path) -> None:
    reader, acme = farm.token("reader", "read"), farm.token("acme", "upload", "acme-*")
    answer = farm.wheel(wheel, **farm.login(reader))
    assert (answer.status, "read only" in answer.text) == (403, True)
    answer = farm.wheel(wheel, **farm.login(acme))
    assert (answer.status, "acme-*" in answer.text) == (403, True)
    made = make_wheel(tmp_path, "acme_core", CODE)
    assert farm.wheel(made, **farm.login(acme)).status == 200
    assert farm.store.names() == ("acme-core",)


def test_reading_by_token(tmp_path: Path, wheel: Path) -> None:
    with UploadFarm(root=tmp_path / "store", open_reading=False) as farm:
        assert farm.wheel(wheel).status == 200
        reader = farm.token("reader", "read")
        assert farm.ask("GET", "/simple/demo/").status == 401
        assert farm.ask("GET", "/simple/demo/", headers=farm.login(reader)).status == 200
        farm.tokens.revoke("reader")
        assert farm.ask("GET", "/simple/demo/", headers=farm.login(reader)).status == 401


# What would harm the index


def test_upstream_s_file_is_never_hidden(farm: UploadFarm, wheel: Path) -> None:
    farm.upstream["demo"] = UpstreamProject(files=(upstream_file(wheel.name, "7" * 64),))
    answer = farm.wheel(wheel)
    assert (answer.status, answer.text.startswith("400 File already exists")) == (400, True)
    farm.upstream["demo"] = UpstreamProject(files=(upstream_file(wheel.name, sha256(wheel)),))
    assert farm.wheel(wheel).status == 200


@pytest.mark.parametrize("status", ["archived", "quarantined"])
def test_a_closed_project_takes_no_uploads(farm: UploadFarm, wheel: Path, status: str) -> None:
    farm.upstream["demo"] = UpstreamProject(status=status)
    answer = farm.wheel(wheel)
    assert (answer.status, status in answer.text) == (403, True)
    assert farm.store.names() == ()


def test_an_sdist_of_a_public_name_would_shadow_upstream_s(farm: UploadFarm, tmp_path: Path) -> None:
    made = sdist(tmp_path, "demo")
    answer = farm.upload(made.name, made.read_bytes())
    assert (answer.status, "private names only" in answer.text) == (403, True)


def test_what_upstream_has_is_unknown_while_it_does_not_answer(farm: UploadFarm, wheel: Path) -> None:
    farm.silent.add("demo")
    answer = farm.wheel(wheel)
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert farm.store.names() == ()
    farm.silent.clear()
    assert farm.wheel(wheel).status == 200


# Forms that do not agree


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "other", "name other"),
        ("version", "2.0", "version 2.0"),
        ("version", "1" * 5000, "version 111"),
        ("name", "x" * 100_000, "name xxx"),
        ("requires_python", ">=" + "1" * 5000, "requires_python"),
        ("requires_dist", "evil>=" + "1" * 5000, "requires_dist"),
        ("filetype", "sdist", "filetype sdist"),
        ("sha256_digest", "0" * 64, "sha256_digest"),
        ("md5_digest", "0" * 32, "md5_digest"),
        ("blake2_256_digest", "0" * 64, "blake2_256_digest"),
        ("requires_python", ">=4", "requires_python"),
        ("requires_dist", "evil", "requires_dist"),
        (":action", "remove_pkg", ":action"),
        ("protocol_version", "9", "protocol_version"),
    ],
)
def test_a_field_that_is_not_the_file_s_is_refused(
    farm: UploadFarm, wheel: Path, field: str, value: str, says: str
) -> None:
    answer = farm.wheel(wheel, [(field, value)])
    assert (answer.status, says in answer.text) == (400, True), answer.text
    assert len(answer.text) < 3000
    assert (farm.store.names(), farm.waste()) == ((), [])


def test_fields_that_are_the_file_s_are_taken(farm: UploadFarm, tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "demo", CODE, requires=("Six >= 1.0", "numpy; extra == 'x'"))
    data = made.read_bytes()
    digests = [
        ("md5_digest", hashlib.md5(data).hexdigest()),
        ("blake2_256_digest", hashlib.blake2b(data, digest_size=32).hexdigest()),
    ]
    requires = [("requires_dist", "Six>=1.0"), ("requires_dist", 'numpy; extra == "x"')]
    answer = farm.wheel(
        made, [*digests, *requires, ("metadata_version", "2.1"), ("summary", "ümläut"), ("attestations", "[]")]
    )
    assert answer.status == 200, answer.text


def test_a_field_twice_is_refused(farm: UploadFarm, wheel: Path) -> None:
    assert farm.wheel(wheel, [("name", "demo"), ("name", "demo")]).status == 400


# Forms that are none


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", f"multipart/form-data; boundary={EDGE}", 400),
        (b"name=demo", "application/x-www-form-urlencoded", 415),
        (b"x", "multipart/form-data", 415),
        (b"x", f"multipart/form-data; boundary={'b' * 71}", 415),
        (b"garbage", f"multipart/form-data; boundary={EDGE}", 400),
        (form([("name", "demo")], "x", b"")[: -len(EDGE) - 8], f"multipart/form-data; boundary={EDGE}", 400),
        (f'--{EDGE}\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n--{EDGE}--\r\n'.encode(),
         f"multipart/form-data; boundary={EDGE}", 400),
        (f'--{EDGE}\r\nContent-Disposition: form-data; name="content"\r\n\r\nx\r\n--{EDGE}--\r\n'.encode(),
         f"multipart/form-data; boundary={EDGE}", 400),
        (f"--{EDGE}\r\n\r\nno name\r\n--{EDGE}--\r\n".encode(), f"multipart/form-data; boundary={EDGE}", 400),
    ],
    ids=["empty", "urlencoded", "no-boundary", "long-boundary", "garbage", "cut", "no-content", "unnamed-content", "unnamed-part"],
)  # fmt: skip
def test_what_is_no_form_is_refused(farm: UploadFarm, body: bytes, kind: str, status: int) -> None:
    answer = farm.ask("POST", "/legacy/", body, farm.login() | {"Content-Type": kind})
    assert answer.status == status, answer.text
    assert farm.waste() == []


def test_two_files_in_one_form_are_refused(farm: UploadFarm, wheel: Path) -> None:
    one = form([], wheel.name, wheel.read_bytes())
    body = one[: -len(EDGE) - 6] + one
    answer = farm.ask(
        "POST", "/legacy/", body, farm.login() | {"Content-Type": f"multipart/form-data; boundary={EDGE}"}
    )
    assert (answer.status, "more than one file" in answer.text) == (400, True)


def test_thousands_of_fields_and_huge_ones_are_refused(farm: UploadFarm, wheel: Path) -> None:
    many = farm.wheel(wheel, [(f"f{n}", "x") for n in range(5000)])
    assert (many.status, "300 fields" in many.text) == (413, True)
    large = farm.wheel(wheel, [("description", "x" * 300_000)])
    assert (large.status, "200000 bytes" in large.text) == (413, True)
    assert farm.upload("x" * 100_000, b"").status == 400
    assert (farm.store.names(), farm.waste()) == ((), [])


def test_a_file_over_the_limit_is_refused_whether_announced_or_not(farm: UploadFarm, wheel: Path) -> None:
    data = b"x" * (9 << 20)
    answer = farm.upload(wheel.name, data)
    assert (answer.status, "upload-limit" in answer.text) == (413, True)
    body = form([], wheel.name, data)
    headers = farm.login() | {"Content-Type": f"multipart/form-data; boundary={EDGE}", "Transfer-Encoding": "chunked"}
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (body[i : i + 65536] for i in range(0, len(body), 65536)))
    assert farm.ask("POST", "/legacy/", chunks + b"0\r\n\r\n", headers).status == 413
    assert farm.waste() == []


# Clients that misbehave


def send_half(farm: UploadFarm, wheel: Path) -> socket.socket:
    """Begin an upload and send all but the end of the file."""
    body = form([], wheel.name, wheel.read_bytes() + b"x" * 3_000_000)
    head = f"POST /legacy/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={EDGE}\r\nContent-Length: {len(body)}\r\n"
    connection = socket.create_connection(("127.0.0.1", farm.port), timeout=20)
    connection.sendall(f"{head}Authorization: {farm.login()['Authorization']}\r\n\r\n".encode() + body[:2_500_000])
    return connection


def wait_until_clean(farm: UploadFarm) -> None:
    end = time.monotonic() + 10
    while farm.waste() and time.monotonic() < end:
        time.sleep(0.02)
    assert farm.waste() == []


def test_an_upload_that_is_cut_leaves_nothing(farm: UploadFarm, wheel: Path) -> None:
    connection = send_half(farm, wheel)
    end = time.monotonic() + 10
    while not farm.waste() and time.monotonic() < end:
        time.sleep(0.01)
    assert len(farm.waste()) == 1
    connection.close()
    wait_until_clean(farm)
    assert farm.store.names() == ()


def test_a_client_that_falls_silent_is_told_and_let_go(farm: UploadFarm, wheel: Path) -> None:
    with send_half(farm, wheel) as connection:
        assert b" 408 " in connection.recv(4096).partition(b"\r\n")[0]
    wait_until_clean(farm)


def test_a_client_that_trickles_is_told_and_let_go(farm: UploadFarm, wheel: Path) -> None:
    body = form([], wheel.name, b"x" * 1_000_000)
    head = f"POST /legacy/ HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={EDGE}\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", farm.port), timeout=20) as connection:
        connection.sendall(f"{head}Authorization: {farm.login()['Authorization']}\r\n\r\n".encode())
        connection.setblocking(False)
        answer, sent, end = b"", 0, time.monotonic() + 15
        while not answer and time.monotonic() < end:
            try:
                answer = connection.recv(4096)
            except BlockingIOError:
                connection.send(body[sent : sent + 10])
                sent += 10
                time.sleep(0.1)
    assert b" 408 " in answer.partition(b"\r\n")[0]
    wait_until_clean(farm)


def test_slow_uploaders_do_not_hold_up_readers_or_others(farm: UploadFarm, wheel: Path) -> None:
    slow = [send_half(farm, wheel) for _ in range(10)]
    started = time.monotonic()
    assert farm.wheel(wheel).status == 200
    assert farm.listed("demo") == [wheel.name]
    assert time.monotonic() - started < 5
    for connection in slow:
        connection.close()
    wait_until_clean(farm)


def test_more_uploads_than_allowed_are_told_to_come_again(tmp_path: Path, wheel: Path) -> None:
    from dataclasses import replace  # noqa: PLC0415 - only here

    from tests.functional.upload_server import LIMITS  # noqa: PLC0415 - only here

    with UploadFarm(root=tmp_path / "store", limits=replace(LIMITS, at_once=2, stall=5.0, grace=10.0)) as farm:
        slow = [send_half(farm, wheel) for _ in range(2)]
        end = time.monotonic() + 10
        while len(farm.waste()) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        answer = farm.wheel(wheel)
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        for connection in slow:
            connection.close()
        wait_until_clean(farm)
        assert farm.wheel(wheel).status == 200


def test_the_answer_tells_no_path_of_the_server(farm: UploadFarm, wheel: Path) -> None:
    made = sdist(wheel.parent, "acme-core", "other")
    for answer in (
        farm.upload(wheel.name, b"no zip"),
        farm.upload("acme_core-1.0.tar.gz", b"no tar"),
        farm.upload(made.name, made.read_bytes()),
    ):
        assert answer.status == 400
        assert str(farm.root) not in answer.text
        assert ".tmp" not in answer.text
    assert json.dumps(farm.waste()) == "[]"
