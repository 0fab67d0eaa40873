"""Tiny sdists and wheels, made in memory: what a project's author would upload, in a few hundred bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from dataclasses import dataclass, field


def tar_gz(members: dict[str, str | bytes]) -> bytes:
    """Return a .tar.gz with these files, the same bytes for the same members."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, text in members.items():
            data = text.encode() if isinstance(text, str) else text
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=0)


def zipped(members: dict[str, str | bytes]) -> bytes:
    """Return a .zip with these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


@dataclass(frozen=True, kw_only=True)
class Made:
    """A project's version to be made: `requires` are Requires-Dist lines; `version_of_metadata` 2.2 and later is static."""

    name: str
    version: str
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requires_python: str | None = None
    metadata_version: str = "2.2"
    dynamic: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)

    @property
    def metadata(self) -> str:
        lines = [f"Metadata-Version: {self.metadata_version}", f"Name: {self.name}", f"Version: {self.version}"]
        lines += [f"Requires-Dist: {text}" for text in self.requires]
        lines += [f"Provides-Extra: {extra}" for extra in self.extras]
        lines += [f"Requires-Python: {self.requires_python}"] if self.requires_python else []
        lines += [f"Dynamic: {name}" for name in self.dynamic]
        return "\n".join(lines) + "\n"

    @property
    def stem(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}"

    def sdist(self, suffix: str = ".tar.gz") -> tuple[str, bytes]:
        """Return (file name, bytes) of an sdist with PKG-INFO, a setup.py, and `files` below its folder."""
        files = {"setup.py": "from setuptools import setup\nsetup()\n", "PKG-INFO": self.metadata, **self.files}
        members: dict[str, str | bytes] = {f"{self.stem}/{name}": text for name, text in files.items()}
        return f"{self.stem}{suffix}", tar_gz(members) if suffix == ".tar.gz" else zipped(members)

    def wheel(self, tag: str = "py3-none-any") -> tuple[str, bytes]:
        """Return (file name, bytes) of a wheel with a METADATA file and a module."""
        members: dict[str, str | bytes] = {
            f"{self.name.replace('-', '_')}/__init__.py": "",
            f"{self.stem}.dist-info/METADATA": self.metadata,
            f"{self.stem}.dist-info/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n",
            f"{self.stem}.dist-info/RECORD": "",
        }
        return f"{self.stem}-{tag}.whl", zipped(members)
