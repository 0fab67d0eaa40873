"""User agents as pip, uv and their kin sent them to a server on loopback, and what is read off each."""

from __future__ import annotations

import json

import pytest

from farm.model.demand_seen import Agent
from farm.serve.agents import LONGEST, read_agent, target_of

BOOKWORM = {"id": "bookworm", "libc": {"lib": "glibc", "version": "2.36"}, "name": "Debian GNU/Linux", "version": "12"}


def said(program: str, version: str, **other: object) -> bytes:
    """Return a user agent in the form that pip 6 and later and uv have."""
    told: dict[str, object] = {
        "ci": None, "cpu": "x86_64", "distro": BOOKWORM, "implementation": {"name": "CPython", "version": "3.11.7"},
        "installer": {"name": program, "version": version}, "openssl_version": "OpenSSL 3.0.19 27 Jan 2026", "python": "3.11.7",
        "system": {"name": "Linux", "release": "6.18.44"},
    }  # fmt: skip
    return f"{program}/{version} {json.dumps(told | other, separators=(',', ':'), sort_keys=True)}".encode()


def plain(program: str, version: str, python: str, system: str) -> Agent:
    """Return what a user agent without JSON tells of a CPython."""
    return Agent(program=program, version=version, python=python, implementation="CPython", system=system)


