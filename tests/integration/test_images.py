"""Images in a real engine: what is in them, that they serve cibuildwheel, and when they are made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from farm.adapters import docker_engine
from farm.adapters.image_files import ImageFiles
from farm.adapters.images import DockerImages, ImageSettings
from farm.adapters.pipconfig import IndexSettings
from farm.adapters.sandbox import HOME, USER
from farm.errors import EngineError, ImageError
from farm.model.image import Image, parse_spec
from farm.model.target import parse_target
from farm.wire.site import certificates
from tests.integration.smoke import SCRIPTS

pytestmark = pytest.mark.docker

HOST = os.environ.get("DOCKER_HOST")
COMPILERS = (
    "as",
    "c++",
    "cargo",
    "cc",
    "clang",
    "cmake",
    "cpp",
    "g++",
    "gcc",
    "gfortran",
    "ld",
    "make",
    "ninja",
    "pkg-config",
    "rustc",
)
LOCKED = "--network=none --cap-drop=ALL --security-opt=no-new-privileges"
# A backend of the project's own, so that nothing has to be fetched: it calls the compiler that the image has.
BACKEND = """
import base64, hashlib, subprocess, sys, sysconfig, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    module = "tiny" + sysconfig.get_config_var("EXT_SUFFIX")
    include = "-I" + sysconfig.get_paths()["include"]
    subprocess.run(["gcc", "-shared", "-fPIC", include, "tiny.c", "-o", module], check=True)
    tag = "cp%d%d" % sys.version_info[:2]
    name = f"tiny-1.0-{tag}-{tag}-linux_x86_64.whl"
    files = {
        module: open(module, "rb").read(),
        "tiny-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n",
        "tiny-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: false\\n"
        + f"Tag: {tag}-{tag}-linux_x86_64\\n".encode(),
    }
    rows = ""
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        for path, data in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
            rows += f"{path},sha256={digest},{len(data)}\\n"
            wheel.writestr(path, data)
        wheel.writestr("tiny-1.0.dist-info/RECORD", rows + "tiny-1.0.dist-info/RECORD,,\\n")
    return name
"""
SOURCE = """
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tiny", 0, -1, methods};
PyMODINIT_FUNC PyInit_tiny(void) { return PyModule_Create(&module); }
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tiny"
version = "1.0"
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ImageSettings:
    bundle = certificates(IndexSettings(url=""), os.environ)
    return ImageSettings(cache=tmp_path_factory.mktemp("images"), certificates=bundle, families=("debian",))


@pytest.fixture(scope="module")
def images(settings: ImageSettings) -> DockerImages:
    try:
        docker_engine.connect(HOST).close()
    except EngineError as error:
        pytest.skip(error.reason)
    return DockerImages(HOST, settings)


@pytest.fixture(scope="module")
def builder(images: DockerImages) -> Image:
    return images.ensure(parse_spec("debian-bookworm-x86_64-builder"), print)


@pytest.fixture(scope="module")
def runtime(images: DockerImages) -> Image:
    return images.ensure(parse_spec("debian-bookworm-x86_64-runtime"), print)


def run(image: Image, script: str, *options: str) -> str:
    call = ["docker", "run", "--rm", *LOCKED.split(), *options, image.reference, "sh", "-c", script]
    return subprocess.run(call, check=True, capture_output=True, text=True).stdout


def test_an_image_tells_what_was_found_in_it(builder: Image, runtime: Image) -> None:
    for image in (builder, runtime):
        assert image.pythons == ("cp311",)
        assert image.libc == ("glibc", 2, 36)
        assert run(image, f"{image.python('cp311')} -V").startswith("Python 3.11")


def test_an_image_whose_inputs_are_the_same_is_not_made_again(images: DockerImages, builder: Image) -> None:
    said: list[str] = []
    assert images.ensure(builder.spec, said.append) == builder
    assert images.find(builder.spec) == builder
    assert said == []


def test_the_clean_room_has_no_compiler(runtime: Image) -> None:
    found = run(runtime, f"for tool in {' '.join(COMPILERS)}; do command -v $tool; done; true")
    assert found == ""
    headers = run(runtime, "find /usr /opt -name Python.h -o -name stdio.h")
    assert headers == ""


def test_no_setting_of_the_hosts_pip_is_left_in_an_image(builder: Image, runtime: Image) -> None:
    for image in (builder, runtime):
        names = {line.split("=", 1)[0] for line in run(image, "env").splitlines()}
        assert not {
            name for name in names if "INDEX" in name or "FIND_LINKS" in name or name.upper().endswith("_PROXY")
        }
        assert {"SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CARGO_HTTP_CAINFO"} <= names


def test_nothing_is_preinstalled_that_a_project_could_forget_to_ask_for(builder: Image) -> None:
    listed = run(builder, f"{builder.python('cp311')} -m pip list --format=freeze")
    assert {line.split("==")[0] for line in listed.splitlines()} == {"build", "packaging", "pip", "pyproject_hooks"}


