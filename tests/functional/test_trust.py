"""`farm key`, `farm verify` and served statements, as processes."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from farm.adapters.signing import Keys
from farm.adapters.store import Store
from farm.model.messages import Publish
from farm.model.page import HTML, JSON
from farm.serve.simple import render_project
from farm.work.attest import AttestPorts, attest
from tests.fakes import nouns
from tests.fakes.store import FakeClock, Wheelmaker
from tests.functional.test_serve_command import get, started

if TYPE_CHECKING:
    from pathlib import Path

    from farm.model.attempt import WheelRecord
    from tests.functional.conftest import Shell

PUBLIC = "https://wheels.example.test/farm"
SERVED = f'[serve]\npublic-url = "{PUBLIC}"\n[trust]\nserve-provenance = true\n'


@pytest.fixture
def record(shell: Shell, tmp_path: Path) -> WheelRecord:
    """A wheel that this shell's farm has signed and published."""
    store = Store(shell.folder / ".farm", render_project, FakeClock())
    keys = Keys(shell.folder / ".farm")
    keys.create()
    record, verified = Wheelmaker(folder=tmp_path / "built").make("demo", "1.0")
    ports = AttestPorts(
        clock=FakeClock(), signer=keys, attestations=store.attestations, log_digest=lambda _: "", version="1"
    )
    attest(Publish(job=nouns.job("demo==1.0"), verified=verified), ports)
    store.publish(record, verified)
    store.close()
    shutil.copyfile(verified.built.wheel.path, shell.folder / record.filename)
    return record


def test_a_key_is_made_shown_exported_and_changed(shell: Shell) -> None:
    assert "farm key new" in shell.run("key", "show").err
    made = shell.run("key", "new")
    assert (made.code, len(made.out.strip())) == (0, 64)
    path = shell.folder / ".farm" / "keys" / "farm.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = shell.run("key", "new")
    assert (again.code, "there is a key already" in again.err) == (2, True)
    old = shell.run("key", "export").out
    assert old.startswith("-----BEGIN PUBLIC KEY-----")
    assert path.read_text() not in shell.run("key", "show", "--json").out
    new = shell.run("key", "rotate").out.strip()
    shown = shell.run("key", "show", "--json").json
    assert shown["signs"] == new
    assert {row["keyid"] for row in shown["trusted"]} == {made.out.strip(), new}
    assert shell.run("key", "export").out != old == shell.run("key", "export", made.out[:12]).out
    assert shell.run("key", "distrust", made.out[:12]).code == 0
    assert [row["keyid"] for row in shell.run("key", "show", "--json").json["trusted"]] == [new]
    shell.write("old.pub", old)
    assert shell.run("key", "trust", "old.pub").code == 0
    assert shell.run("key", "trust", "config.toml").code == 2


def test_a_wheel_is_verified_by_the_store_that_built_it(shell: Shell, record: WheelRecord) -> None:
    done = shell.run("verify", record.filename)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{record.filename}: verified\n")
    assert f"demo-1.0.tar.gz, sha256 {nouns.job('demo==1.0').sdist.sha256}" in done.out
    assert "Not proven: that the sources are harmless" in done.out


def test_a_changed_byte_is_refused(shell: Shell, record: WheelRecord) -> None:
    path = shell.folder / record.filename
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = shell.run("verify", record.filename)
    assert done.code == 1
    assert "NOT VERIFIED" in done.out
    told = shell.run("verify", record.filename, "--json").json
    assert (told["verified"], told["statement"]) == (False, None)
    assert told["sha256"] == hashlib.sha256(data).hexdigest()


def test_elsewhere_it_takes_the_public_key_and_the_statement(shell: Shell, record: WheelRecord) -> None:
    shell.write("farm.pub", shell.run("key", "export").out)
    kept = shell.folder / ".farm" / "provenance" / record.sha256[:2] / f"{record.sha256[2:]}.jsonl"
    shutil.copyfile(kept, shell.folder / f"{record.filename}.intoto.jsonl")
    (shell.folder / ".farm").rename(shell.folder / "elsewhere")
    lacks = shell.run("verify", record.filename)
    assert (lacks.code, "no key to verify with" in lacks.err) == (2, True)
    done = shell.run("verify", record.filename, "--key", "farm.pub", "--json")
    assert done.json["verified"] is True
    assert done.json["statement"]["subject"][0]["name"] == record.filename
    Keys(shell.folder / "other").create()
    shell.write("other.pub", Keys(shell.folder / "other").public().pem)
    wrong = shell.run("verify", record.filename, "--key", "other.pub")
    assert (wrong.code, "is signed by" in wrong.out) == (1, True)
    shell.write("bad.jsonl", "{}")
    bad = shell.run("verify", record.filename, "--key", "farm.pub", "--provenance", "bad.jsonl")
    assert (bad.code, "cannot be read" in bad.out) == (1, True)
    assert shell.run("verify", record.filename, "--key", "farm.pub", "--provenance", "none.jsonl").code == 2
    shell.write("some.tar.gz", "another sdist")
    other = shell.run("verify", record.filename, "--key", "farm.pub", "--sdist", "some.tar.gz")
    assert (other.code, "the wheel was built from" in other.out) == (1, True)


def test_statements_are_served_where_that_is_configured(shell: Shell, record: WheelRecord) -> None:
    plain = f"files/{record.sha256[:2]}/{record.sha256[2:]}/{record.filename}"
    with started(shell) as (url, _):
        before = get(f"{url}/wheels/simple/demo/", {"Accept": JSON})
        assert b"provenance" not in before[2]
        assert get(f"{url}/{plain}.provenance")[0] == 404
    config = shell.folder / "config.toml"
    config.write_text(config.read_text() + SERVED)
    with started(shell) as (url, _):
        for view in ("", "/wheels"):
            status, headers, body = get(f"{url}{view}/simple/demo/", {"Accept": JSON})
            assert (status, headers["etag"] != before[1]["etag"]) == (200, True)
            (entry,) = [entry for entry in json.loads(body)["files"] if entry["filename"] == record.filename]
            assert entry["provenance"] == f"{PUBLIC}/{plain}.provenance"
            assert f'data-provenance="{PUBLIC}/{plain}.provenance"'.encode() in get(f"{url}{view}/simple/demo/", {"Accept": HTML})[2]
        there = url + urlsplit(entry["provenance"]).path.removeprefix("/farm")
        status, headers, body = get(there)
        assert (status, headers["content-type"]) == (200, "application/vnd.pypi.integrity.v1+json")
        document = json.loads(body)
        assert (document["version"], document["attestation_bundles"][0]["publisher"]["kind"]) == (1, "farm")
        assert get(there, {"If-None-Match": headers["etag"]})[0] == 304
        for ending in (".provenance", ".intoto.jsonl"):
            done = shell.run("verify", record.filename, "--provenance", there.removesuffix(".provenance") + ending)
            assert (done.code, done.err) == (0, "")
        assert get(there.replace(record.sha256[2:], "0" * 62))[0] == 404
    fsck = shell.run("fsck")
    assert fsck.code == 0, fsck.out + fsck.err


def test_pages_name_statements_only_at_a_secure_origin(shell: Shell, record: WheelRecord) -> None:
    config = shell.folder / "config.toml"
    config.write_text(config.read_text() + SERVED.replace("https:", "http:"))
    done = shell.run("serve", "--port", "0")
    assert done.code == 2
    assert "trust.serve-provenance: expected an index with an https URL" in done.err
