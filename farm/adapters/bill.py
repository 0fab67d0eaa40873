"""The software bill of materials inside a wheel (PEP 770, CycloneDX 1.6): what came along in it beside the project's own code.

auditwheel writes one for the libraries that it grafts, by system package. Ours says which file of the wheel is of which of
these packages, which are of none, and which crates were compiled in. Nothing in it depends on the time or the machine.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from farm.adapters.durable import make_dirs, storing
from farm.adapters.wheel_copy import LONGEST, UNREADABLE, add_member, copy_wheel, sound_record, with_rows
from farm.model.outcome import StagedWheel
from farm.model.package import Digest, parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from farm.model.provenance import Crate

BILL = "sboms/farm.cdx.json"
_AUDITWHEEL = "sboms/auditwheel.cdx.json"
# auditwheel puts the first digits of the file's sha256 between stem and suffix: libyaml-0-50c6b3a5.so.2.0.9.
_GRAFTED = re.compile(r"(?P<stem>.+?)-(?P<hash>[0-9a-f]{8})\.(?P<rest>so(?:\..*)?)")
# Where the images have their libraries; auditwheel tells a file only by the sha256 of its path.
_PLACES = (
    "/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib64",
    "/lib64", "/usr/lib", "/lib", "/usr/local/lib", "/usr/local/lib64",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    path: str
    name: str
    sha256: str
    package: dict[str, Any] | None


def with_bill(wheel: StagedWheel, crates: Sequence[Crate], folder: Path, epoch: int) -> StagedWheel:
    """Write the wheel with its bill into `folder`; return `wheel` as it is when nothing came along, or when it is no sound wheel.

    StoreError when the file cannot be written.
    """
    make_dirs(folder)
    path = folder / wheel.filename
    try:
        with zipfile.ZipFile(wheel.path) as source:
            found = sound_record(source)
            name = parse_wheel_name(wheel.filename)
            if found is None or name is None:
                return wheel
            dist_info, rows = found
            libraries = _libraries(source, dist_info)
            member = f"{dist_info}/{BILL}"
            if not (libraries or (crates and any(_binary(info.filename) for info in source.infolist()))) or member in source.namelist():
                return wheel
            content = _bill(name.name, str(name.version), libraries, crates)
            record = f"{dist_info}/RECORD"
            with storing(path), zipfile.ZipFile(path, "w") as made:
                copy_wheel(source, made, {record: with_rows(rows, {}, added={member: content})})
                add_member(made, member, content, epoch)
    except UNREADABLE:
        path.unlink(missing_ok=True)
        return wheel
    with storing(path), path.open("rb") as file:
        digest = Digest(hashlib.file_digest(file, "sha256").hexdigest())
    return StagedWheel(filename=wheel.filename, path=path, sha256=digest, size=path.stat().st_size, commands=wheel.commands)


def _binary(filename: str) -> bool:
    return re.search(r"\.so(?:\.|$)", filename) is not None


def _libraries(source: zipfile.ZipFile, dist_info: str) -> list[_Library]:
    packages = _packages(source, f"{dist_info}/{_AUDITWHEEL}")
    found = []
    for info in sorted(source.infolist(), key=lambda info: info.filename):
        folder, _, filename = info.filename.rpartition("/")
        if not folder.endswith(".libs") or "/" in folder or not _binary(filename):
            continue
        match = _GRAFTED.fullmatch(filename)
        name = f"{match['stem']}.{match['rest']}" if match else filename
        with source.open(info) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        paths = (hashlib.sha256(f"{place}/{name}".encode()).hexdigest() for place in _PLACES)
        package = next((packages[digest] for digest in paths if digest in packages), None)
        found.append(_Library(path=info.filename, name=name, sha256=digest, package=package))
    return found


def _packages(source: zipfile.ZipFile, member: str) -> dict[str, dict[str, Any]]:
    """Return auditwheel's components by the sha256 of the path that each library had."""
    if member not in source.namelist() or source.getinfo(member).file_size > LONGEST:
        return {}
    found = {}
    for component in json.loads(source.read(member)).get("components", ()):
        where = str(component.get("bom-ref", "")).rpartition("#")[2]
        if component.get("purl") and len(where) == 64:
            found[where] = component
    return found


def _bill(name: str, version: str, libraries: Sequence[_Library], crates: Sequence[Crate]) -> bytes:
    root = f"pkg:pypi/{canonicalize_name(name)}@{version}"
    components = [*map(_library, libraries), *map(_crate, sorted(crates, key=lambda one: (one.name, one.version)))]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "library", "bom-ref": root, "name": name, "version": version, "purl": root},
            "tools": {"components": [{"type": "application", "name": "farm"}]},
        },
        "components": components,
        "dependencies": [{"ref": root, "dependsOn": [component["bom-ref"] for component in components]}],
        # C and C++ sources that a project carries along cannot be told from its own.
        "compositions": [{"aggregate": "incomplete", "assemblies": [root]}],
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def _library(one: _Library) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"file:{one.path}",
        "name": one.name,
        "hashes": [{"alg": "SHA-256", "content": one.sha256}],
        "properties": [{"name": "farm:file", "value": one.path}],
    }
    if one.package is not None:
        component |= {"name": one.package["name"], "version": one.package["version"], "purl": one.package["purl"]}
        component["properties"].append({"name": "farm:library", "value": one.name})
    else:
        component["properties"].append({"name": "farm:origin", "value": "no system package of the builder image"})
    return component


def _crate(one: Crate) -> dict[str, Any]:
    purl = f"pkg:cargo/{one.name}@{one.version}"
    component: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": one.name, "version": one.version, "purl": purl}
    if one.sha256:
        component["hashes"] = [{"alg": "SHA-256", "content": one.sha256}]
    return component
