"""WheelInspector: what a wheel file holds and whether its claims are true. Runs none of its code.

Rules are those of the binary distribution format (PyPA specifications) and PEP 600; binaries are read by auditwheel and
abi3audit, each in a child process with a time limit, since both parse what a stranger made.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.metadata import InvalidMetadata, Metadata
from packaging.tags import Tag, parse_tag
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from farm.adapters import process
from farm.adapters.wheel_record import Unpacking, check_paths, check_record, top_level_modules
from farm.errors import FarmError
from farm.model.build import WheelFacts
from farm.model.package import WheelName, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_AUDIT_SECONDS = 300.0
_METADATA_BYTES = 16 << 20
# e_machine of the ELF header (System V ABI), with the word size that tells x86_64 from x32 and i686.
_MACHINES = {
    (62, 2): "x86_64", (3, 1): "i686", (183, 2): "aarch64", (40, 1): "armv7l", (21, 2): "ppc64le", (22, 2): "s390x",
    (243, 2): "riscv64",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """What was read off an open wheel. `machines` maps each ELF file to its architecture."""

    metadata: bytes
    wheel: bytes
    machines: tuple[tuple[str, str], ...]
    modules: tuple[str, ...]
    faults: tuple[str, ...]


class WheelInspector:
    """Implements `farm.ports.Inspector`. `environment` is what its child processes get (PATH; never credentials)."""

    def __init__(self, environment: Mapping[str, str], limits: Unpacking | None = None) -> None:
        """`limits` are on what a wheel may unpack to; by default those of a build's own."""
        self._environment = dict(environment)
        self._limits = limits or Unpacking()

    def inspect(self, wheel: Path, filename: str = "") -> WheelFacts:
        """Return what the wheel is; whatever is wrong with it is among the faults. `filename` when the file has another name."""
        filename = filename or wheel.name
        name = parse_wheel_name(filename)
        if name is None:
            return _broken(f"{filename} is no wheel's file name (binary distribution format, file name convention)")
        try:
            with zipfile.ZipFile(wheel) as archive:
                contents = _read(archive, name, self._limits)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            RuntimeError,
            NotImplementedError,
            ValueError,
        ) as error:
            return _broken(f"{filename} cannot be read as a zip file: {error}")
        native = bool(contents.machines)
        faults = [*contents.faults, *_metadata_faults(contents.metadata, name), *_wheel_faults(contents, name)]
        platforms: tuple[str, ...] = ()
        # auditwheel unpacks the file: only after its paths were found to stay inside.
        if native and not contents.faults:
            with _named(wheel, filename) as named:
                platforms, found = self._audit(named, name)
            faults += found
        return WheelFacts(
            metadata=contents.metadata,
            native=native,
            platforms=platforms,
            modules=contents.modules,
            faults=tuple(faults),
        )

    def _audit(self, wheel: Path, name: WheelName) -> tuple[tuple[str, ...], list[str]]:
        if name.pure:
            return (), []
        platforms, faults = self._policies(wheel)
        if platforms:
            faults += _platform_faults(name, platforms)
        # abi3audit knows nothing of abi3t (PEP 803); such a wheel is imported on every Python that it serves.
        if any(tag.abi == "abi3" for tag in name.tags):
            faults += self._abi3(wheel)
        return platforms, faults

    def _policies(self, wheel: Path) -> tuple[tuple[str, ...], list[str]]:
        completed = self._run("auditwheel", "show", "--json", str(wheel))
        try:
            report = json.loads(completed.stdout)
            overall = str(report["overall_tag"])
        except (ValueError, KeyError, TypeError):
            told = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
            return (), [f"auditwheel cannot read its binaries: {told[-1] if told else completed.returncode}"]
        return _satisfied(overall), []

    def _abi3(self, wheel: Path) -> list[str]:
        with tempfile.TemporaryDirectory(prefix="abi3audit-") as folder:
            report = Path(folder) / "report.json"
            completed = self._run("abi3audit", "--strict", "--report", "--output", str(report), str(wheel))
            try:
                return _abi3_faults(json.loads(report.read_bytes()))
            except (OSError, ValueError, KeyError, TypeError) as error:
                told = completed.stderr.strip().splitlines()
                return [f"abi3audit cannot read it: {told[-1] if told else error}"]

    def _run(self, module: str, *arguments: str) -> process.Completed:
        if find_spec(module) is None:
            raise FarmError(
                f"{module} is not installed beside farm, so no wheel can be checked",
                solution=f"install farm again (pip install {module})",
            )
        argv = (sys.executable, "-I", "-m", module, *arguments)
        environment = {"LANG": "C.UTF-8", "NO_COLOR": "1", **self._environment}
        return process.run(process.Command(argv=argv, env=environment, timeout=_AUDIT_SECONDS))


@contextmanager
def _named(wheel: Path, filename: str) -> Iterator[Path]:
    """Yield the wheel under its own name: the auditors read tags off it."""
    if wheel.name == filename:
        yield wheel
        return
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        named = Path(folder) / filename
        named.symlink_to(wheel.absolute())
        yield named


def _broken(fault: str) -> WheelFacts:
    return WheelFacts(metadata=b"", native=False, platforms=(), modules=(), faults=(fault,))


def _read(archive: zipfile.ZipFile, name: WheelName, limits: Unpacking) -> _Contents:
    faults = check_paths(archive, limits)
    if faults:
        return _Contents(metadata=b"", wheel=b"", machines=(), modules=(), faults=faults)
    names = archive.namelist()
    folder, found = _dist_info(names, name)
    members = {part: _small(archive, f"{folder}/{part}") for part in ("METADATA", "WHEEL", "RECORD")}
    missing = [f"it has no {folder}/{part}" for part, content in members.items() if not content]
    record = check_record(archive, f"{folder}/RECORD", members["RECORD"]) if members["RECORD"] else ()
    return _Contents(
        metadata=members["METADATA"],
        wheel=members["WHEEL"],
        machines=tuple(_machines(archive)),
        modules=top_level_modules(names, folder),
        faults=(*found, *missing, *record),
    )


