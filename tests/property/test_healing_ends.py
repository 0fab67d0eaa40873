"""Whatever fails however often, and whatever the world answers: healing ends, and tries nothing twice."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from farm.model.healing import MOST_ATTEMPTS, Candidate, Need, Trial, mended
from farm.model.outcome import Diagnosis, Failed, Remedy
from farm.model.package import Version
from farm.work import heal
from farm.work.heal import PACKAGES_FAILED, next_mend
from farm.work.heal_case import Case
from tests.fakes import nouns

CAUSES = (*heal._WAYS, "unknown", "broken-sdist", PACKAGES_FAILED)  # every cause there is a way for
SUBJECTS = ("foo.h", "libxml/xmlversion.h", "foo", "pg_config", "numpy", "Cython", "implicit-int", "", "a b and c")
LINES = ("", "x.c: fatal error: foo.h: No such file", "AttributeError: setuptools", "cannot find -lfoo", "[-Werror=int-conversion]")

diagnoses = st.builds(
    Diagnosis, cause=st.sampled_from(CAUSES), summary=st.just("s"), subject=st.sampled_from(SUBJECTS), line=st.sampled_from(LINES),
    remedies=st.lists(st.builds(Remedy, platform=st.just("debian"), packages=st.just(("libz-dev",))), max_size=1).map(tuple),
)  # fmt: skip
answers = st.lists(st.sampled_from(["liba-dev", "libb-dev", "libc-dev", "libz-dev"]), unique=True, max_size=4)


@given(st.lists(diagnoses, min_size=8, max_size=8), answers, st.sampled_from(["fetch", "build", "requirements"]), st.booleans())
def test_it_ends_and_never_repeats_itself(found: list[Diagnosis], packages: list[str], stage: str, same: bool) -> None:
    job = nouns.job("demo==1.0")

    def find(need: Need) -> tuple[Candidate, ...]:
        return tuple(Candidate(package=name, path=f"usr/include/sub/{need.name}") for name in packages)

    attempts = 0
    seen = set()
    for diagnosis in [found[0]] * 8 if same else found:
        attempts += 1
        failure = Failed(attempt=f"a{attempts}", stage=stage, diagnosis=diagnosis, seconds=1.0)
        case = Case(job=job, failure=failure, find=find, dated=lambda _: Version("1.2"), memory=1 << 30, most_memory=1 << 34)
        mend = next_mend(case)
        assert mend == next_mend(case), "the same history gives the same answer"
        if mend is None:
            break
        assert (mend.kind, mend.what) not in seen
        seen.add((mend.kind, mend.what))
        assert mend.recipe != job.recipe or mend.kind in {"again", "image"} or mend.instead
        trial = Trial(attempt=failure.attempt, stage=stage, diagnosis=diagnosis, mend=mend)
        job = replace(job, recipe=mend.recipe, trials=(*job.trials, trial))
    assert attempts <= MOST_ATTEMPTS
    kept = mended(job.trials)
    for name in job.recipe.packages_for("debian"):
        assert any(name in mend.what.split() for mend in kept), "nothing that was taken back is still in the recipe"
