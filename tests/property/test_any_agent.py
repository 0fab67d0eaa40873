"""Whatever a user agent says: nothing is raised, what is kept is short and plain, and a target is one."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from farm.model.target import parse_target
from farm.serve.agents import read_agent, target_of
from farm.serve.counts import sdist_pin
from farm.serve.tally import Asked, answered

TEXTS = st.one_of(
    st.text("aZ09._-+ /{}[]\"\\\u00e9\u0000", max_size=40),
    st.sampled_from(("CPython", "PyPy", "3.12.1", "3.9", "glibc", "musl", "2.36", "1.2", "x86_64", "arm64", "Linux", "Darwin", "14.5")),
)
VALUES = st.one_of(
    TEXTS,
    st.sampled_from([None, True, 3, [], [[]], ["lock"], {}, {"name": {}}, {"version": 1}, float("inf")]),
)
TABLES = st.fixed_dictionaries({}, optional={"name": VALUES, "version": VALUES, "libc": VALUES, "lib": VALUES, "subcommand": VALUES})
DISTROS = st.fixed_dictionaries({}, optional={"name": TEXTS, "version": TEXTS, "libc": st.one_of(TABLES, VALUES)})
TOLD = st.fixed_dictionaries(
    {},
    optional={
        "python": st.one_of(TEXTS, VALUES), "implementation": st.one_of(TABLES, VALUES), "distro": st.one_of(DISTROS, VALUES),
        "system": st.one_of(TABLES, VALUES), "cpu": st.one_of(TEXTS, VALUES), "installer": st.one_of(TABLES, VALUES),
    },
)  # fmt: skip
PLAIN = re.compile(r"[A-Za-z0-9_.+-]{0,32}")


@given(st.one_of(st.binary(max_size=200), TOLD.map(lambda told: f"pip/25.1 {json.dumps(told)}".encode())))
def test_what_is_read_is_plain_and_a_target_is_one(header: bytes) -> None:
    agent = read_agent(header)
    for part in ("program", "version", "python", "implementation", "libc", "libc_version", "arch", "system", "distro", "release"):
        assert PLAIN.fullmatch(getattr(agent, part)), part
    target = target_of(agent)
    assert target == "" or parse_target(target).name == target


STARTS = ("/simple/", "/files/aa/bb/", "/packages/a/", "/strict/x/simple/", "/wheels/", "/")


@given(st.text("aZ09._-+ /%\u00e9", max_size=80), st.sampled_from(STARTS))
def test_any_path_is_counted_as_something(path: str, start: str) -> None:
    found = answered(Asked(method="GET", path=start + path, agent=b"pip/25.1", start=True), 200)
    assert len(found.name) <= 512
    assert found.agent.program == "pip"


@given(st.text("aZ09._-+ !\u00e9", max_size=120), st.sampled_from([".tar.gz", ".zip", ".tar.bz2", ""]))
def test_any_file_name_has_a_short_pin_or_none(stem: str, ending: str) -> None:
    pin = sdist_pin(stem + ending)
    assert pin is None or (0 < len(pin[0]) <= 100 and 0 < len(pin[1]) <= 100)