def _dist_info(names: Iterable[str], name: WheelName) -> tuple[str, list[str]]:
    found = sorted({path.split("/", 1)[0] for path in names if path.split("/", 1)[0].endswith(".dist-info")})
    if len(found) != 1:
        return (found or ["*.dist-info"])[0], [f"it should have one .dist-info folder, it has {len(found)}"]
    project, _, version = found[0].removesuffix(".dist-info").partition("-")
    try:
        fits = canonicalize_name(project) == name.name and Version(version.replace("_", "-")) == name.version
    except InvalidVersion:
        fits = False
    return found[0], [] if fits else [f"its folder {found[0]} is not of {name.name} {name.version}"]


def _small(archive: zipfile.ZipFile, member: str) -> bytes:
    try:
        info = archive.getinfo(member)
    except KeyError:
        return b""
    return archive.read(info) if info.file_size <= _METADATA_BYTES else b""


def _machines(archive: zipfile.ZipFile) -> Iterable[tuple[str, str]]:
    for info in archive.infolist():
        if info.file_size < 20:
            continue
        with archive.open(info) as file:
            head = file.read(20)
        if head[:4] == b"\x7fELF":
            order = "big" if head[5] == 2 else "little"
            number = int.from_bytes(head[18:20], order)  # type: ignore[arg-type]
            yield info.filename, _MACHINES.get((number, head[4]), f"ELF machine {number}")


def _metadata_faults(raw: bytes, name: WheelName) -> list[str]:
    if not raw:
        return []
    try:
        metadata = Metadata.from_email(raw, validate=False)
        project, version = metadata.name, metadata.version
    except (InvalidMetadata, ExceptionGroup, ValueError) as error:
        return [f"its METADATA cannot be read: {error}"]
    if canonicalize_name(project or "") != name.name or version != name.version:
        return [f"its METADATA is of {project} {version}, its file name of {name.name} {name.version}"]
    return []


def _wheel_faults(contents: _Contents, name: WheelName) -> list[str]:
    headers = BytesHeaderParser().parsebytes(contents.wheel)
    faults: list[str] = []
    claimed: set[Tag] = set()
    for text in headers.get_all("Tag", []) if contents.wheel else []:
        claimed |= parse_tag(str(text))
    if contents.wheel and claimed != name.tags:
        shown = ", ".join(sorted(map(str, claimed))[:4]) or "none"
        faults.append(f"the tags in its WHEEL file ({shown}) are not those of its file name")
    if not contents.machines:
        return faults
    first = contents.machines[0][0]
    if name.pure:
        faults.append(f"it lies about its tag: it says that it runs anywhere, and {first} is a binary")
    if str(headers.get("Root-Is-Purelib", "")).strip().lower() == "true":
        faults.append(f"it says Root-Is-Purelib: true, and {first} is a binary")
    return faults + _machine_faults(contents, name)


def _machine_faults(contents: _Contents, name: WheelName) -> list[str]:
    platforms = {tag.platform for tag in name.tags if tag.platform != "any"}
    wrong = [
        f"{path} is for {machine}, the file name says {', '.join(sorted(platforms))}"
        for path, machine in contents.machines
        if not all(platform.endswith(f"_{machine}") for platform in platforms)
    ]
    return wrong[:3]


def _platform_faults(name: WheelName, satisfied: tuple[str, ...]) -> list[str]:
    faults: list[str] = []
    for platform in sorted({tag.platform for tag in name.tags}):
        if platform.startswith("linux_"):
            faults.append(
                f"its tag {platform} says nothing about the systems that it runs on; auditwheel has not repaired it"
            )
        elif platform.startswith("musllinux"):
            # musl has no versioned symbols: auditwheel can tell the family, not the level.
            if not satisfied[0].startswith("musllinux"):
                faults.append(f"its tag says {platform}; its binaries keep to {satisfied[0]}")
        elif platform not in satisfied:
            faults.append(f"its tag says {platform}; the lowest policy that its binaries keep to is {satisfied[0]}")
    return faults


def _satisfied(overall: str) -> tuple[str, ...]:
    """Return `overall` and every higher level that auditwheel knows, with their older names (PEP 600)."""
    if not overall.startswith("manylinux"):
        return (overall,)
    from auditwheel.architecture import Architecture  # noqa: PLC0415 - only wheels with binaries pay for it
    from auditwheel.libc import Libc  # noqa: PLC0415
    from auditwheel.policy import WheelPolicies  # noqa: PLC0415

    arch = "_".join(overall.split("_")[3:])
    # WheelPolicies sorts from the plain `linux` up to the oldest, and so most compatible, level.
    known = [*WheelPolicies(libc=Libc.GLIBC, arch=Architecture(arch))]
    names = [policy.name for policy in known]
    fitting = known[1 : names.index(overall) + 1]
    return tuple(name for policy in reversed(fitting) for name in (policy.name, *policy.aliases))


def _abi3_faults(report: object) -> list[str]:
    faults: list[str] = []
    for spec in report["specs"].values() if isinstance(report, dict) else ():
        for found in spec.get("wheel", ()):
            result = found["result"]
            if result["is_abi3_baseline_compatible"] and result["is_abi3"]:
                continue
            symbols = ", ".join([*result["non_abi3_symbols"], *result["future_abi3_objects"]][:5])
            baseline = result["baseline"]
            faults.append(f"{found['name']} is not abi3 as of Python {baseline}: it uses {symbols or 'other symbols'}")
    return faults
