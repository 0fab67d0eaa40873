"""Direct references of a demand: what becomes of them, and how they and the rest of the requirements get along."""

from __future__ import annotations

from dataclasses import replace

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from farm.model.demand import Demand, DirectSource, Origin, Requirement
from farm.model.gap import Impossible, Missing, Present, Unknown
from farm.model.job import Plan
from farm.survey.detect import DetectPolicy
from farm.survey.direct import settle
from farm.survey.survey import survey
from farm.survey.tell import problems, rows
from tests.fakes.index import FakeDirect, FakeIndex, FakeResolver
from tests.fakes.locks import read
from tests.fakes.nouns import CP311, CP313, MUSL, canonical, index_file, project
from tests.unit.survey.test_survey import Ports

GIT = "git+https://h/demo@main"
PURE = "demo-1.0-py3-none-any.whl"
BOTH = (CP311, CP313)


def where(line: int) -> Origin:
    return Origin(file="requirements.txt", line=line)


def named(name: str, line: int = 1, url: str | None = None, marker: str = "", spec: str = "") -> Requirement:
    return Requirement(
        name=canonical(name), url=url, specifier=SpecifierSet(spec), origin=where(line), text=name,
        marker=Marker(marker) if marker else None,
    )  # fmt: skip


def source(url: str, line: int = 1, **more: object) -> DirectSource:
    return DirectSource(url=url, origin=where(line), text=url, **more)  # type: ignore[arg-type]


def surveyed(demand: Demand, sources: FakeDirect, ports: Ports | None = None):
    ports = ports or Ports(upstream=FakeIndex(), resolver=FakeResolver(versions={"demo": "1.0", "user": "1.0"}))
    return survey(settle(demand, BOTH, sources), BOTH, DetectPolicy(), ports)


def test_a_demand_without_direct_references_is_left_as_it_is() -> None:
    demand = Demand(requirements=(named("demo"),))
    assert settle(demand, BOTH, FakeDirect()) is demand


def test_every_kind_becomes_a_requirement_on_a_file_in_the_store() -> None:
    sources = FakeDirect(known={GIT: ("demo", "1.0"), "./pkg": ("other", "2.0")})
    demand = Demand(
        requirements=(named("demo", 1, url=GIT), named("fine", 2)),
        direct=(source("./pkg", 3, editable=True, extras=frozenset({"x"})),),
    )
    found = settle(demand, BOTH, sources)
    demo, fine, other = found.requirements
    assert found.direct == ()
    assert (demo.name, demo.url.rpartition("/")[2], demo.origin.line) == ("demo", "demo-1.0.tar.gz", 1)
    assert fine == demand.requirements[1]
    assert (other.name, other.url.rpartition("/")[2], other.extras, other.editable) == ("other", "other-2.0.tar.gz", {"x"}, False)
    assert demo.hashes[0].removeprefix("sha256:") in demo.url.replace("/", "")
    assert found.fingerprint() != demand.fingerprint()


def test_what_counts_nowhere_is_not_even_fetched_and_markers_choose_the_targets() -> None:
    sources = FakeDirect(known={GIT: ("demo", "1.0")})
    win = settle(Demand(requirements=(named("demo", url=GIT, marker="sys_platform == 'win32'"),)), BOTH, sources)
    assert (sources.asked, win.requirements, win.settled) == ([], (), ())
    settle(Demand(requirements=(named("demo", url=GIT, marker="python_version >= '3.12'"),)), BOTH, sources)
    assert sources.asked == [(GIT, (CP313.name,))]


def test_sources_without_a_wheel_are_a_gap_and_one_that_was_built_from_them_closes_it() -> None:
    demand = Demand(requirements=(named("demo", url=GIT),))
    sources = FakeDirect(known={GIT: ("demo", "1.0")})
    cell = surveyed(demand, sources).cells[0]
    assert isinstance(cell.presence, Missing)
    assert cell.presence.reason == f"from {GIT} at {'c' * 12}"
    assert cell.direct is not None
    sources = replace(sources, built={GIT: (index_file(PURE),)})
    cell = surveyed(demand, sources).cells[0]
    assert isinstance(cell.presence, Present)
    assert (cell.presence.where, cell.presence.file.filename) == ("farm", PURE)


def test_the_index_is_never_asked_for_the_name_and_its_wheels_do_not_count() -> None:
    class Discreet(FakeIndex):
        def project(self, name):
            assert name != "demo"
            return super().project(name)

    ports = Ports(
        upstream=Discreet(project("user", "user-1.0-py3-none-any.whl")), farm=Discreet(),
        resolver=FakeResolver(versions={"demo": "1.0", "user": "1.0"}, depends={"user": ("demo",)}),
    )  # fmt: skip
    sources = FakeDirect(known={GIT: ("demo", "1.0")})
    matrix = surveyed(Demand(requirements=(named("user", 2), named("demo", url=GIT))), sources, ports)
    assert {(cell.pin.name, type(cell.presence)) for cell in matrix.cells} == {("demo", Missing), ("user", Present)}


