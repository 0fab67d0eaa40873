"""A site whose machines reach the world through a proxy only: every step that has a network goes that way."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from farm.adapters import debian_root
from farm.adapters.builder import DockerBuilder
from farm.adapters.crates import VendorRequest, vendor
from farm.adapters.image_files import ImageFiles
from farm.adapters.images import DockerImages, ImageSettings
from farm.adapters.pipconfig import Machine, read_settings
from farm.model.image import parse_spec
from farm.model.job import Recipe
from farm.wire.site import certificates, host_environment, network_variables, proxies
from tests.integration.container_fixtures import LIMITS, clean_environment
from tests.projects.sdist import make_sdist

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docker import DockerClient
    from docker.models.containers import Container

    from tests.integration.container_fixtures import Farm

pytestmark = [pytest.mark.docker, pytest.mark.network]

HOST = os.environ.get("DOCKER_HOST")
SPEC = parse_spec("debian-bookworm-x86_64-runtime")
SCRIPT = Path(__file__).with_name("site_proxy.py").read_text(encoding="utf-8")
PORT = 3128


@dataclass(kw_only=True)
class Site:
    """The proxy's container, and the environment of a machine behind it."""

    container: Container
    address: str
    env: dict[str, str]

    def asked(self) -> list[str]:
        """What came this way so far: `GET http://mirror.invalid/...`, `CONNECT index.example:443`."""
        return self.container.logs(stderr=False).decode().splitlines()


@pytest.fixture(scope="module")
def mirror() -> debian_root.Mirror:
    return debian_root.mirror(None, Path("/etc/apt"), ImageFiles().suites())


@pytest.fixture(scope="module")
def site(engine: DockerClient, mirror: debian_root.Mirror) -> Iterator[Site]:
    found = engine.images.list(name="farm/debian-bookworm-x86_64-runtime")
    if not found:
        pytest.skip("no image farm/debian-bookworm-x86_64-runtime: make it with `farm images build`")
    names = [f"mirror.invalid={mirror.archive.removesuffix('/debian')}"]
    if mirror.security:
        names.append(f"security.invalid={mirror.security.removesuffix('/debian-security')}")
    command = ["/opt/farm/bin/python", "-c", SCRIPT, str(PORT), *names]
    container = engine.containers.run(found[0].id, command, detach=True, init=True)
    try:
        container.reload()
        address = f"http://{container.attrs['NetworkSettings']['IPAddress']}:{PORT}"
        time.sleep(1)
        # As a user writes it: apt reads the small spelling only, which the farm has to add.
        env = clean_environment() | {"HTTP_PROXY": address, "HTTPS_PROXY": address}
        yield Site(container=container, address=address, env={name: value for name, value in env.items() if name.lower() != "no_proxy"})
    finally:
        container.remove(force=True)


def test_images_and_overlays_are_made_through_the_proxy(
    engine: DockerClient, site: Site, mirror: debian_root.Mirror, tmp_path: Path
) -> None:
    index = read_settings(Machine(env=site.env, cache=tmp_path / "pip"))
    uris = "http://mirror.invalid/debian" + (" http://security.invalid/debian-security" if mirror.security else "")
    settings = ImageSettings(
        cache=tmp_path / "images",
        certificates=certificates(index, site.env),
        debian_mirror=uris,
        proxies=proxies(site.env),
        families=("debian",),
        host=host_environment(site.env),
        lock=tmp_path / "images.lock",
    )
    images = DockerImages(HOST, settings)
    made = images.ensure(SPEC, lambda _: None)
    try:
        asked = site.asked()
        # mmdebstrap on this machine, apt in the image, pip in the image
        assert any("http://mirror.invalid/debian/dists/bookworm/InRelease" in line for line in asked)
        assert sum("http://mirror.invalid/debian/dists/bookworm/InRelease" in line for line in asked) >= 2
        assert any("/python3.11" in line and ".invalid/" in line for line in asked)
        assert any((urlsplit(index.url).hostname or "") in line for line in asked)

        before = len(asked)
        overlay = images.overlay(made, ("libyaml-0-2",), lambda _: None)
        try:
            assert any("libyaml-0-2" in line for line in site.asked()[before:])
        finally:
            images.remove(overlay.reference)

        (look,) = images.update([SPEC], dry_run=True)
        assert look.now is not None, look
        # Neither the proxy nor the way to it stays in what was made, nor in its history.
        kept = engine.images.get(made.digest)
        assert not [line for line in kept.attrs["Config"]["Env"] if "proxy" in line.lower()]
        assert site.address not in str(kept.history())
    finally:
        images.remove(made.reference)


def test_crates_are_fetched_through_the_proxy(site: Site, farm: Farm, tmp_path: Path) -> None:
    before = len(site.asked())
    request = VendorRequest(
        sdist=make_sdist("rust", tmp_path), image=farm.builder, cache=tmp_path / "crates", log=tmp_path / "log",
        attempt=f"test-{uuid.uuid4().hex[:12]}", limits=LIMITS, environment=tuple(sorted(proxies(site.env).items())),
    )  # fmt: skip
    assert vendor(farm.host, request) is not None
    assert any(line.startswith("CONNECT ") for line in site.asked()[before:])


def test_a_build_with_a_network_knows_the_proxy_and_one_without_does_not(site: Site, farm: Farm, tmp_path: Path) -> None:
    index = read_settings(Machine(env=site.env, cache=tmp_path / "pip"))
    farm.host = replace(farm.host, site=network_variables(index, site.env))
    before = len(site.asked())
    for network in (False, True):
        request = farm.request("asks-the-mirror", recipe=Recipe(network=network))
        DockerBuilder(farm.host).build(request)
        came = [line for line in site.asked()[before:] if "mirror.invalid" in line]
        assert bool(came) is network, farm.log[-2000:]