REAL = {
    "pip 9 on PyPy": (
        (b'pip/9.0.3 {"cpu":"x86_64","distro":{"id":"bookworm","libc":{"lib":"glibc","version":"2.36"},"name":"Debian GNU/Linux",'
        b'"version":"12"},"implementation":{"name":"PyPy","version":"7.3.11"},"installer":{"name":"pip","version":"9.0.3"},'
        b'"openssl_version":"OpenSSL 3.0.15 3 Sep 2024","python":"3.9.16","system":{"name":"Linux","release":"6.18.44"}}'),
        ("pip 9.0.3", "pp39-manylinux_2_36_x86_64", True),
    ),
    "pip 25.3": (
        (b'pip/25.3 {"ci":null,"cpu":"x86_64","distro":{"id":"bookworm","libc":{"lib":"glibc","version":"2.36"},"name":"Debian GNU/Linux",'
        b'"version":"12"},"implementation":{"name":"CPython","version":"3.11.7"},"installer":{"name":"pip","version":"25.3"},'
        b'"openssl_version":"OpenSSL 3.0.19 27 Jan 2026","python":"3.11.7","rustc_version":"1.95.0","setuptools_version":"65.5.0",'
        b'"system":{"name":"Linux","release":"6.18.44"}}'),
        ("pip 25.3", "cp311-manylinux_2_36_x86_64", True),
    ),
    "pip 26.3 on aarch64": (
        (b'pip/26.3 {"ci":null,"cpu":"aarch64","distro":{"id":"bookworm","libc":{"lib":"glibc","version":"2.36"},"name":"Debian GNU/Linux",'
        b'"version":"12"},"implementation":{"name":"CPython","version":"3.11.2"},"installer":{"name":"pip","version":"26.3"},'
        b'"openssl_version":"OpenSSL 3.0.22 25 Aug 2026","python":"3.11.2","system":{"name":"Linux","release":"6.18.44"}}'),
        ("pip 26.3", "cp311-manylinux_2_36_aarch64", True),
    ),
    "pip 26.3 of a free-threaded 3.13, which does not say so": (
        (b'pip/26.3 {"ci":null,"cpu":"x86_64","distro":{"id":"forky","libc":{"lib":"glibc","version":"2.43"},"name":"Debian GNU/Linux",'
        b'"version":"forky/sid"},"implementation":{"name":"CPython","version":"3.13.15"},"installer":{"name":"pip","version":"26.3"},'
        b'"openssl_version":"OpenSSL 3.6.5 29 Sep 2026","python":"3.13.15","system":{"name":"Linux","release":"6.18.44"}}'),
        ("pip 26.3", "cp313-manylinux_2_43_x86_64", True),
    ),
    "uv 0.1.45": (
        (b'uv/0.1.45 {"installer":{"name":"uv","version":"0.1.45"},"python":"3.9.16","implementation":{"name":"PyPy","version":"3.9.16"},'
        b'"distro":{"name":"Debian GNU/Linux","version":"12","id":"bookworm","libc":{"lib":"glibc","version":"2.36"}},"system":{"name":'
        b'"Linux","release":"6.18.44"},"cpu":"x86_64","openssl_version":null,"setuptools_version":null,"rustc_version":null,"ci":null}'),
        ("uv 0.1.45", "pp39-manylinux_2_36_x86_64", True),
    ),
    "uv 0.13.9 that installs": (
        (b'uv/0.13.9 {"installer":{"name":"uv","version":"0.13.9","subcommand":["pip","install"]},"python":"3.11.7","implementation":'
        b'{"name":"CPython","version":"3.11.7"},"distro":{"name":"Debian GNU/Linux","version":"12","id":"bookworm","libc":{"lib":"glibc",'
        b'"version":"2.36"}},"system":{"name":"Linux","release":"6.18.44"},"cpu":"x86_64","openssl_version":null,'
        b'"setuptools_version":null,"rustc_version":null,"ci":null}'),
        ("uv 0.13.9", "cp311-manylinux_2_36_x86_64", True),
    ),
    "uv 0.13.9 that locks": (
        (b'uv/0.13.9 {"installer":{"name":"uv","version":"0.13.9","subcommand":["lock"]},"python":"3.11.7","implementation":{"name":'
        b'"CPython","version":"3.11.7"},"distro":{"name":"Debian GNU/Linux","version":"12","id":"bookworm","libc":{"lib":"glibc",'
        b'"version":"2.36"}},"system":{"name":"Linux","release":"6.18.44"},"cpu":"x86_64","openssl_version":null,'
        b'"setuptools_version":null,"rustc_version":null,"ci":null}'),
        ("uv 0.13.9", "cp311-manylinux_2_36_x86_64", False),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("header", "expected"), REAL.values(), ids=REAL)
def test_what_real_clients_send(header: bytes, expected: tuple[str, str, bool]) -> None:
    agent = read_agent(header)
    assert (str(agent), target_of(agent), agent.installs) == expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        # pip has no libc for musl: Alpine's own release tells which musl it is.
        ({"distro": {"name": "Alpine Linux", "version": "3.20.3"}}, "cp311-musllinux_1_2_x86_64"),
        ({"distro": {"name": "Alpine Linux", "version": "3.12.0"}}, "cp311-musllinux_1_1_x86_64"),
        ({"distro": {"name": "Alpine Linux"}}, ""),
        ({"distro": {"name": "Alpine", "version": "3.20.3", "libc": {"lib": "musl", "version": "1.2"}}}, "cp311-musllinux_1_2_x86_64"),
        ({"distro": {"name": "Void", "libc": {"lib": "musl"}}}, "cp311-musllinux_1_2_x86_64"),
        ({"cpu": "armv7l"}, "cp311-manylinux_2_36_armv7l"),
        ({"cpu": "arm64", "system": {"name": "Darwin"}, "distro": {"name": "macOS", "version": "14.5"}}, "cp311-macosx_14_0_arm64"),
        ({"cpu": "x86_64", "system": {"name": "Darwin"}, "distro": {"name": "macOS", "version": "26.1"}}, "cp311-macosx_26_0_x86_64"),
        ({"cpu": "x86_64", "system": {"name": "Darwin"}, "distro": {"name": "macOS", "version": "10.15.7"}}, ""),
        ({"cpu": "AMD64", "system": {"name": "Windows", "release": "10"}, "distro": None}, "cp311-win_amd64"),
        ({"cpu": "ARM64", "system": {"name": "Windows", "release": "11"}, "distro": None}, "cp311-win_arm64"),
        ({"cpu": "x86", "system": {"name": "Windows"}, "distro": None}, "cp311-win32"),
        ({"python": "3.15.0a2"}, "cp315-manylinux_2_36_x86_64"),
        ({"python": "3.13.1+"}, "cp313-manylinux_2_36_x86_64"),
        ({"python": "2.7.18"}, ""),
        ({"implementation": {"name": "Jython"}}, ""),
        ({"system": {"name": "FreeBSD"}}, ""),
        ({"cpu": "mips64"}, ""),
        ({"distro": {"name": "Debian", "libc": {"lib": "glibc", "version": "2.36.9000"}}}, "cp311-manylinux_2_36_x86_64"),
    ],
)  # fmt: skip
def test_other_systems(other: dict[str, object], expected: str) -> None:
    assert target_of(read_agent(said("pip", "25.3", **other))) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"poetry/1.8.3 CPython/3.12.3 Linux/6.1.0-13-amd64", plain("poetry", "1.8.3", "3.12.3", "Linux")),
        (b"pip/1.5.6 CPython/3.4.2 Linux/3.16.0", plain("pip", "1.5.6", "3.4.2", "Linux")),
        (b"pdm/2.15.4 CPython/3.11.2 Darwin/23.1", plain("pdm", "2.15.4", "3.11.2", "Darwin")),
        (b"Mozilla/5.0 (X11; Linux x86_64)", Agent(program="browser", version="5.0", installs=False)),
        (b"curl/7.88.1", Agent(program="curl", version="7.88.1", installs=False)),
        (b"homemade/3", Agent()),
        (b"pip", Agent(program="pip")),
        (b"", Agent()),
    ],
)  # fmt: skip
def test_who_sends_no_json_tells_no_target(header: bytes, expected: Agent) -> None:
    assert read_agent(header) == expected
    assert target_of(expected) == ""


