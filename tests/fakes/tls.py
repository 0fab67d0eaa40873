"""A certificate authority for one test, and a certificate of it for the loopback address."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SERVER = "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Write `ca.pem`, and return (certificate, key) of a server that it signed."""
    ca, ca_key, request, key, certificate, extensions = (
        folder / name for name in ("ca.pem", "ca.key", "server.csr", "server.key", "server.pem", "server.ext")
    )
    extensions.write_text(_SERVER)
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    usage = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    _openssl("req", "-x509", *new, "-keyout", ca_key, "-out", ca, "-days", "2", "-subj", "/CN=farm test CA", *usage)
    _openssl("req", *new, "-keyout", key, "-out", request, "-subj", "/CN=127.0.0.1")
    signing = ["-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "2", "-extfile", extensions]
    _openssl("x509", "-req", "-in", request, "-out", certificate, *signing)
    return certificate, key


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
