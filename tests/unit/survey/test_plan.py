"""Gaps become jobs in an order that can be run; what cannot be planned says why."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from farm.model.demand import Demand, Origin, Requirement
from farm.model.image import ImageSpec, of_variant
from farm.model.job import Plan, Recipe
from farm.survey.detect import DetectPolicy
from farm.survey.plan import NoPlan, PlanPorts, plan, plan_more
from farm.survey.survey import survey
from tests.fakes.index import FakeIndex, FakeResolver, FakeSdists
from tests.fakes.nouns import CP311, CP313, IMAGE, canonical, index_file, job, project

if TYPE_CHECKING:
    from farm.model.job import Job
    from farm.model.package import Project

SETUPTOOLS = project("setuptools", "setuptools-80.0-py3-none-any.whl")


def planned(  # type: ignore[no-untyped-def]
    *pages, wants: list[str], resolver: FakeResolver, sdists: FakeSdists | None = None, from_source: tuple[str, ...] = (), targets=(CP311,),
    image=lambda _target, _variant: IMAGE, recipe=lambda _pin, _target: Recipe(),
) -> Plan:
    upstream = FakeIndex(SETUPTOOLS, *pages)
    ports = PlanPorts(
        upstream=upstream,
        farm=FakeIndex(),
        resolver=resolver,
        sdists=sdists or FakeSdists(),
        image=image,
        recipe=recipe,
    )
    origin = Origin(file="requirements.txt", line=1)
    demand = Demand(requirements=tuple(Requirement(name=canonical(n), origin=origin, text=n) for n in wants))
    policy = DetectPolicy(from_source=frozenset(canonical(n) for n in from_source))
    return plan(survey(demand, targets, policy, ports), policy, ports)


def test_a_variant_that_does_not_serve_refuses_its_package_alone_and_says_which_would() -> None:
    known = tuple(ImageSpec(family="debian", variant=name, arch="x86_64", role="builder") for name in ("bookworm", "trixie"))
    recipes = {"demo": Recipe(variant="bookwurm"), "other": Recipe(variant="trixie")}
    made = planned(
        project("demo", "demo-1.tar.gz"), project("other", "other-1.tar.gz"), wants=["demo", "other"],
        resolver=FakeResolver(versions={"demo": "1", "other": "1", "setuptools": "80.0"}),
        image=lambda target, variant: of_variant(known, variant, target), recipe=lambda pin, _: recipes[pin.name],
    )  # fmt: skip
    assert [(str(job.pin), job.image.variant) for job in made.jobs] == [("other==1", "trixie")]
    (refused,) = made.refused
    assert refused.reason == f"no builder image of the variant 'bookwurm' serves {CP311}; there are: bookworm, trixie"


def test_what_has_a_wheel_is_no_job() -> None:
    made = planned(project("demo", "demo-1-py3-none-any.whl"), wants=["demo"], resolver=FakeResolver(versions={"demo": "1"}))
    assert made == Plan()


def test_a_build_dependency_without_a_wheel_is_a_job_that_comes_first() -> None:
    made = planned(
        project("demo", "demo-1.tar.gz"),
        project("tool", "tool-2.tar.gz"),
        wants=["demo"],
        resolver=FakeResolver(versions={"demo": "1", "tool": "2", "setuptools": "80.0"}),
        sdists=FakeSdists(requires={"demo": ("tool>=1", "setuptools")}),
    )
    assert [str(job.pin) for job in made.jobs] == ["tool==2", "demo==1"]
    tool, demo = made.jobs
    assert demo.needs == (tool.id,)
    assert [d.file.filename for d in demo.requires if d.file] == ["setuptools-80.0-py3-none-any.whl"]
    assert tool.via == ("demo==1 (build requirement)",)


def test_a_policy_for_all_is_not_for_build_requirements_unless_they_are_named() -> None:
    wheels = ("demo-1-py3-none-any.whl", "demo-1.tar.gz")
    tool = project("tool", "tool-2-py3-none-any.whl", "tool-2.tar.gz")
    for from_source, jobs in (((":all:",), ["demo==1"]), ((":all:", "tool"), ["tool==2", "demo==1"])):
        made = planned(
            project("demo", *wheels),
            tool,
            wants=["demo"],
            resolver=FakeResolver(versions={"demo": "1", "tool": "2", "setuptools": "80.0"}),
            sdists=FakeSdists(requires={"demo": ("tool", "setuptools")}),
            from_source=from_source,
        )
        assert [str(job.pin) for job in made.jobs] == jobs


def test_a_circle_of_build_dependencies_is_refused_with_its_chain() -> None:
    made = planned(
        project("egg", "egg-1.tar.gz"),
        project("hen", "hen-1.tar.gz"),
        wants=["egg"],
        resolver=FakeResolver(versions={"egg": "1", "hen": "1"}),
        sdists=FakeSdists(requires={"egg": ("hen",), "hen": ("egg",)}),
    )
    assert made.jobs == ()
    assert {str(refusal.pin) for refusal in made.refused} == {"egg==1", "hen==1"}
    assert any("egg==1 needs hen==1 needs egg==1" in refusal.reason for refusal in made.refused)


def poultry(*hens: str, egg_wants: str = "hen", from_source: tuple[str, ...] = (), conflicts: frozenset[str] = frozenset()) -> Plan:
    """egg is built with hen, of which 2 is the newest and has no wheel, and which is built with egg."""
    return planned(
        project("egg", "egg-1.tar.gz"),
        project("hen", "hen-2.tar.gz", *hens),
        wants=["egg"],
        resolver=FakeResolver(versions={"egg": "1", "hen": "2"}, conflicts=conflicts),
        sdists=FakeSdists(requires={"egg": (egg_wants,), "hen": ("egg",)}),
        from_source=from_source,
    )


def test_a_circle_is_broken_by_the_newest_other_release_that_has_a_wheel_and_what_only_the_circle_needed_goes() -> None:
    made = poultry("hen-0.9-py3-none-any.whl", "hen-1-py3-none-any.whl", "hen-1.5-cp39-cp39-win_amd64.whl", "hen-3a1-py3-none-any.whl")
    assert made.refused == ()
    (egg,) = made.jobs
    assert [d.file.filename for d in egg.requires if d.file] == ["hen-1-py3-none-any.whl"]
    circle = "a circle of build dependencies: egg==1 needs hen==2 needs egg==1"
    assert made.notes == (f"egg==1 for {CP311} is built with hen==1, of which there is a wheel, to break {circle}",)


def test_a_circle_stays_one_where_the_requirement_or_the_policy_rules_the_wheels_out() -> None:
    wheel = "hen-1-py3-none-any.whl"
    for made in (poultry(wheel, egg_wants="hen>=2"), poultry(wheel, from_source=("hen",))):
        assert (made.jobs, made.notes) == ((), ())
        assert {str(refusal.pin) for refusal in made.refused} == {"egg==1", "hen==2"}
        assert all("build-constraints" in refusal.remedy for refusal in made.refused)


def test_a_yanked_wheel_breaks_no_circle() -> None:
    hen = replace(project("hen", "hen-2.tar.gz"), files=(index_file("hen-2.tar.gz"), index_file("hen-1-py3-none-any.whl", yanked=True)))
    made = planned(
        project("egg", "egg-1.tar.gz"), hen, wants=["egg"], resolver=FakeResolver(versions={"egg": "1", "hen": "2"}),
        sdists=FakeSdists(requires={"egg": ("hen",), "hen": ("egg",)}),
    )  # fmt: skip
    assert len(made.refused) == 2


def more(wanted: Job, *pages: Project, requires: dict[str, tuple[str, ...]], versions: dict[str, str]) -> tuple[Job, Plan]:
    ports = PlanPorts(
        upstream=FakeIndex(SETUPTOOLS, *pages), farm=FakeIndex(), resolver=FakeResolver(versions={"setuptools": "80.0", **versions}),
        sdists=FakeSdists(requires=requires), image=lambda _target, _variant: IMAGE, recipe=lambda _pin, _target: Recipe(),
    )  # fmt: skip
    return plan_more(wanted, DetectPolicy(), ports)


DEMO = replace(job("demo==1"), named=("tool>=1",))


def test_what_a_backend_named_is_planned_with_all_that_it_needs_itself() -> None:
    better, made = more(
        DEMO, project("tool", "tool-2.tar.gz"), project("deep", "deep-3.tar.gz"),
        requires={"demo": ("setuptools",), "tool": ("deep",), "deep": ("setuptools",)}, versions={"tool": "2", "deep": "3"},
    )  # fmt: skip
    deep, tool = made.jobs
    assert (str(deep.pin), str(tool.pin), tool.needs, better.needs) == ("deep==3", "tool==2", (deep.id,), (tool.id,))
    assert [d.file.filename for d in better.requires if d.file] == ["setuptools-80.0-py3-none-any.whl"]
    assert (tool.via, tool.wanted) == (("demo==1 (build requirement)",), False)
    assert replace(better, requires=DEMO.requires) == DEMO


def test_what_needs_the_job_that_asks_for_it_is_a_circle_named_as_any_or_broken_as_any() -> None:
    def asked(*wheels: str) -> tuple[Job, Plan]:
        pages = project("tool", "tool-2.tar.gz", *wheels), project("demo", "demo-1.tar.gz")
        return more(DEMO, *pages, requires={"demo": ("setuptools",), "tool": ("demo",)}, versions={"tool": "2", "demo": "1"})

    with pytest.raises(NoPlan, match=r"demo==1 needs tool==2 needs demo==1; no other release .* build-constraint in a recipe"):
        asked()
    better, made = asked("tool-1-py3-none-any.whl")
    assert (better.needs, made.jobs, len(made.notes)) == ((), (), 1)


def test_what_cannot_be_had_is_refused_with_its_reason() -> None:
    with pytest.raises(NoPlan, match="its build dependency tool==2 cannot be had"):
        more(DEMO, project("tool", "tool-2-cp39-cp39-win_amd64.whl"), requires={"demo": ()}, versions={"tool": "2"})
    broken = project("tool", "tool-2.tar.gz"), project("deep", "deep-1-cp39-cp39-win_amd64.whl")
    with pytest.raises(NoPlan, match=r"it needs tool==2, which cannot be had: its build dependency deep==1"):
        more(DEMO, *broken, requires={"demo": (), "tool": ("deep",)}, versions={"tool": "2", "deep": "1"})


def test_what_needs_a_refused_job_is_refused_too() -> None:
    made = planned(
        project("app", "app-1.tar.gz"),
        project("lib", "lib-1.tar.gz"),
        wants=["app"],
        resolver=FakeResolver(
            versions={"app": "1", "lib": "1", "setuptools": "80.0", "nothing": "1"},
            depends={"app": ("lib",)},
            conflicts=frozenset({"nothing"}),
        ),
        sdists=FakeSdists(requires={"lib": ("nothing",)}),
    )
    assert made.jobs == ()
    reasons = {str(refusal.pin): refusal.reason for refusal in made.refused}
    assert "no version of nothing fits" in reasons["lib==1"]
    [lib] = [refusal for refusal in made.refused if refusal.pin.name == "lib"]
    assert (lib.cause, "[recipes.lib]" in lib.remedy) == ("missing-python-build-dep", True)
    assert reasons["app==1"].startswith("it needs lib==1, which cannot be had")


def test_the_proof_gets_the_whole_run_time_closure() -> None:
    made = planned(
        project("app", "app-1.tar.gz"),
        project("lib", "lib-1-py3-none-any.whl"),
        project("far", "far-1.tar.gz"),
        wants=["app"],
        resolver=FakeResolver(
            versions={"app": "1", "lib": "1", "far": "1", "setuptools": "80.0"}, depends={"app": ("lib",), "lib": ("far",)}
        ),
    )
    [app] = [job for job in made.jobs if job.pin.name == "app"]
    assert [str(d.pin) for d in app.proofs[0].beside] == ["far==1", "lib==1"]
    assert [job.pin.name for job in made.jobs if job.id in app.beside] == ["far"]


def test_a_pure_sdist_is_built_for_the_oldest_python_first_and_native_ones_side_by_side() -> None:
    made = planned(
        project("pure", "pure-1.tar.gz"),
        project("native", "native-1.tar.gz"),
        wants=["pure", "native"],
        resolver=FakeResolver(versions={"pure": "1", "native": "1", "setuptools": "80.0"}),
        sdists=FakeSdists(pure=frozenset({"pure"})),
        targets=(CP313, CP311),
    )
    jobs = {(job.pin.name, job.target): job for job in made.jobs}
    assert jobs["pure", CP311].after is None
    assert jobs["pure", CP313].after == jobs["pure", CP311].id
    assert [proof.target for proof in jobs["pure", CP311].proofs] == [CP311, CP313]
    assert jobs["native", CP313].after is None


def test_one_resolution_serves_all_jobs_with_the_same_build_requirements() -> None:
    resolver = FakeResolver(versions={"one": "1", "two": "1", "setuptools": "80.0"})
    planned(project("one", "one-1.tar.gz"), project("two", "two-1.tar.gz"), wants=["one", "two"], resolver=resolver)
    assert resolver.asked.count(("setuptools",)) == 1
