"""Does a wheel run on every processor that its tag admits? Judged by where its special instructions are. Pure.

Compilers mark nothing: whether an instruction beyond the baseline is guarded by a question to the processor cannot be decided
for certain. What tells code compiled with -march=native from code that chooses at run time is that the former has no plain
function left, runs such instructions as soon as it is loaded, or nowhere asks. docs/decisions/0021 has the measurements.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farm.model.instructions import Code, X86Level

_LEVELS = ("v2", "v3", "v4")
_PLAIN = "plain"
# Of the functions that show what the compiler was allowed: 0.67 is the most in a wheel that chooses (numpy's _simd), 1.0 is
# what compiling everything alike gives.
_MOST = 0.8
# In a file that asks, some kernels and no other function with numbers in it are nothing odd.
_KERNELS = 16
_LABEL = re.compile(
    r"(?:^|[^a-z])(?:avx|fma|bmi|sse4|ssse3|adx|aesni|clmul|vaes|shani|haswell|skylake|icelake|sapphirerapids|zen\d|znver|sve|lse|neon|"
    r"dotprod|x86[-_]64[-_]v\d|armv[89])"
)
_NAMES = {
    "v2": "SSE4.2 (x86-64-v2)", "v3": "AVX2, FMA or BMI (x86-64-v3)", "v4": "AVX-512 (x86-64-v4)", "lse": "atomics of Armv8.1",
    "sve": "SVE", "crc": "CRC32 of Armv8.1", "crypto": "the Armv8 cryptographic extension", "later": "extensions later than Armv8.1",
}  # fmt: skip


def processor_faults(codes: Sequence[Code], allowed: X86Level) -> tuple[str, ...]:
    """Return in words where a wheel goes beyond the baseline without asking; empty when it runs everywhere, as far as can be seen.

    `allowed` is the x86-64 level that every client is known to have; aarch64 is held to Armv8-A as it was first published.
    """
    asks = any(code.asks for code in codes)
    # A loader that chooses by file name has a file to fall back on.
    fallback = any(not _labelled(code) for code in codes)
    found = []
    for code in codes:
        why = _fault(code, allowed, asks=asks, fallback=fallback)
        if why:
            found.append(f"{code.path} {why}")
    return tuple(found)


def needs(codes: Sequence[Code]) -> tuple[str, ...]:
    """Return what is used anywhere beyond the baseline, chosen at run time or not: `("v2", "v3")`."""
    kinds = {kind for code in codes for combination, _ in code.functions for kind in combination}
    return tuple(sorted(kinds - {_PLAIN}))


def _fault(code: Code, allowed: X86Level, *, asks: bool, fallback: bool) -> str:
    fine = {_PLAIN, *_LEVELS[: _LEVELS.index(allowed) + 1 if allowed != "v1" else 0]}
    if code.needed and code.needed not in fine:
        return f"is marked as needing {_NAMES[code.needed]}"
    if _labelled(code) and fallback:
        return ""
    beyond = {kind for combination, _ in code.functions for kind in combination} - fine
    if not beyond:
        return ""
    named = " and ".join(_NAMES.get(kind, kind) for kind in sorted(beyond))
    for name, kinds in code.entries:
        # libgcc's atomics ask and have no unwind information, so they are taken for a part of whatever is before them.
        if kinds - fine - {"lse"}:
            return f"uses {named} as soon as it is loaded, in {name}"
    high = sum(count for combination, count in code.functions if combination - fine)
    plain = sum(count for combination, count in code.functions if not combination - fine and _PLAIN in combination)
    if high / (high + plain) >= _MOST and (not code.asks or high >= _KERNELS):
        return f"is compiled for {named} throughout ({high} of {high + plain} functions that show it)"
    return "" if asks else f"uses {named}, and nothing in the wheel asks the processor whether it has that"


def _labelled(code: Code) -> bool:
    return _LABEL.search(code.path.rpartition("/")[2].lower()) is not None
