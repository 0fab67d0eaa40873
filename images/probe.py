"""Print, as JSON, the interpreters below /opt/python and the C library of the image that this runs in."""

import glob
import json
import os
import re
import subprocess
import sys

ASK = "import sys; print(sys.implementation.name[0] + 'p%d%d' % sys.version_info[:2] + sys.abiflags)"


def interpreters():
    found = []
    for path in sorted(glob.glob("/opt/python/*/bin/python")):
        tag = subprocess.check_output([path, "-c", ASK], text=True).strip()
        # the name decides what cibuildwheel calls it (cp314-cp314t is the free-threaded one); its utility Python may be
        # another one under a borrowed name
        if path.split("/")[3] == f"{tag.rstrip('t')}-{tag}":
            found.append(tag)
    return found


def libc():
    try:
        kind, level = os.confstr("CS_GNU_LIBC_VERSION").split()
    except (AttributeError, OSError, ValueError):
        loader = glob.glob("/lib/ld-musl-*.so.1")[0]
        kind = "musl"
        level = re.search(r"Version (\S+)", subprocess.run([loader], capture_output=True, text=True).stderr)[1]
    major, minor = level.split(".")[:2]
    return [kind, int(major), int(minor)]


json.dump({"pythons": interpreters(), "libc": libc()}, sys.stdout)
