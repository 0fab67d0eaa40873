"""Real wheels, installed and imported in the clean room."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from farm.adapters.builder import DockerBuilder
from farm.adapters.runtime import DockerProver
from tests.integration.container_fixtures import built
from tests.unit.adapters.wheels import make_wheel

pytestmark = [pytest.mark.docker, pytest.mark.network]


def checks(verdict):
    return {check.name: check for check in verdict.checks}


@pytest.mark.parametrize(
    ("project", "kind"), [("c", "native"), ("cpp", "native"), ("fortran", "native"), ("pure", "pure")]
)
def test_a_built_wheel_holds(farm, project, kind):
    wheel = built(DockerBuilder(farm.host).build(farm.request(project, kind=kind)), farm)
    verdict = DockerProver(farm.host).prove(farm.proof(wheel.path, (f"farm_{project}",)))
    assert verdict.ok, verdict
    assert [check.name for check in verdict.checks] == [
        "no compiler in the image",
        "installs",
        "pip check",
        f"imports farm_{project}",
    ]
    assert verdict.image == farm.runtime.digest


def test_a_wheel_that_needs_what_is_not_beside_it_does_not_install(farm, tmp_path):
    wheel = make_wheel(tmp_path, "lonely", {"lonely.py": b""}, requires=("farm-not-there",))
    verdict = DockerProver(farm.host).prove(farm.proof(wheel, ("lonely",)))
    assert not verdict.ok
    assert "farm-not-there" in checks(verdict)["installs"].detail
    assert "imports lonely" not in checks(verdict)


def test_what_is_beside_a_wheel_is_installed_with_it(farm, tmp_path):
    beside = make_wheel(tmp_path, "friend", {"friend.py": b"ANSWER = 42"})
    wheel = make_wheel(
        tmp_path, "lonely", {"lonely.py": b"import friend; assert friend.ANSWER == 42"}, requires=("friend",)
    )
    request = farm.proof(wheel, ("lonely",))
    assert DockerProver(farm.host).prove(replace(request, beside=(beside,))).ok


def test_each_module_is_judged_by_itself(farm, tmp_path):
    members = {
        "good.py": b"print('imported bad')",
        "bad.py": b"import nothing_of_the_kind",
        "leaves.py": b"import os; os._exit(0)",
        "exits.py": b"raise SystemExit(0)",
        "crashes.py": b"import ctypes; ctypes.string_at(0)",
    }
    wheel = make_wheel(tmp_path, "many", members)
    found = checks(
        DockerProver(farm.host).prove(farm.proof(wheel, tuple(name.removesuffix(".py") for name in members)))
    )
    assert found["imports good"].ok
    assert "nothing_of_the_kind" in found["imports bad"].detail
    assert found["imports leaves"].detail == "importing it ended the process"
    assert "ended the process with 0" in found["imports exits"].detail
    assert "segmentation fault" in found["imports crashes"].detail


def test_package_code_cannot_touch_what_the_proof_stands_on(farm, tmp_path):
    code = b"""
import sys
for path in (sys.executable, "/tmp/prove.py", sys.prefix + "/lib/python3.11/site-packages/x.pth"):
    try:
        open(path, "a")
    except PermissionError:
        continue
    sys.exit("could write " + path)
"""
    wheel = make_wheel(tmp_path, "writes", {"writes.py": code})
    found = checks(DockerProver(farm.host).prove(farm.proof(wheel, ("writes",))))
    assert found["imports writes"].ok, found["imports writes"].detail


def test_an_import_that_hangs_ends_with_the_proof(farm, tmp_path):
    wheel = make_wheel(tmp_path, "hangs", {"hangs.py": b"import time; time.sleep(3600)"})
    started = time.monotonic()
    verdict = DockerProver(farm.host).prove(farm.proof(wheel, ("hangs",), seconds=10))
    assert time.monotonic() - started < 20
    assert "time limit" in checks(verdict)["imports hangs"].detail


def test_a_wheel_for_another_platform_does_not_install(farm, tmp_path):
    wheel = make_wheel(tmp_path, "other", {"other.py": b""}, tag="cp312-cp312-manylinux_2_17_x86_64")
    verdict = DockerProver(farm.host).prove(farm.proof(wheel, ("other",)))
    assert "not a supported wheel" in checks(verdict)["installs"].detail
