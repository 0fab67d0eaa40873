"""work.metadata: a wheel's METADATA against its sdist's."""

from __future__ import annotations

import pytest

from farm.model.package import make_pin
from farm.work.metadata import drift, identity_faults

HEAD = "Metadata-Version: 2.2\nName: demo\nVersion: 1.0\n"


def test_what_means_the_same_is_no_drift() -> None:
    sdist = HEAD + "Requires-Python: >=3.9,<4\nRequires-Dist: Foo_Bar[b,a] >=1,<2 ; python_version<'3.12'\n"
    wheel = HEAD + 'Requires-Python: <4,>=3.9\nRequires-Dist: foo-bar[a,b]<2,>=1; python_version < "3.12"\n'
    assert drift(sdist, wheel.encode()) == ()


@pytest.mark.parametrize(
    ("sdist", "wheel", "told"),
    [
        ("Requires-Python: >=3.9\n", "", "Requires-Python differs: the sdist says >=3.9, the wheel none"),
        ("", "Requires-Dist: attrs\n", "only in the wheel ['attrs']"),
        ("Requires-Dist: attrs>=1\n", "Requires-Dist: attrs>=2\n", "only in the sdist ['attrs>=1']"),
        ("Requires-Dist: attrs\n", "Requires-Dist: attrs; extra == 'x'\n", "Requires-Dist differs"),
    ],
)
def test_what_a_resolver_reads_must_not_differ(sdist: str, wheel: str, told: str) -> None:
    (fault,) = drift(HEAD + sdist, (HEAD + wheel).encode())
    assert told in fault


def test_fields_that_the_sdist_calls_dynamic_may_differ() -> None:
    sdist = HEAD + "Dynamic: Requires-Dist\nDynamic: requires-python\n"
    assert drift(sdist, (HEAD + "Requires-Python: >=3.9\nRequires-Dist: attrs\n").encode()) == ()


def test_identity_is_compared_as_names_and_versions_are() -> None:
    assert identity_faults(b"Name: Demo_X\nVersion: 1.0.0\n", make_pin("demo-x", "1.0")) == ()
    assert len(identity_faults(b"Name: demo\nVersion: 1.0+local\n", make_pin("demo-x", "1.0"))) == 2
    assert len(identity_faults(b"\xff\xfe nothing", make_pin("demo", "1.0"))) == 2
