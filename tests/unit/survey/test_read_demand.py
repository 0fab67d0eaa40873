"""What the demand holds besides what pip would say: places, chains, remarks, pins, sums and fingerprints."""

from __future__ import annotations

import pytest
from packaging.version import Version

from farm.model.demand import Demand, Origin
from farm.survey.read import read_requirements

A = "a" * 64


def read(*texts: str, **env: str) -> Demand:
    files = {f"{index}.txt": text for index, text in enumerate(texts)}
    return read_requirements(["0.txt"], [], read_text=files.__getitem__, env=env)


@pytest.mark.parametrize(
    ("text", "pinned"),
    [
        ("a==1.0", "1.0"),
        ("a == 1!2.0.post1+cpu", "1!2.0.post1+cpu"),
        ("a===1.0", "1.0"),
        ("a===1.0-legacy", None),
        ("a==1.*", None),
        ("a==1.0,!=1.1", None),
        ("a>=1.0", None),
        ("a", None),
        ("a @ https://x.example/a-1.0.zip", None),
    ],
)
def test_pinned(text: str, pinned: str | None) -> None:
    assert read(text).requirements[0].pinned == (Version(pinned) if pinned else None)


def test_places_and_chain() -> None:
    demand = read("\n  # why\n   a \\\n  ==1\n-r 1.txt\n", "-c 2.txt\n", "b<2\n")
    assert [str(entry.origin) for entry in demand.requirements] == ["0.txt:3"]
    assert demand.requirements[0].origin.column == 4
    assert demand.requirements[0].text == "a   ==1"
    (limit,) = demand.constraints
    assert [str(origin) for origin in limit.via] == ["0.txt:5", "1.txt:1"]
    assert demand.files == ("0.txt", "1.txt", "2.txt")


def test_urls_include_relative_to_themselves() -> None:
    files = {
        "https://x.example/a/r.txt?token=1": "-r ../more.txt\n-c https://y.example/c.txt\n",
        "https://x.example/more.txt": "-r /root.txt\nmore\n",
        "https://x.example/root.txt": "root\n",
        "https://y.example/c.txt": "root<2\n",
    }
    demand = read_requirements([next(iter(files))], [], read_text=files.__getitem__, env={})
    assert [entry.name for entry in demand.requirements] == ["root", "more"]
    assert set(demand.files) == set(files)


def test_config_settings_are_kept_in_order() -> None:
    (asked,) = read("a -C build-dir=x --config-settings='setup-args=-Da=1 -Db' -C build-dir=y\n").requirements
    assert asked.config_settings == (("build-dir", "x"), ("setup-args", "-Da=1 -Db"), ("build-dir", "y"))
    assert read("-e . -C x=1\n").direct[0].config_settings == (("x", "1"),)


def test_direct_sources() -> None:
    demand = read(
        "./dir[x]\n-e git+https://x.example/r.git@v1#egg=Name[y]&subdirectory=py\n"
        f"https://x.example/a_b-1.0%2Bcpu-py3-none-any.whl\nfile:///w/pkg_a-1.0-py3-none-any.whl#sha256={A}\n-e 'n @ file:///srv/n'\n"
    )
    local, repository, *wheels = demand.direct
    assert (local.url, local.name, local.extras) == ("./dir", None, {"x"})
    assert (repository.name, repository.extras, repository.subdirectory, repository.editable) == (
        "name",
        {"y"},
        "py",
        True,
    )
    assert [(wheel.name, wheel.hashes) for wheel in wheels] == [("a-b", ()), ("pkg-a", (f"sha256:{A}",))]
    (named,) = demand.requirements
    assert (named.name, named.url, named.editable) == ("n", "file:///srv/n", True)


