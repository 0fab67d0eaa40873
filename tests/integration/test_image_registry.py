"""Pins against a real registry on loopback: asked, locked, pulled by digest, moved; and an engine's surplus cleared away."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from docker.errors import ImageNotFound

from farm.adapters.image_maker import BASE, LIBC, PACKAGES, PYTHONS, SPEC, ImageSettings
from farm.adapters.image_pins import read_lock
from farm.adapters.images import DockerImages
from farm.adapters.pipconfig import IndexSettings
from farm.errors import EngineError
from farm.model.image import parse_spec
from farm.model.image_lock import Pruning
from farm.wire.site import certificates
from tests.functional.conftest import REPOSITORY, Shell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

pytestmark = pytest.mark.docker

HOST = os.environ.get("DOCKER_HOST")
RUNTIME = parse_spec("manylinux_2_36-x86_64-runtime")
# Its suite exists nowhere, so that nothing of anyone else's has this name.
NOBODYS = "debian-nosuchsuite-x86_64-builder"
CONFIG = """\
version: 0.1
log: {{level: warn}}
storage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@dataclass(kw_only=True)
class Registry:
    """A registry of its own for each test, on a free port of loopback."""

    folder: Path
    client: DockerClient
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    made: list[str] = field(default_factory=list)

    @property
    def reference(self) -> str:
        return f"127.0.0.1:{self.port}/site/python:3.11"

    def start(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = self.port or int(free.getsockname()[1])
        config = self.folder / "registry.yml"
        config.write_text(CONFIG.format(folder=self.folder / "blobs", port=self.port), encoding="utf-8")
        with (self.folder / "registry.log").open("ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=log, stderr=log)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError((self.folder / "registry.log").read_text(encoding="utf-8"))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None

    def push(self, base: str, label: str) -> None:
        """Push an image that differs from others by a label, and leave nothing of it in the engine."""
        digest = build(self.client, f"FROM {base}\nLABEL release={label}\n", self.reference)
        for line in self.client.images.push(self.reference, stream=True, decode=True):
            assert "error" not in line, line
        self.client.images.remove(self.reference)
        self.made.append(digest)


def in_shell(folder: Path) -> Shell:
    return Shell(folder=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})


def build(client: DockerClient, dockerfile: str, tag: str) -> str:
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile)
        archive.addfile(member, io.BytesIO(dockerfile.encode()))
    spool.seek(0)
    image, _ = client.images.build(fileobj=spool, custom_context=True, tag=tag, rm=True, forcerm=True)
    return str(image.id)


