"""work.baseline: code that goes beyond the baseline is refused, code that chooses at run time is not."""

from __future__ import annotations

import pytest

from farm.model.instructions import Code
from farm.work.baseline import needs, processor_faults


def code(path: str = "pkg/_core.so", *, asks: bool = False, needed: str = "", entry: str = "", **functions: int) -> Code:
    """`v3__v4=5` stands for five functions with both."""
    return Code(
        path=path, machine="x86_64", asks=asks, needed=needed,
        functions=tuple((frozenset(name.split("__")), count) for name, count in functions.items()),
        entries=(("PyInit__core", frozenset({entry})),) if entry else (),
    )  # fmt: skip


# What scan_instructions.py says of wheels on PyPI in November 2026 (docs/decisions/0021).
NUMPY_SIMD = code(asks=True, plain=817, v2=150, v3=814, v3__v4=811)
FAISS = code(asks=True, plain=3056, v3=1872, v3__v4=836)
ORJSON = code(asks=True, plain=63, v3=3, v3__v4=2)
RAPIDFUZZ = (code("rapidfuzz/fuzz_cpp_avx2.so", v3=619), code("rapidfuzz/fuzz_cpp.so", plain=500))


@pytest.mark.parametrize("codes", [(NUMPY_SIMD,), (FAISS,), (ORJSON,), RAPIDFUZZ, ()])
def test_wheels_that_choose_at_run_time_are_let_pass(codes: tuple[Code, ...]) -> None:
    assert processor_faults(codes, "v2") == ()


def test_a_file_without_a_plain_function_was_compiled_for_one_processor() -> None:
    (fault,) = processor_faults((code(v3=1),), "v2")
    assert fault == "pkg/_core.so is compiled for AVX2, FMA or BMI (x86-64-v3) throughout (1 of 1 functions that show it)"


def test_a_library_that_asks_somewhere_is_still_refused_when_nearly_all_of_it_goes_beyond() -> None:
    assert processor_faults((code(asks=True, v3=950, plain=50),), "v2")


def test_a_few_kernels_in_a_file_that_asks_and_computes_nothing_else() -> None:
    assert processor_faults((code(asks=True, v3=3),), "v2") == ()


def test_some_special_functions_that_nobody_guards() -> None:
    (fault,) = processor_faults((code(v3=10, plain=90),), "v2")
    assert fault.endswith("nothing in the wheel asks the processor whether it has that")
    assert processor_faults((code(v3=10, plain=90), code("pkg.libs/librt.so", asks=True, plain=9)), "v2") == ()


def test_what_runs_as_soon_as_the_file_is_loaded_cannot_have_asked() -> None:
    (fault,) = processor_faults((code(asks=True, entry="v3", v3=10, plain=90),), "v2")
    assert "as soon as it is loaded, in PyInit__core" in fault


def test_a_name_that_tells_its_processor_needs_a_file_to_fall_back_on() -> None:
    assert processor_faults((code("pkg/core_avx2.so", v3=100),), "v2")


def test_a_file_may_say_itself_what_it_needs() -> None:
    (fault,) = processor_faults((code(needed="v3", plain=3),), "v2")
    assert "is marked as needing" in fault
    assert processor_faults((code(needed="v3", plain=3),), "v3") == ()


def test_the_level_that_all_clients_have_is_no_fault() -> None:
    modern = code(v3=500, plain__v2=9)
    assert processor_faults((modern,), "v3") == ()
    assert processor_faults((code(plain__v2=9, plain=100),), "v2") == ()
    assert processor_faults((code(plain__v2=9, plain=100),), "v1")
    assert processor_faults((code(v3__v4=500),), "v3")


def test_atomics_of_aarch64_are_guarded_by_the_compiler() -> None:
    guarded = Code(
        path="x.so", machine="aarch64", functions=((frozenset({"lse"}), 12), (frozenset({"plain"}), 40)), asks=True,
        entries=(("an initialiser", frozenset({"lse"})),),
    )  # fmt: skip
    assert processor_faults((guarded,), "v2") == ()
    sve = Code(path="x.so", machine="aarch64", functions=((frozenset({"plain", "sve"}), 12), (frozenset({"plain"}), 40)))
    assert "SVE" in processor_faults((sve,), "v2")[0]


def test_what_is_used_is_told_whether_it_is_chosen_or_not() -> None:
    assert needs((NUMPY_SIMD,)) == ("v2", "v3", "v4")
