"""What compilers made before: ccache and sccache in a volume of the engine, so that building again compiles only what changed.

A volume is shared by builds that trust each other and by no others: whoever writes an object into it decides what a later build takes
for its own. docs/decisions/0022 says who that is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from farm.model.image import Image
    from farm.model.job import Job

FOLDER = "/cache"
"""Where the volume is in a build container; the images have the folder, owned by whom builds run as."""
_SIZE = "1G"
# Debian's and Alpine's, Red Hat's: links to ccache under the names of compilers. Folders that are not there do no harm.
_MASKS = ("/usr/lib/ccache", "/usr/lib/ccache/bin", "/usr/lib64/ccache")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilerCache:
    """Which volume a job's compilers share. `store` is the farm's mark; `trusted` are patterns of project names that share one.

    `mode` "off" gives none to anybody.
    """

    store: str
    mode: str = "project"
    trusted: tuple[str, ...] = ()

    def volume(self, job: Job, image: Image) -> str:
        """Return the name of the job's volume, "" for none."""
        if self.mode == "off":
            return ""
        scope = f"{'direct' if job.direct else 'index'}-{job.pin.name}"
        if any(fnmatchcase(job.pin.name, pattern) for pattern in self.trusted):
            scope = "trusted"
        # The name of the image with its suite and architecture: objects of one are of no use to another.
        mark = hashlib.sha256(f"{scope}\n{image.spec.name}".encode()).hexdigest()[:12]
        return f"farm-compiled-{self.store}-{mark}"


def environment(path: str) -> dict[str, str]:
    """Return the variables that make compilers look into the volume first; `path` is PATH without it."""
    return {
        "PATH": ":".join((*_MASKS, path)),
        "CCACHE_DIR": f"{FOLDER}/ccache",
        "CCACHE_MAXSIZE": _SIZE,
        # A compiler is the same while its bytes are: images are made anew, and times with them.
        "CCACHE_COMPILERCHECK": "content",
        "RUSTC_WRAPPER": "sccache",
        "SCCACHE_DIR": f"{FOLDER}/sccache",
        "SCCACHE_CACHE_SIZE": _SIZE,
        # A cache that fails must not fail a build.
        "SCCACHE_IGNORE_SERVER_IO_ERROR": "1",
    }
