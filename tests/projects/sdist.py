"""Makes an sdist of a folder here: the same folder gives the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

PROJECTS = Path(__file__).parent
_EPOCH = 1_700_000_000


def make_sdist(project: str, folder: Path, version: str = "1.0", *, static: bool = False) -> Path:
    """Write `farm_PROJECT-VERSION.tar.gz` into `folder` and return its path; with `static` metadata nothing has to be asked."""
    source = PROJECTS / project
    stem = f"farm_{project.replace('-', '_')}-{version}"
    info = f"Metadata-Version: {'2.2' if static else '2.1'}\nName: farm-{project}\nVersion: {version}\n"
    files = {path.relative_to(source).as_posix(): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    files = {name: data for name, data in files.items() if "__pycache__" not in name} | {"PKG-INFO": info.encode()}
    return write_tar(folder / f"{stem}.tar.gz", {f"{stem}/{name}": data for name, data in files.items()})


def write_tar(path: Path, files: dict[str, bytes], extra: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    """Write a reproducible .tar.gz of these files, then of these ready-made members (links, devices)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(files[name]), _EPOCH
            archive.addfile(member, io.BytesIO(files[name]))
        for member in extra:
            archive.addfile(member)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return path