def test_a_wheel_at_a_url_fits_or_it_is_impossible_and_is_never_a_job() -> None:
    url = "https://h/demo-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"
    sources = FakeDirect(known={url: ("demo", "1.0")}, wheels={url: index_file(url.rpartition("/")[2])})
    ports = Ports(upstream=FakeIndex(), resolver=FakeResolver(versions={"demo": "1.0"}))
    demand = Demand(requirements=(named("demo", url=url),))
    matrix = survey(settle(demand, (CP311, MUSL), sources), (CP311, MUSL), DetectPolicy(), ports)
    there, lacking = (cell.presence for cell in matrix.cells)
    assert isinstance(there, Present)
    assert there.where == "upstream"
    assert isinstance(lacking, Impossible)
    assert "this one wheel" in lacking.reason


def test_a_wheel_for_another_python_says_so() -> None:
    url = f"https://h/{PURE}"
    sources = FakeDirect(known={url: ("demo", "1.0")}, wheels={url: index_file(PURE, requires_python=">=3.12")})
    matrix = surveyed(Demand(requirements=(named("demo", url=url),)), sources)
    lacking, there = (cell.presence for cell in matrix.cells)
    assert isinstance(there, Present)
    assert isinstance(lacking, Impossible)
    assert lacking.reason.startswith("requires Python >=3.12")


def test_what_cannot_be_had_is_a_problem_and_what_is_not_known_a_row() -> None:
    sources = FakeDirect(reasons={"hg+https://h/x": "Mercurial", GIT: "?the server is down"})
    demand = Demand(requirements=(named("demo", 2, url=GIT, marker="python_version >= '3.12'"),), direct=(source("hg+https://h/x"),))
    matrix = surveyed(demand, sources)
    assert [(p.subject, p.kind, p.text) for p in problems(matrix)] == [("requirements.txt:1", "direct", "hg+https://h/x: Mercurial")]
    (row,) = rows(matrix, Plan())
    assert (row.name, row.target, row.state, row.reason) == ("demo", CP313.name, "unknown", "the server is down")
    assert (row.url, row.commit, row.required_by) == (GIT, "c" * 40, ("requirements.txt:2",))


def test_what_depends_on_something_that_could_not_be_had_does_not_get_the_index_s_in_its_place() -> None:
    ports = Ports(
        upstream=FakeIndex(project("demo", PURE), project("user", "user-1.0-py3-none-any.whl")),
        resolver=FakeResolver(versions={"demo": "1.0", "user": "1.0"}, depends={"user": ("demo",)}),
    )
    matrix = surveyed(Demand(requirements=(named("user"), named("demo", 2, url=GIT))), FakeDirect(reasons={GIT: "?down"}), ports)
    assert {type(cell.presence) for cell in matrix.cells if cell.pin.name == "demo"} == {Unknown}


def test_two_sources_of_one_name_are_a_conflict_unless_they_are_the_same() -> None:
    sources = FakeDirect(known={GIT: ("demo", "1.0"), "./demo": ("demo", "1.0")})
    found = settle(Demand(requirements=(named("demo", 1, url=GIT),), direct=(source("./demo", 2),)), BOTH, sources)
    assert [entry.origin.line for entry in found.unsettled] == [2]
    assert "requirements.txt:1" in found.unsettled[0].reason
    same = settle(Demand(requirements=(named("demo", 1, url=GIT), named("demo", 2, url=GIT))), BOTH, sources)
    assert (len(same.requirements), same.unsettled) == (2, ())


def test_a_constraint_by_url_is_told() -> None:
    found = settle(Demand(constraints=(named("demo", url=GIT), named("fine", spec="<2"))), BOTH, FakeDirect())
    assert [entry.name for entry in found.constraints] == ["fine"]
    assert "constraint by URL" in found.unsettled[0].reason


LOCK = """lock-version = "1.0"
created-by = "test"

[[packages]]
name = "demo"
vcs = { type = "git", url = "https://h/demo", commit-id = "main", subdirectory = "pkg" }

[[packages]]
name = "user"
version = "1.0"
dependencies = [{ name = "demo" }]
wheels = [{ url = "https://h/user-1.0-py3-none-any.whl", hashes = { sha256 = "%s" } }]
""" % ("a" * 64)


def test_what_a_lock_has_from_a_repository_becomes_a_gap_and_nothing_is_resolved() -> None:
    url = f"{GIT}#subdirectory=pkg"
    sources = FakeDirect(known={url: ("demo", "3.1")})
    ports = Ports(upstream=FakeIndex(), resolver=FakeResolver(versions={}))
    matrix = surveyed(read("pylock.toml", LOCK), sources, ports)
    demo = next(cell for cell in matrix.cells if cell.pin.name == "demo")
    assert (str(demo.pin), type(demo.presence), demo.via, ports.resolver.asked) == ("demo==3.1", Missing, ("user",), [])
    assert demo.direct is not None
    told = surveyed(read("pylock.toml", LOCK), FakeDirect(reasons={url: "no such commit"}), ports)
    assert [problem.text for problem in problems(told)] == [f"{url}: no such commit"]
