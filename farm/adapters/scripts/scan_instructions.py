"""Look through the machine code of a wheel: which functions have instructions beyond the oldest processors of its architecture.

scan_instructions.py WHEEL

Runs in a container, as it parses what a stranger made; starts objdump and nothing of the wheel. Prints one line of JSON for
each ELF file. Its "functions" count by what is in them: the levels of the x86-64 psABI ("v2", "v3", "v4") or extensions of
Armv8-A ("lse", "sve", ...), and "plain": encodings that a compiler told to go beyond the baseline would not have chosen.
"""

from __future__ import annotations

import bisect
import json
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

X86_64, AARCH64 = 62, 183
_LINE = re.compile(
    rb"^\s*([0-9a-f]+):\s+(?:(?:rep|repz|repnz|lock|data16|bnd|notrack|cs|ds|es|fs|gs|rex\S*|\{\w+\})\s+)*([\w.]+)\s*(.*)$"
)
_LABEL = re.compile(rb"^([0-9a-f]+) <.+>:$")
# What objdump prints for plain integer code is most of it, and of no interest.
_TELLING = {
    X86_64: rb"%[xyz]mm|%k[0-7]|cpuid|xgetbv|:[[:space:]]+v|^[0-9a-f]+ <|:[[:space:]]+(lock )?(andn|bextr|bls|bzhi|mulx|pdep|pext|"
    rb"rorx|sarx|shlx|shrx|lzcnt|movbe|adcx|adox|crc32|popcnt|cmpxchg16b)",
    AARCH64: rb"\sv[0-9]|\sz[0-9]|\sq[0-9]|\sp[0-9]+[./]|[ {]z[0-9]|[ {]v[0-9]|\s(cas|swp|ldadd|ldset|ldclr|ldeor|ld[su](max|min)|stadd|"
    rb"stset|stclr|steor|ldapr|fjcvtzs|crc32|aes|sha|pmull|ldaxr|ldxr|stxr|stlxr|mrs|rdvl|cnt[bhwd])|\sh[0-9]|^[0-9a-f]+ <",
}
_BMI = frozenset(
    b"andn bextr blsi blsmsk blsr bzhi mulx pdep pext rorx sarx shlx shrx lzcnt movbe adcx adox".split()
)
_V2 = re.compile(
    rb"addsubp|haddp|hsubp|movddup|movs[hl]dup|lddqu|fisttp|pshufb|palignr|phadd|phsub|pmaddubsw|pmulhrsw|psign|pabs|"
    rb"pinsr[bdq]|pextr[bdq]|pmulld|pmuldq|p?blend|dpp[sd]|round[sp]|ptest|p(?:min|max)(?:sb|sd|uw|ud)|pmov[sz]x|packusdw|"
    rb"insertps|extractps|mpsadbw|phminposuw|movntdqa|pcmpeqq|pcmpgtq|pcmp[ei]str|crc32|popcnt|cmpxchg16b"
)
_V4 = re.compile(rb"%zmm|%k[0-7]|\{[%z1]|%[xy]mm(?:1[6-9]|2[0-9]|3[01])(?![0-9])")
# In this order; each is matched against "instruction operands".
_ARM = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("sve", rb".*[ ,{](?:z[0-9]+\.[bhsdq]|p[0-9]+(?:\.[bhsd]|/[zm]))|(?:rdvl|cnt[bhwd]) "),
        ("lse", rb"(?:cas|swp|ldadd|ldset|ldclr|ldeor|ld[su](?:max|min)|st(?:add|set|clr|eor|[su]max|[su]min))(?!r)[a-z]* "),
        ("later", rb"(?:us|su|[su])dot|u?s?[su]mmla|bfdot|bfm|bfcvt|fjcvtzs|ldapr|sqrdml[as]h|fcmla|fcadd|fml[as]l|sm[34]|eor3|rax1|bcax"),
        ("crc", rb"crc32"),
        ("crypto", rb"aes|sha1|sha256|sha512|pmull"),
        ("later", rb"f(?!cvt)[a-z0-9]* (?:.*v[0-9]+\.[48]h|(?:.*,)? ?h[0-9])"),
        ("plain", rb".*(?:v[0-9]+\.|[ ,]q[0-9])|ldxr|ldaxr|stxr|stlxr"),
    )
)
_ASKS = (b"__cpu_model", b"__cpu_indicator_init", b"getauxval", b"/proc/cpuinfo")
_IRELATIVE = {X86_64: 37, AARCH64: 1032}
_RELATIVE = {X86_64: 8, AARCH64: 1027}


