"""Wheels that are compiled for one processor, and wheels that choose at run time, built and looked through in real images."""

from __future__ import annotations

import uuid

import pytest

from farm.adapters.builder import DockerBuilder
from farm.adapters.instructions import DockerScanner
from farm.model.instructions import ScanRequest
from farm.model.job import Recipe
from farm.work.baseline import processor_faults
from tests.integration.container_fixtures import LIMITS, TARGET, built

pytestmark = [pytest.mark.docker, pytest.mark.network]


def scanned(farm, outcome):
    request = ScanRequest(
        wheel=outcome.path, image=farm.builder, target=TARGET, log=farm.folder / "scan.log",
        attempt=f"test-{uuid.uuid4().hex[:12]}", limits=LIMITS,
    )  # fmt: skip
    return DockerScanner(farm.host).scan(request)


def faults(farm, project, **environment):
    recipe = Recipe(environment=tuple(environment.items()))
    outcome = built(DockerBuilder(farm.host).build(farm.request(project, recipe=recipe)), farm)
    return processor_faults(scanned(farm, outcome), "v2")


@pytest.mark.parametrize("flags", ["-march=x86-64-v3", "-mavx2", "-march=x86-64-v4"])
def test_code_for_one_processor_is_found(farm, flags):
    (fault,) = faults(farm, "simd-plain", CFLAGS=flags)
    assert "throughout" in fault


@pytest.mark.parametrize("project", ["simd-plain", "simd-chooses", "cpp", "fortran"])
def test_what_runs_everywhere_is_let_pass(farm, project):
    assert faults(farm, project) == ()


def test_what_chooses_at_run_time_is_still_refused_when_all_of_it_is_for_one_processor(farm):
    (fault,) = faults(farm, "simd-chooses", CFLAGS="-march=x86-64-v3")
    assert "throughout" in fault
