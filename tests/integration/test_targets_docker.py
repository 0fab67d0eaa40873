"""`farm targets from-image` on a real engine: images of the farm's own, with several interpreters, and without any."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from dataclasses import replace

import pytest

from farm.adapters.interpreter import ImageInterpreters
from farm.errors import ImageError
from farm.model.job import Plan
from farm.model.settings import Settings
from farm.model.target import parse_target
from farm.wire import Farm
from farm.wire.exact import exact_targets
from farm.wire.targets import configured, from_image, remember_used
from tests.fakes.nouns import job
from tests.functional.conftest import REPOSITORY
from tests.integration.container_fixtures import stored

pytestmark = pytest.mark.docker

# Answers as another patch release, and only where there is no network but the loopback.
_SECOND = """#!/bin/sh
[ "$(ls /sys/class/net)" = lo ] || exit 1
[ "$(grep -c ' /host' /proc/mounts)" = 0 ] || exit 1
exec python3 "$@" | sed -E 's/3\\.11\\.[0-9]+/3.11.99/g'
"""
_NOISE = "#!/bin/sh\necho no interpreter at all\n"


@pytest.fixture(scope="module")
def runtime(engine, images):
    return engine.images.get(stored(images, "runtime").reference)


@pytest.fixture
def made(engine):
    """Build an image from a Dockerfile and files; remove what was built."""
    built = []

    def make(dockerfile: str, **files: str) -> str:
        spool = io.BytesIO()
        with tarfile.open(fileobj=spool, mode="w") as archive:
            for name, text in {"Dockerfile": dockerfile, **files}.items():
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(text.encode()), 0o755
                archive.addfile(info, io.BytesIO(text.encode()))
        spool.seek(0)
        tag = f"farm-test/{uuid.uuid4().hex[:12]}:1"
        engine.images.build(fileobj=spool, custom_context=True, tag=tag, rm=True, forcerm=True)
        built.append(tag)
        return tag

    yield make
    for tag in built:
        engine.images.remove(tag, force=True)


def left(engine) -> int:
    return len(engine.containers.list(all=True, filters={"label": "farm.asks=interpreter"}))


def test_an_image_tells_its_target_with_the_tags_of_its_own_pip(engine, runtime, tmp_path) -> None:
    with Farm(Settings(store=tmp_path), {}) as farm:
        (found,) = from_image(farm, runtime.id, None)
    assert found.target.name == "cp311-manylinux_2_36_x86_64"
    assert found.target.full_version.startswith("3.11.")
    assert found.remarks == (), "the farm's tables and the image's own pip agree"
    assert found.interpreter.markers["python_full_version"] == found.target.full_version
    assert found.tags[0].startswith("cp311-cp311-")
    assert left(engine) == 0


def test_several_interpreters_an_entrypoint_and_no_network(engine, runtime, made, tmp_path) -> None:
    image = made(
        f"FROM {runtime.id}\nCOPY second /opt/python/cp311-second/bin/python\nCOPY noise /opt/python/noise/bin/python\n"
        'ENTRYPOINT ["/bin/false"]\nCMD ["nothing"]\n',
        second=_SECOND, noise=_NOISE,
    )  # fmt: skip
    with Farm(Settings(store=tmp_path), {}) as farm:
        names = [found.target.full_name for found in from_image(farm, image, None)]
    first, second = names
    assert first.startswith("cp311-manylinux_2_36_x86_64@3.11.")
    assert second == "cp311-manylinux_2_36_x86_64@3.11.99"
    with Farm(Settings(store=tmp_path), {}) as farm:
        (one,) = from_image(farm, image, "/opt/python/cp311-second/bin/python")
    assert one.target.full_name == second
    assert left(engine) == 0


def test_an_image_without_python_or_without_anything_is_refused(engine, runtime, made, tmp_path) -> None:
    empty = made("FROM scratch\nCOPY second /file\n", second="x")
    for image, python in ((empty, None), (runtime.id, "/opt/python/cp399-cp399/bin/python")):
        with Farm(Settings(store=tmp_path), {}) as farm, pytest.raises(ImageError, match="found none") as refused:
            from_image(farm, image, python)
        assert "--python" in refused.value.solution
    assert left(engine) == 0


def test_an_image_that_nobody_has_is_refused(tmp_path) -> None:
    with Farm(Settings(store=tmp_path), {}) as farm, pytest.raises(ImageError, match="cannot be pulled"):
        from_image(farm, f"farm-test.invalid/{uuid.uuid4().hex}:1", None)


def test_what_an_image_told_is_kept_by_its_digest(engine, runtime, tmp_path) -> None:
    asking = ImageInterpreters(lambda: engine, tmp_path)
    (first,) = asking.ask(runtime.id)
    (kept,) = tmp_path.iterdir()
    assert kept.stem == runtime.id.removeprefix("sha256:")
    content = json.loads(kept.read_bytes())
    content["interpreters"][0]["version"] = "3.11.98"
    kept.write_text(json.dumps(content), encoding="utf-8")
    assert asking.ask(runtime.id)[0].version == "3.11.98", "no container was asked again"
    kept.write_bytes(b"damaged")
    assert asking.ask(runtime.id) == (first,)


def test_the_images_that_a_build_used_are_remembered(engine, runtime, tmp_path) -> None:
    assumed = replace(parse_target("cp311-manylinux_2_36_x86_64"), full_version="3.11.77")
    settings = Settings(store=tmp_path, targets=(assumed,), image_family="debian", image_folder=str(REPOSITORY / "images"))
    with Farm(settings, {}) as farm:
        if farm.images.find(farm.images.choose(assumed, "runtime")) is None:
            pytest.skip("the runtime image in the engine is of other inputs")
        (real,) = from_image(farm, runtime.id, None)
        assert exact_targets((assumed,), farm.cache)[0].assumed
        remember_used(farm, Plan(jobs=(job("demo==1.0", assumed),)))
    with Farm(settings, {"DOCKER_HOST": f"unix://{tmp_path}/gone.sock"}) as farm:
        (known,) = exact_targets((assumed,), farm.cache)
        assert (known.full_version, known.assumed) == (real.target.full_version, False)
        remember_used(farm, Plan(jobs=(job("demo==1.0", assumed),)))
    assert left(engine) == 0


def test_a_configured_target_gets_the_real_patch_release_of_the_farms_own_image(engine, tmp_path) -> None:
    if not engine.images.list(name="farm/debian-trixie-x86_64-builder"):
        pytest.skip("no image farm/debian-trixie-x86_64-builder: make it with `farm images build`")
    assumed = parse_target("cp313-manylinux_2_41_x86_64")
    said = parse_target("cp313-manylinux_2_41_x86_64@3.13.0")
    settings = Settings(store=tmp_path, targets=(assumed,), image_family="debian", image_folder=str(REPOSITORY / "images"))
    with Farm(settings, {}) as farm:
        (listed,) = configured(farm)
        if farm.images.find(farm.builder_image(assumed)) is None:
            pytest.skip("the builder image in the engine is of other inputs")
        (real,) = from_image(farm, farm.images.find(farm.builder_image(assumed)).digest, None)
        assert listed.target.full_version == real.target.full_version
        assert not listed.target.assumed
        exact = exact_targets((assumed, said), farm.cache)
    assert [target.full_version for target in exact] == [real.target.full_version, "3.13.0"]