def test_remarks_tell_what_pip_passes_over() -> None:
    demand = read(
        "a --pre\n-r 1.txt -r 2.txt\n--hash=sha256:00\n-i https://${USER_NAME}@x.example\n-e ./d ; os_name\n",
        "b\n",
        "c\n",
    )
    assert [str(remark) for remark in demand.remarks] == [
        "0.txt:1: --pre has no effect here: pip ignores it",
        "0.txt:2: --requirement has no effect here: pip ignores it",
        "0.txt:3: --hash has no effect here: pip ignores it",
        "0.txt:4: ${USER_NAME} is not set and was left as written",
        "0.txt:5: ';' has no effect here: pip ignores it",
        "0.txt:5: 'os_name' has no effect here: pip ignores it",
    ]
    assert not demand.options.pre
    assert [entry.name for entry in demand.requirements] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("a==1\n", False),
        (f"a==1 --hash=sha256:{A}\n", True),
        ("a\n--require-hashes\n", True),
        (f"--no-require-hashes\na==1 --hash=sha256:{A}", False),
    ],
)
def test_hash_checking_mode(text: str, *, checks: bool) -> None:
    assert read(text).checks_hashes is checks


SAME = [
    ("Foo.bar[B,a]>=1,<2", "foo-bar[a,b]<2, >=1  # why"),
    ("a ; os_name=='nt'", 'a;os_name == "nt"'),
    (f"a --hash=sha256:{A} --hash=sha256:{'b' * 64}", f"# x\na \\\n --hash=sha256:{'b' * 64} --hash=sha256:{A}"),
    ("a\nb", "a\nb\na"),
    ("a==${V}", "a==1"),
    ("--trusted-host x.example\na", "a"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_fingerprint_is_of_the_meaning(one: str, other: str) -> None:
    assert read(one, V="1").fingerprint() == read(other).fingerprint()


def test_fingerprint_tells_apart_what_resolves_differently() -> None:
    texts = [
        "a",
        "a\nb",
        "b\na",
        "a==1",
        "a[x]",
        "a;os_name=='nt'",
        f"a --hash=sha256:{A}",
        "a @ https://x.example/a.zip",
        "./a",
    ]
    texts += [
        "a\n--pre",
        "a\n-i https://x.example",
        "a\n--extra-index-url https://x.example",
        "a\n--no-index",
        "a\n-f x",
    ]
    texts += [
        "a\n--no-binary a",
        "a\n--only-binary a",
        "a\n--prefer-binary",
        "a\n--require-hashes",
        "a -C x=1",
        "-e ./a",
        "-c 1.txt\nb",
    ]
    assert len({read(text, "a").fingerprint() for text in texts}) == len(texts)
    assert all(len(read(text, "a").fingerprint()) == 64 for text in texts)


def test_fingerprint_is_stable_over_releases() -> None:
    text = f"a[x]==1 ; os_name == 'nt' --hash=sha256:{A}\n--index-url https://x.example\n"
    assert read(text).fingerprint() == "2c402d673d588b2ecfe580652b0d45e339deea3ce229eba8a31b391002e5debe"


OPTIONS = [
    "-i https://a.example",
    "--extra-index-url https://b.example",
    "--no-index",
    "-f links",
    "--no-binary a,b",
    "--only-binary b,:all:",
    "--only-binary a",
    "--no-binary :all:",
    "--pre",
    "--all-releases a",
    "--only-final a",
]


@pytest.mark.parametrize("first", OPTIONS)
@pytest.mark.parametrize("second", OPTIONS)
def test_sum_is_as_if_read_together(first: str, second: str) -> None:
    one, other, both = read(f"a\n{first}\n"), read(f"b\n{second}\n"), read(f"a\n{first}\nb\n{second}\n")
    assert (one + other).options == both.options
    assert (one + other).fingerprint() == both.fingerprint()
    assert Demand.empty() + one == one == one + Demand.empty()


def test_origins_sort_by_place() -> None:
    assert Origin(file="a", line=2) < Origin(file="a", line=10) < Origin(file="b", line=1)
