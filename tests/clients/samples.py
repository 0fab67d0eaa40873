"""What the farm of the conformance checks holds: upstream's pages with every key, and wheels of the farm beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.client_world import File, sdist, wheel
from tests.fakes.store import wheel_bytes

if TYPE_CHECKING:
    from tests.clients.site import Site


def upstream_wheel(name: str, version: str, tags: str = "py3-none-any", **page: object) -> File:
    """Return a wheel as upstream has it; its module says so."""
    return marked("upstream", name, version, tags, **page)


def marked(origin: str, name: str, version: str, tags: str = "py3-none-any", **page: object) -> File:
    """Return a wheel whose module says where it is from."""
    data, _ = wheel_bytes(name, version, f'ORIGIN = "{origin}"\n')
    keys = {key.replace("_", "-"): value for key, value in page.items()}
    return File(
        name=f"{name.replace('-', '_')}-{version}-{tags}.whl",
        data=data,
        page={"upload-time": "2026-01-02T03:04:05Z"} | keys,
    )


def fill(site: Site) -> None:
    """Make the projects. Each has wheels of the farm, so that each view has a page of each."""
    plain = sdist("my-plain.project", "1.0")
    site.host(plain, upstream_wheel("my-plain.project", "2.0"))
    site.publish(wheel("my-plain.project".replace(".", "-"), "1.0"), plain)
    fancy = [
        sdist("fancy", "1.0", requires_python=">=3.8,<4", yanked='broken: "a" < b & c'),
        sdist("fancy", "1.1", requires_python=">=3.8", yanked=True),
        sdist("fancy", "1.2", requires_python="!=3.0.*,>=2.7", provenance="https://provenance.invalid/fancy"),
        sdist("fancy", "1.3rc1", upload_time="2026-01-02T03:04:05.678901Z"),
    ]
    site.host(*fancy)
    for source in fancy:
        version = source.name.removeprefix("fancy-").removesuffix(".tar.gz")
        site.publish(wheel("fancy", version), source)
        site.publish(wheel("fancy", version, f"1-cp3{11}-cp311-manylinux_2_28_x86_64"), source)
    big = sdist("big", "1.0")
    site.host(big)
    data, _ = wheel_bytes("big", "1.0", 'ORIGIN = "farm"\n# ' + "x" * 300_000)
    site.publish(File(name="big-1.0-py3-none-any.whl", data=data), big)