@pytest.fixture
def registry(engine: DockerClient, tmp_path: Path) -> Iterator[Registry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("no docker-registry: make setup installs it")
    served = Registry(folder=tmp_path, client=engine)
    served.start()
    yield served
    served.stop()
    for image in engine.images.list():
        for reference in (*image.tags, *image.attrs.get("RepoDigests", ())):
            # the last name of an image takes its digests along
            if reference.startswith(f"127.0.0.1:{served.port}/"):
                with suppress(ImageNotFound):
                    engine.images.remove(reference)


@pytest.fixture
def base(engine: DockerClient) -> str:
    found = engine.images.list(name="farm/debian-bookworm-x86_64-runtime")
    if not found:
        pytest.skip("no image farm/debian-bookworm-x86_64-runtime: make it with `farm images build`")
    return str(found[0].id)


@pytest.fixture
def settings(registry: Registry, tmp_path: Path) -> Iterator[ImageSettings]:
    made = ImageSettings(
        cache=tmp_path / "cache",
        certificates=certificates(IndexSettings(url=""), os.environ),
        bases={RUNTIME.name: registry.reference},
        lock=tmp_path / "images.lock",
    )

    def there() -> set[str]:
        return {stored.image.reference for stored in DockerImages(HOST, made).list() if stored.image.spec == RUNTIME}

    before = there()
    yield made
    for reference in there() - before:
        DockerImages(HOST, made).remove(reference)


@pytest.mark.network
def test_a_base_by_tag_is_pinned_pulled_by_digest_and_moved(registry: Registry, base: str, settings: ImageSettings) -> None:
    registry.push(base, "one")
    (first,) = DockerImages(HOST, settings).update([RUNTIME])
    assert first.before is None
    assert first.moved
    assert settings.lock is not None
    assert read_lock(settings.lock).images[RUNTIME.name].digest == first.now

    said: list[str] = []
    images = DockerImages(HOST, settings)
    made = images.ensure(RUNTIME, said.append)
    assert any("pulling" in line and f"@{first.now}" in line for line in said)
    assert made.pythons == ("cp311",)

    # The tag moves. Until the pin does, the image is the same and nothing is built.
    registry.push(base, "two")
    (looked,) = images.update([RUNTIME], dry_run=True)
    assert looked.moved
    assert looked.before == first.now
    again = DockerImages(HOST, settings)
    assert again.find(RUNTIME) == made
    assert {stored.state for stored in again.list() if stored.image == made} == {"current"}

    (second,) = again.update([RUNTIME])
    assert (second.before, second.now) == (first.now, looked.now)
    after = DockerImages(HOST, settings)
    assert after.find(RUNTIME) is None
    assert {stored.state for stored in after.list() if stored.image == made} == {"superseded"}
    assert after.ensure(RUNTIME, said.append).digest != made.digest
    assert [look.moved for look in after.update([RUNTIME])] == [False]


def test_a_registry_that_does_not_answer_leaves_the_pin_and_says_so(
    registry: Registry, base: str, settings: ImageSettings, tmp_path: Path
) -> None:
    registry.push(base, "one")
    DockerImages(HOST, settings).update([RUNTIME])
    assert settings.lock is not None
    pinned = settings.lock.read_bytes()
    registry.stop()
    shell = in_shell(tmp_path)
    shell.write("config.toml", f'[images.bases]\n"{RUNTIME.name}" = "{registry.reference}"\n')
    done = shell.run("images", "update", RUNTIME.name, "--json")
    assert done.code == 3
    (row,) = done.json["pins"]
    assert row["now"] is None
    assert f"127.0.0.1:{registry.port}" in row["reason"]
    assert settings.lock.read_bytes() == pinned

    # What is not pinned is told before it is pulled.
    notes: list[str] = []
    settings.lock.unlink()
    with pytest.raises(EngineError, match="pulling"):
        DockerImages(HOST, settings, note=notes.append).ensure(RUNTIME, lambda _: None)
    assert any("farm images update" in note and registry.reference in note for note in notes)


def test_a_base_by_digest_in_the_configuration_stands(registry: Registry, base: str, settings: ImageSettings) -> None:
    registry.push(base, "one")
    (first,) = DockerImages(HOST, settings).update([RUNTIME], dry_run=True)
    repository = registry.reference.rpartition(":")[0]
    fixed = replace(settings, bases={RUNTIME.name: f"{repository}@{first.now}"})
    (look,) = DockerImages(HOST, fixed).update([RUNTIME])
    assert look.now is None
    assert not look.failed


@pytest.fixture
def old(engine: DockerClient, base: str) -> Iterator[list[str]]:
    """A builder that nothing can make any more, and an overlay of it: as the farm labels them."""
    labels = f'LABEL {SPEC}="{NOBODYS}" {PYTHONS}="cp311" {LIBC}="glibc 2 36"'
    tags = [f"farm/{NOBODYS}:{'a' * 12}", f"farm/{NOBODYS}:{'b' * 12}"]
    below = build(engine, f"FROM {base}\n{labels}\n", tags[0])
    build(engine, f'FROM {tags[0]}\nLABEL {BASE}="{below}" {PACKAGES}="libx-dev"\nENV X=1\n', tags[1])
    yield tags
    for tag in tags:
        if any(tag in image.tags for image in engine.images.list()):
            engine.images.remove(tag, force=True)


def test_what_nothing_makes_any_more_is_cleared_away_and_nothing_else(
    engine: DockerClient, old: list[str], base: str, tmp_path: Path
) -> None:
    shell = in_shell(tmp_path)
    listed = {row["reference"]: row for row in shell.run("images", "list", "--json").json["images"]}
    assert {listed[tag]["state"] for tag in old} == {"superseded"}

    spared = shell.run("images", "prune", NOBODYS, "--dry-run", "--json").json
    assert spared["images"] == [], "what was made in the last seven days is spared"
    would = shell.run("images", "prune", NOBODYS, "--keep-days", "0", "--dry-run", "--json").json
    # an overlay goes before what it is made on
    assert [row["reference"] for row in would["images"]] == [old[1], old[0]]
    assert listed.keys() == {row["reference"] for row in shell.run("images", "list", "--json").json["images"]}

    done = shell.run("images", "prune", NOBODYS, "--keep-days", "0", "--json")
    assert done.code == 0
    assert [row["kept"] for row in done.json["images"]] == [None, None]
    left = {row["reference"] for row in shell.run("images", "list", "--json").json["images"]}
    assert set(old).isdisjoint(left)
    assert base in {image.id for image in engine.images.list()}


def test_what_a_container_uses_stays(engine: DockerClient, old: list[str], tmp_path: Path) -> None:
    container = engine.containers.create(old[1], ["true"], network_mode="none")
    try:
        settings = ImageSettings(cache=tmp_path, certificates=certificates(IndexSettings(url=""), os.environ))
        request = Pruning(before=datetime.now(UTC) + timedelta(hours=1), only=frozenset({parse_spec(NOBODYS)}))
        found, _ = DockerImages(HOST, settings).prune(request)
        kept = {one.reference: one.kept for one in found}
        assert "is in use" in kept[old[1]]
        assert old[1] in {tag for image in engine.images.list() for tag in image.tags}
    finally:
        container.remove(force=True)


def test_a_suites_day_is_read_off_the_real_archive(tmp_path: Path) -> None:
    shell = in_shell(tmp_path)
    shell.write("config.toml", "")
    done = shell.run("images", "update", "debian-bookworm-x86_64-builder", "--json")
    assert done.code == 0, done
    (row,) = done.json["pins"]
    assert datetime.strptime(row["now"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) < datetime.now(UTC)
    assert json.dumps(row["now"]) in (tmp_path / "images.lock").read_text(encoding="utf-8")
    again = shell.run("images", "update", "debian-bookworm-x86_64-builder", "--json").json["pins"]
    assert [one["moved"] for one in again] == [False]