class Elf:
    """The little that is read here of an ELF64 little-endian file (System V gABI chapters 4 and 5)."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.machine = struct.unpack_from("<H", data, 18)[0]
        offset, count, names = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<HH", data, 60)
        rows = [struct.unpack_from("<IIQQQQII", data, offset + 64 * index) for index in range(count)]
        text = rows[names][4] if rows else 0
        self.sections: dict[bytes, tuple[int, int, int, int]] = {}
        for name, kind, _, address, at, size, _, _ in rows:
            end = data.index(b"\0", text + name)
            self.sections[data[text + name : end]] = (kind, address, at, size)

    def functions(self) -> list[int]:
        """Return where functions begin: the sorted table of .eh_frame_hdr, which stripping leaves in place (LSB, 10.6)."""
        section = self.sections.get(b".eh_frame_hdr")
        if section is None or self.data[section[2] + 1] != 0x1B or self.data[section[2] + 3] != 0x3B:
            return []
        _, address, at, size = section
        count = min(struct.unpack_from("<I", self.data, at + 8)[0], size // 8)
        return [address + struct.unpack_from("<i", self.data, at + 12 + 8 * index)[0] for index in range(count)]

    def entries(self) -> dict[int, str]:
        """Return the functions that run before anything could have asked the processor: initialisers and PyInit_*."""
        found = dict(self._relocated())
        section, strings = self.sections.get(b".dynsym"), self.sections.get(b".dynstr")
        if section and strings:
            for at in range(section[2], section[2] + section[3] - 23, 24):
                name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
                start = strings[2] + name
                if value and self.data.startswith(b"PyInit_", start):
                    found[value] = self.data[start : self.data.index(b"\0", start)].decode("ascii", "replace")
        return found

    def _relocated(self) -> Iterator[tuple[int, str]]:
        array, table = self.sections.get(b".init_array"), self.sections.get(b".rela.dyn")
        if array and table:
            for offset, info, addend in self._rows(table):
                inside = array[1] <= offset < array[1] + array[3]
                if inside and info & 0xFFFFFFFF == _RELATIVE.get(self.machine):
                    yield addend, "an initialiser"

    def _rows(self, table: tuple[int, int, int, int]) -> Iterable[tuple[int, ...]]:
        return struct.iter_unpack("<QQq", self.data[table[2] : table[2] + table[3] // 24 * 24])

    def chooses(self) -> bool:
        """Tell whether it names a way to ask what the processor can do, or has functions that the loader chooses (ifunc)."""
        if any(word in self.data for word in _ASKS):
            return True
        tables = [self.sections[name] for name in (b".rela.dyn", b".rela.plt") if name in self.sections]
        return any(info & 0xFFFFFFFF == _IRELATIVE.get(self.machine) for table in tables for _, info, _ in self._rows(table))

    def needed(self) -> str:
        """Return the level that GNU_PROPERTY_X86_ISA_1_NEEDED asks of the processor (x86-64 psABI, "Program Property"); "" for none."""
        section = self.sections.get(b".note.gnu.property")
        if section is None or self.machine != X86_64:
            return ""
        at, end = section[2] + 16, section[2] + section[3]
        while at + 8 <= end:
            kind, size = struct.unpack_from("<II", self.data, at)
            if kind == 0xC0008002 and size == 4:
                bits = struct.unpack_from("<I", self.data, at + 8)[0]
                return "v4" if bits & 8 else "v3" if bits & 4 else "v2" if bits & 2 else ""
            at += 8 + (size + 7) // 8 * 8
        return ""


def x86(name: bytes, operands: bytes) -> str:
    """Return what an instruction is: a level, "plain", "asks", or "" for what says nothing."""
    if name in (b"cpuid", b"xgetbv"):
        return "asks"
    if _V4.search(operands):
        return "v4"
    if (name.startswith(b"v") and b"mm" in operands) or name in _BMI or name == b"vzeroupper":
        return "v3"
    if _V2.match(name):
        return "v2"
    return "plain" if b"%xmm" in operands else ""


def arm(name: bytes, operands: bytes) -> str:
    """Return as `x86` does, with the extensions of Armv8-A in the place of levels."""
    if name == b"mrs":
        return "asks" if b"id_aa64" in operands.lower() else ""
    text = name + b" " + operands
    return next((kind for kind, pattern in _ARM if pattern.match(text)), "")


def disassembled(path: Path, machine: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (address, instruction, operands) of what may tell something; no instruction where a named place begins."""
    with subprocess.Popen(
        ["env", "LC_ALL=C", "objdump", "-d", "--no-show-raw-insn", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as objdump, subprocess.Popen(
        ["env", "LC_ALL=C", "grep", "-aE", _TELLING[machine]], stdin=objdump.stdout, stdout=subprocess.PIPE
    ) as grep:
        for line in grep.stdout or ():
            label = _LABEL.match(line)
            if label:
                yield int(label[1], 16), b"", b""
                continue
            found = _LINE.match(line)
            if found:
                # What follows < is the name of a place, and may hold anything.
                yield int(found[1], 16), found[2], found[3].split(b"<")[0].split(b"#")[0]
    if objdump.returncode != 0:
        message = f"objdump ended with exit code {objdump.returncode}"
        raise ValueError(message)


def scanned(path: Path) -> dict[str, object] | None:
    """Return what is told of one file."""
    elf = Elf(path.read_bytes())
    if elf.machine not in _TELLING:
        return None
    classify = x86 if elf.machine == X86_64 else arm
    starts, label = elf.functions(), 0
    functions: defaultdict[int, set[str]] = defaultdict(set)
    asks = elf.chooses()
    for address, name, operands in disassembled(path, elf.machine):
        if not name:
            label = address
            continue
        kind = classify(name, operands)
        if kind == "asks":
            asks = True
        elif kind:
            at = bisect.bisect_right(starts, address)
            functions[max(label, starts[at - 1] if at else 0)].add(kind)
    entries: dict[str, set[str]] = {}
    for address, entry in elf.entries().items():
        kinds = functions.get(address, set()) - {"plain"}
        if kinds:
            entries.setdefault(entry, set()).update(kinds)
    return {
        "machine": "x86_64" if elf.machine == X86_64 else "aarch64",
        "functions": dict(Counter("+".join(sorted(kinds)) for kinds in functions.values())),
        "entries": {name: sorted(kinds) for name, kinds in entries.items()},
        "asks": asks,
        "needed": elf.needed(),
    }


def told(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> dict[str, object] | None:
    """Return what is told of one member; None when it is no ELF64 file that is looked through."""
    with archive.open(info) as member:
        data = member.read(6)
        if data != b"\x7fELF\x02\x01":
            return None
        path.write_bytes(data + member.read())
    try:
        return scanned(path)
    except (ValueError, IndexError, struct.error, OSError) as error:
        return {"error": str(error)}


def main(wheel: str) -> int:
    """Print the lines; exit code 1 when a file could not be read."""
    code = 0
    with zipfile.ZipFile(wheel) as archive, tempfile.TemporaryDirectory() as folder:
        for info in archive.infolist():
            found = told(archive, info, Path(folder) / "file")
            if found is not None:
                code = 1 if "error" in found else code
                print(json.dumps({"path": info.filename, **found}, sort_keys=True), flush=True)  # noqa: T201 - a program of its own
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
