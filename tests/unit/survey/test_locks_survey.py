"""survey over locks: what is asked of the index, what the lock itself settles, and how several inputs come together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name as canonical

from farm.model.demand import Demand, IndexOptions, Origin, Requirement
from farm.model.gap import Impossible, Missing, Present, Unknown
from farm.model.lock import Lock, LockedFile, LockedPackage, PythonLimit
from farm.model.package import Version
from farm.survey.detect import DetectPolicy
from farm.survey.survey import survey
from tests.fakes.index import FakeIndex, FakeResolver
from tests.fakes.nouns import CP311, CP313, MUSL, digest, project
from tests.unit.survey.test_survey import Ports

if TYPE_CHECKING:
    from farm.model.gap import Matrix, Presence

HERE = Origin(file="uv.lock", line=1)
PURE = "there-1.0-py3-none-any.whl"
LINUX = "native-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
SDIST = "native-1.0.tar.gz"


def package(name: str, *filenames: str, urls: bool = True, direct: str | None = None, version: str = "1.0") -> LockedPackage:
    files = tuple(
        LockedFile(filename=filename, url=f"https://locked.example/{filename}" if urls else None, sha256=digest(filename), size=1)
        for filename in filenames
    )
    hashes = frozenset(file.sha256 for file in files if file.sha256)
    origin = Origin(file="uv.lock", line=7)
    return LockedPackage(
        name=canonical(name), version=Version(version), origin=origin, files=files, hashes=hashes, direct=direct
    )


def lock(*packages: LockedPackage, requires_python: str | None = None) -> Lock:
    specifier = SpecifierSet(requires_python) if requires_python else None
    return Lock(source=HERE, kind="uv.lock", packages=packages, requires_python=specifier)


def surveyed(demand: Demand, upstream: FakeIndex, policy: DetectPolicy | None = None, *, farm: FakeIndex | None = None) -> Matrix:
    resolver = FakeResolver(versions={"there": "1.0", "native": "2.0"})
    ports = Ports(upstream=upstream, resolver=resolver, farm=farm or FakeIndex())
    return survey(demand, [CP311, CP313], policy or DetectPolicy(), ports)


def presences(matrix: Matrix, name: str) -> list[Presence]:
    return [cell.presence for cell in matrix.cells if cell.pin.name == name]


def test_a_wheel_in_the_lock_needs_no_page_and_a_lack_of_one_does() -> None:
    index = FakeIndex(project("native", LINUX, SDIST), down=frozenset({"there"}))
    matrix = surveyed(Demand(locks=(lock(package("there", PURE), package("native", LINUX, SDIST)),)), index)
    assert all(isinstance(presence, Present) for presence in presences(matrix, "there"))
    there, gap = presences(matrix, "native")
    assert isinstance(there, Present)
    assert there.file.url == f"https://locked.example/{LINUX}"
    assert isinstance(gap, Missing)
    assert gap.sdist.url.startswith("https://upstream.example/")


def test_a_silent_index_leaves_unknown_what_the_lock_does_not_settle() -> None:
    index = FakeIndex(down=frozenset({"native"}))
    there, unknown = presences(surveyed(Demand(locks=(lock(package("native", LINUX, SDIST)),)), index), "native")
    assert (type(there), type(unknown)) == (Present, Unknown)


def test_a_lock_without_urls_asks_the_index_and_falls_back_on_its_names() -> None:
    demand = Demand(locks=(lock(package("there", PURE, urls=False)),))
    (asked, _) = presences(surveyed(demand, FakeIndex(project("there", PURE))), "there")
    assert isinstance(asked, Present)
    assert asked.file.url == f"https://upstream.example/files/{PURE}"
    assert all(isinstance(p, Present) for p in presences(surveyed(demand, FakeIndex(down=frozenset({"there"}))), "there"))


def test_wheels_that_are_not_in_the_lock_do_not_count() -> None:
    index = FakeIndex(project("native", LINUX, SDIST))
    matrix = surveyed(Demand(locks=(lock(package("native", SDIST)),)), index)
    assert [type(presence) for presence in presences(matrix, "native")] == [Missing, Missing]


def test_where_the_index_lacks_them_the_files_of_the_lock_count_all_the_same() -> None:
    (_, gap) = presences(surveyed(Demand(locks=(lock(package("native", LINUX, SDIST)),)), FakeIndex()), "native")
    assert isinstance(gap, Missing)
    assert gap.sdist.url == f"https://locked.example/{SDIST}"


def test_a_farm_wheel_closes_the_gap_that_a_lock_leaves() -> None:
    own = project("native", "native-1.0-cp313-cp313-manylinux_2_41_x86_64.whl")
    matrix = surveyed(Demand(locks=(lock(package("native", LINUX, SDIST)),)), FakeIndex(), farm=FakeIndex(own))
    assert [p.where for p in presences(matrix, "native") if isinstance(p, Present)] == ["upstream", "farm"]


def test_no_binary_holds_for_locks_too() -> None:
    policy = DetectPolicy(options=IndexOptions(no_binary=frozenset({"native"})))
    matrix = surveyed(Demand(locks=(lock(package("native", LINUX, SDIST)),)), FakeIndex(project("native", LINUX, SDIST)), policy)
    assert [type(presence) for presence in presences(matrix, "native")] == [Missing, Missing]


def test_what_a_lock_takes_from_a_url_is_never_looked_up_under_its_name() -> None:
    index = FakeIndex(project("native", LINUX), down=frozenset({"there"}))
    farm = FakeIndex(project("native", "native-1.0-py3-none-any.whl"))
    wheel = package("there", PURE, direct=f"https://locked.example/{PURE}")
    repository = package("native", direct="git+https://git.example/native@abc")
    matrix = surveyed(Demand(locks=(lock(wheel, repository),)), index, farm=farm)
    assert all(isinstance(presence, Present) for presence in presences(matrix, "there"))
    for presence in presences(matrix, "native"):
        assert isinstance(presence, Impossible)
        assert presence.reason.startswith("uv.lock:7 takes it from a path, URL or repository")


def test_locks_are_not_resolved_and_join_what_is() -> None:
    resolver = FakeResolver(versions={"there": "1.0", "native": "2.0"})
    ports = Ports(upstream=FakeIndex(project("there", PURE), project("native", "native-2.0.tar.gz", SDIST)), resolver=resolver)
    locked = lock(package("there", PURE), package("native", SDIST))
    survey(Demand(locks=(locked,)), [CP311], DetectPolicy(), ports)
    assert resolver.asked == []
    asked = tuple(
        Requirement(name=canonical(name), origin=Origin(file="requirements.txt", line=1), text=name) for name in ("there", "native")
    )
    matrix = survey(Demand(requirements=asked, locks=(locked,)), [CP311], DetectPolicy(), ports)
    assert {str(cell.pin): cell.via for cell in matrix.cells} == {
        "there==1.0": ("requirements.txt:1", "uv.lock:7"),
        "native==1.0": ("uv.lock:7",),
        "native==2.0": ("requirements.txt:1",),
    }


def test_a_lock_for_other_pythons_hides_no_other_input() -> None:
    demand = Demand(locks=(lock(package("native", LINUX), requires_python=">=3.12"), lock(package("there", PURE))))
    matrix = surveyed(demand, FakeIndex())
    assert [(u.target, u.explanation) for u in matrix.unresolved] == [
        (CP311, "uv.lock is for Python >=3.12, the target has 3.11.2")
    ]
    assert len(presences(matrix, "there")) == 2


def test_a_project_for_other_pythons_is_not_resolved_for_them() -> None:
    resolver = FakeResolver(versions={"there": "1.0"})
    ports = Ports(upstream=FakeIndex(project("there", PURE)), resolver=resolver)
    asked = Requirement(name=canonical("there"), origin=HERE, text="there")
    limit = PythonLimit(origin=Origin(file="pyproject.toml", line=3), specifier=SpecifierSet(">=3.12"))
    matrix = survey(Demand(requirements=(asked,), pythons=(limit,)), [CP311, MUSL], DetectPolicy(), ports)
    assert [cell.target for cell in matrix.cells] == [MUSL]
    assert matrix.unresolved[0].explanation == "pyproject.toml:3: the project requires Python >=3.12, the target has 3.11.2"
