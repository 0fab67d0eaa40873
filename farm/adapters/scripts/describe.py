"""Tell, as one line of JSON, what the interpreter that runs this is: version, libc, marker values, and its pip's tags.

Standard library only, and whatever `packaging` this interpreter's own pip carries. Must run on every Python 3.
"""

import glob
import json
import os
import platform
import re
import struct
import subprocess
import sys
import sysconfig


def libc() -> "list[str | int] | None":
    """Return [kind, major, minor], or None outside Linux."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        kind, level = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (AttributeError, OSError, ValueError):
        loaders = sorted(glob.glob("/lib/ld-musl-*.so.1"))  # noqa: PTH207 - a listing of one folder
        if not loaders:
            return None
        told = subprocess.Popen([loaders[0]], stderr=subprocess.PIPE, universal_newlines=True).communicate()[1]
        found = re.search(r"Version (\S+)", told)
        if found is None:
            return None
        kind, level = "musl", found.group(1)
    major, minor = level.split(".")[:2]
    return [kind, int(major), int(minor)]


def markers() -> "dict[str, str]":
    """Return the eleven marker values, as the dependency specifiers define them."""
    told = sys.implementation.version
    implementation = ".".join(str(part) for part in told[:3])
    if told.releaselevel != "final":
        implementation += told.releaselevel[0] + str(told.serial)
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": implementation,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version().rstrip("+"),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def tags() -> "tuple[str, list[str]]":
    """Return pip's version and the tags that it takes, best first; ("", []) where there is no pip."""
    try:
        import pip  # noqa: PLC0415 - not every interpreter has one
        from pip._internal.utils.compatibility_tags import get_supported  # noqa: PLC0415 - the same

        return pip.__version__, [str(tag) for tag in get_supported()]
    except ImportError:
        pass
    try:
        from packaging.tags import sys_tags  # noqa: PLC0415 - the same

        return "", [str(tag) for tag in sys_tags()]
    except ImportError:
        return "", []


pip_version, supported = tags()
json.dump(
    {
        "path": sys.executable,
        "implementation": sys.implementation.name,
        "version": platform.python_version().rstrip("+"),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "platform": sysconfig.get_platform(),
        "bits": struct.calcsize("P") * 8,
        "libc": libc(),
        "markers": markers(),
        "tags": supported,
        "pip": pip_version,
    },
    sys.stdout,
)
sys.stdout.write("\n")
