"""What the servers are measured on: made-up wheels that install, and for nginx the pages that the farm gave, as files."""

from __future__ import annotations

import gzip
import http.client
import os
import random
from typing import TYPE_CHECKING, Any

from bench import ROOT as _ROOT  # noqa: F401 - puts this checkout on the import path

from tests.fakes.store import wheel_bytes

if TYPE_CHECKING:
    from pathlib import Path

JSON = "application/vnd.pypi.simple.v1+json"
LARGE = 4
"""So many of the last projects have a wheel of 5 MB."""

_NGINX = """\
daemon off; worker_processes 1; pid nginx.pid; user root;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; gzip_static on; gzip_vary on; server_tokens off;
  open_file_cache max=20000 inactive=60s; open_file_cache_valid 1s;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  types {{ text/html html; {json} json; application/zip whl; }}
  default_type application/octet-stream;
  map $http_accept $page {{ default index.html; "~{json}" index.json; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    root {folder}/tree;
    location /wheels/simple/ {{ index $page; add_header Vary Accept; add_header Cache-Control no-cache; }}
    location ~ "^/files/(..)/([^/]+)/[^/]+\\.whl(?<suffix>(?:\\.metadata)?)$" {{
      alias {folder}/store/blobs/$1/$2$suffix; gzip_static off; add_header Cache-Control "public, max-age=31536000, immutable";
    }}
    location = / {{ return 204; }}
  }}
}}
"""


def make_wheels(folder: Path, projects: int, versions: int, *, small: bool) -> list[dict[str, Any]]:
    """Write wheels of about 40 KB (`small`: 1 KB), the same ones each time, and return their list for `serve_store.fill`."""
    chance = random.Random(20261122)
    folder.mkdir(parents=True, exist_ok=True)
    wheels = []
    for number in range(projects):
        name = f"project-{number:05d}"
        for version in (f"{major}.0" for major in range(1, versions + 1)):
            size = 100 if small else 2_500_000 if number >= projects - LARGE else 20_000
            data, metadata = wheel_bytes(name, version, f"VALUE = '{chance.randbytes(size).hex()}'\n")
            path = folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
            path.write_bytes(data)
            beside = path.with_name(path.name + ".metadata")
            # As long as real ones are, mostly.
            beside.write_bytes(metadata)
            wheels.append(
                {"path": str(path), "metadata": str(beside), "name": name, "version": version, "requires_python": None}
            )
    return wheels


def static_tree(folder: Path, port: int) -> None:
    """Write the farm's pages as files for nginx; the wheels are the store's own."""
    names = (folder / "store" / "projects").read_text().split()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for path in ("/wheels/simple/", *(f"/wheels/simple/{name}/" for name in names)):
        place = folder / "tree" / path.strip("/")
        place.mkdir(parents=True, exist_ok=True)
        for file, accept in (("index.html", "text/html"), ("index.json", JSON)):
            connection.request("GET", path, headers={"Accept": accept, "Accept-Encoding": "identity"})
            body = connection.getresponse().read()
            connection.request("GET", path, headers={"Accept": accept, "Accept-Encoding": "gzip"})
            zipped = connection.getresponse().read()
            assert gzip.decompress(zipped) == body
            (place / file).write_bytes(body)
            (place / f"{file}.gz").write_bytes(zipped)
        if path == "/wheels/simple/" and (folder / "tree" / "wheels" / "simple" / names[-1]).exists():
            break
    connection.close()


def nginx_config(folder: Path, port: int) -> str:
    """Return the configuration of an nginx that sends the same bytes."""
    assert os.sep in str(folder)
    return _NGINX.format(folder=folder.absolute(), port=port, json=JSON)
