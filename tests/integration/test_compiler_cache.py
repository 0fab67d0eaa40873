"""What compilers made is there for the next build of the same project, and for nobody else's."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

import pytest

from farm.adapters.builder import DockerBuilder
from farm.adapters.compiled import FOLDER, CompilerCache
from farm.adapters.disk_watch import DiskWatch
from tests.integration.container_fixtures import built
from tests.projects.sdist import PROJECTS, write_tar

pytestmark = [pytest.mark.docker, pytest.mark.network]

_SETUP = b"""
import subprocess
from setuptools import Extension, setup

setup(ext_modules=[Extension("farm_c", ["farm_c.c", "second.c"])])
print(subprocess.run(["ccache", "--print-stats"], capture_output=True, text=True).stdout)
"""


@pytest.fixture
def cache(farm):
    made = CompilerCache(store=f"test{uuid.uuid4().hex[:8]}", trusted=("farm-trusted-*",))
    yield made
    for volume in farm.host.client.volumes.list(filters={"name": f"farm-compiled-{made.store}-"}):
        volume.remove(force=True)


def build(farm, cache, second: bytes, kind: str = "native") -> dict[str, int]:
    files = {
        "setup.py": _SETUP,
        "farm_c.c": (PROJECTS / "c" / "farm_c.c").read_bytes(),
        "second.c": second,
        "pyproject.toml": (PROJECTS / "cpp" / "pyproject.toml").read_bytes().replace(b"farm-cpp", b"farm-c"),
    }
    sdist = write_tar(farm.folder / "farm_c-1.0.tar.gz", {f"farm_c-1.0/{name}": data for name, data in files.items()})
    before = len(farm.log) if (farm.folder / "build.log").exists() else 0
    built(DockerBuilder(farm.host, cache).build(replace(farm.request("c", kind=kind), sdist=sdist)), farm)
    told = re.findall(r"^\s*(\w+)\s+(\d+)$", farm.log[before:], re.MULTILINE)
    return {name: int(value) for name, value in told}


def test_only_what_changed_is_compiled_again(farm, cache):
    first = build(farm, cache, b"int second(void) { return 1; }\n")
    assert (first["cache_miss"], first["direct_cache_hit"] + first["preprocessed_cache_hit"]) == (2, 0)
    again = build(farm, cache, b"int second(void) { return 2; }\n")
    assert (again["cache_miss"], again["direct_cache_hit"]) == (3, 1), again


def test_a_cache_is_shared_by_those_that_trust_each_other_alone(farm, cache):
    request = farm.request("c")
    named = {name: replace(request.job, pin=replace(request.job.pin, name=name)) for name in ("a", "b", "farm-trusted-a", "farm-trusted-b")}
    volumes = {name: cache.volume(job, farm.builder) for name, job in named.items()}
    assert volumes["farm-trusted-a"] == volumes["farm-trusted-b"]
    assert len(set(volumes.values())) == 3
    assert replace(cache, mode="off").volume(request.job, farm.builder) == ""


def test_a_cache_that_is_filled_up_ends_the_build_and_is_thrown_away(farm, cache):
    client, volume = farm.host.client, f"farm-compiled-{cache.store}-full"
    script = f"dd if=/dev/zero of={FOLDER}/big bs=1M count=24 && exec sleep 60"
    marks = farm.host.labels(farm.host.run)
    with DiskWatch(client, f"farm.run={farm.host.run}", 1 << 40, volume, volume_limit=16 << 20) as disk:
        running = client.containers.run(
            farm.builder.digest, ["sh", "-c", script], detach=True, labels=marks, user="1000:1000", volumes={volume: {"bind": FOLDER}}
        )
        ended = running.wait(timeout=55)
    assert (ended["StatusCode"], disk.exceeded) == (137, True)
    assert [found.name for found in client.volumes.list(filters={"name": volume})] == []
