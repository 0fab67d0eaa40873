"""Whether another architecture's programs run here: read off files as the kernel writes them."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from farm.adapters import emulation
from farm.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

FOREIGN = "s390x" if platform.machine() != "s390x" else "riscv64"
# As the kernel prints an entry that Debian's package registered.
ENTRY = "enabled\ninterpreter /usr/libexec/qemu-binfmt/s390x-binfmt-P\nflags: PF\noffset 0\nmagic 7f454c46\n"


@pytest.fixture
def binfmt(tmp_path: Path) -> Path:
    (tmp_path / "register").touch()
    return tmp_path


def test_its_own_architecture_needs_nothing(tmp_path: Path) -> None:
    assert not emulation.is_foreign(emulation.machine())
    emulation.check(emulation.machine(), tmp_path / "none")


def test_an_enabled_entry_that_containers_find_is_enough(binfmt: Path) -> None:
    assert emulation.is_foreign(FOREIGN)
    (binfmt / f"qemu-{FOREIGN}").write_text(ENTRY, encoding="utf-8")
    emulation.check(FOREIGN, binfmt)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ENTRY.replace("enabled", "disabled", 1), "is disabled"),
        (ENTRY.replace("PF", "P"), "without the flag F"),
        ("", "is empty"),
        (None, "found no "),
    ],
)
def test_anything_else_says_what_was_found_and_which_script_helps(binfmt: Path, text: str | None, found: str) -> None:
    if text is not None:
        (binfmt / f"qemu-{FOREIGN}").write_text(text, encoding="utf-8")
    with pytest.raises(ImageError, match=found) as caught:
        emulation.check(FOREIGN, binfmt)
    assert FOREIGN in caught.value.reason
    assert "images/setup-engine --emulation" in caught.value.solution


def test_a_kernel_without_the_list_is_told_from_one_without_the_entry(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="nothing mounted at"):
        emulation.check(FOREIGN, tmp_path / "none")


def test_armv7l_asks_for_qemus_own_name(binfmt: Path) -> None:
    if not emulation.is_foreign("armv7l"):
        pytest.skip("this processor runs it")
    (binfmt / "qemu-arm").write_text(ENTRY, encoding="utf-8")
    emulation.check("armv7l", binfmt)