def test_what_the_user_adds_is_not_kept() -> None:
    agent = read_agent(said("pip", "25.3", user_data="secret of somebody"))
    assert "secret" not in repr(agent)
    assert target_of(agent) == "cp311-manylinux_2_36_x86_64"


@pytest.mark.parametrize(
    "header",
    [
        b"pip/25.1 {" + b"[" * 50_000, b"pip/25.1 {}", b"pip/25.1 []", b"pip/25.1 {\"python\": 3}", b"\xff\xfe\x00 {}",
        b'pip/25.1 {"python":"3.99.1","cpu":"x86_64"}', b'pip/25.1 {"cpu":"' + b"x" * 9000 + b'"}', b"pip/" + b"1" * 5000,
        said("pip", "25.3", cpu="../../etc"), said("pip", "25.3", cpu="x86_64\n"),
        said("pip", "25.3", installer={"subcommand": {"lock": 1}}),
        said("pip", "25.3", distro={"libc": {"lib": "glibc", "version": "2.999"}}),
        said("pip", "25.3", python="3.30.1"), said("uv", "9" * 30),
    ],
)  # fmt: skip
def test_hostile_user_agents_come_to_little(header: bytes) -> None:
    agent = read_agent(header)
    assert len(str(agent)) <= 32 + 33
    assert all(len(getattr(agent, part)) <= 32 for part in ("python", "implementation", "libc", "arch", "system", "distro", "release"))
    assert len(target_of(agent)) < 64


def test_nothing_beyond_a_bound_is_read() -> None:
    long = said("pip", "25.3", zz="x" * LONGEST)
    assert target_of(read_agent(long)) == ""
    assert str(read_agent(long)) == "pip 25.3"


def test_what_is_remembered_of_a_header_is_as_short_as_what_is_read_of_it() -> None:
    """A head may have 32 KiB, and two thousand headers are remembered."""
    header = said("pip", "25.3", user_data="x" * LONGEST)
    assert read_agent(header) is read_agent(header + b"y" * 20_000)