@pytest.mark.parametrize("tool", SCRIPTS)
def test_each_tool_of_the_builder_works_without_a_network(builder: Image, tool: str) -> None:
    script, expected = SCRIPTS[tool]
    assert run(builder, f"set -e\n{script}") == expected


def test_cibuildwheel_builds_in_it_locked_down_and_the_clean_room_runs_the_wheel(
    builder: Image, runtime: Image, tmp_path: Path
) -> None:
    project, out = tmp_path / "project", tmp_path / "out"
    project.mkdir()
    for name, text in {"pyproject.toml": PROJECT, "backend.py": BACKEND, "tiny.c": SOURCE}.items():
        (project / name).write_text(text, encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "CIBW_MANYLINUX_X86_64_IMAGE": builder.reference,
        "CIBW_CONTAINER_ENGINE": f"docker; create_args: {LOCKED} --user={USER} --env=HOME={HOME}; disable_host_mount: True",
        "CIBW_BUILD_FRONTEND": "build[uv]",
        "CIBW_DEPENDENCY_VERSIONS": "latest",
    }
    call = [
        sys.executable,
        "-m",
        "cibuildwheel",
        "--only",
        "cp311-manylinux_x86_64",
        "--output-dir",
        str(out),
        str(project),
    ]
    done = subprocess.run(call, env=environment, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.iterdir()
    # the lowest policy that its symbols keep to, although this image has glibc 2.36
    assert wheel.name == "tiny-1.0-cp311-cp311-manylinux1_x86_64.manylinux_2_5_x86_64.whl"
    script = f"cat > /tmp/{wheel.name} && pip install -q --no-index /tmp/{wheel.name} && python -c 'import tiny; print(tiny.answer())'"
    call = ["docker", "run", "-i", "--rm", *LOCKED.split(), runtime.reference, "sh", "-c", script]
    assert subprocess.run(call, input=wheel.read_bytes(), check=True, capture_output=True).stdout == b"42\n"


@pytest.mark.network
def test_an_overlay_is_made_once_for_two_who_want_it_at_once(
    settings: ImageSettings, images: DockerImages, builder: Image
) -> None:
    said: list[str] = []
    made: list[Image] = []

    def want() -> None:
        made.append(DockerImages(HOST, settings).overlay(builder, ("libxxhash-dev", "libxxhash-dev"), said.append))

    threads = [threading.Thread(target=want) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = made
    try:
        assert first == second
        assert first.digest != builder.digest
        assert sum("adding libxxhash-dev" in line for line in said) == 1
        assert run(first, "pkg-config --exists libxxhash && echo there") == "there\n"
        assert (("libxxhash-dev",), "overlay") in {(stored.packages, stored.state) for stored in images.list()}
    finally:
        images.remove(first.reference)
    assert first.reference not in {stored.image.reference for stored in images.list()}
    assert images.find(builder.spec) == builder


@pytest.mark.network
def test_a_package_that_does_not_exist_is_named(images: DockerImages, builder: Image) -> None:
    with pytest.raises(ImageError, match="Unable to locate package libnosuchthing-dev"):
        images.overlay(builder, ("libnosuchthing-dev",), print)


def test_no_packages_need_no_overlay(images: DockerImages, builder: Image) -> None:
    assert images.overlay(builder, (), print) is builder


def test_a_build_that_fails_shows_why_and_leaves_no_image(
    settings: ImageSettings, builder: Image, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(ImageFiles().folder, tmp_path / "images"))
    dockerfile = "ARG BASE\nFROM ${BASE}\nLABEL farm.test=fails\nRUN echo the root cause && exit 3\n"
    (folder / "debian" / "builder.Dockerfile").write_text(dockerfile, encoding="utf-8")
    images = DockerImages(HOST, settings, folder)
    before = images.list()
    with pytest.raises(ImageError, match="the root cause") as caught:
        images.ensure(builder.spec, print)
    log = next(path for path in settings.folder("logs").iterdir() if str(path) in caught.value.solution)
    assert "the root cause" in log.read_text(encoding="utf-8")
    assert images.find(builder.spec) is None
    assert images.list() == before
    call = ["docker", "images", "--quiet", "--filter", "label=farm.test=fails"]
    assert subprocess.run(call, check=True, capture_output=True, text=True).stdout == ""
    assert list(settings.folder("contexts").iterdir()) == []


def test_removing_what_is_not_there_says_so(images: DockerImages) -> None:
    with pytest.raises(ImageError, match="no image farm/none:1"):
        images.remove("farm/none:1")


def test_a_target_gets_the_suite_that_its_machines_can_run(images: DockerImages) -> None:
    assert images.choose(parse_target("cp311-manylinux_2_36_x86_64")).variant == "bookworm"
    assert images.choose(parse_target("cp313-manylinux_2_41_x86_64"), "runtime").name == "debian-trixie-x86_64-runtime"
    with pytest.raises(ImageError, match="no builder image serves cp311-manylinux_2_28_x86_64"):
        images.choose(parse_target("cp311-manylinux_2_28_x86_64"))
