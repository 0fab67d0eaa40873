"""A server block for nginx in front of a farm: nginx sends files from the store itself, the farm answers the rest. Pure.

What nginx sends costs the farm nothing; what it hands on goes without headers that differ from client to client where the
answer does not, so that the farm's short cut (`farm.serve.fast`) knows the request again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farm.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_FILE = r"(?<first>[0-9a-f]{2})/(?<rest>[0-9a-f]{62})/[^/]+\.(?:whl|tar\.gz|zip)"

_BLOCK = """\
# farm behind nginx. Put it into the http block, e.g. as /etc/nginx/conf.d/farm.conf; then have `farm serve` listen on
# {upstream} and say in config.toml:  [serve] trusted-proxies = ["127.0.0.1"]{prefix_line}
upstream farm {{
    server {upstream};
    keepalive 32;
}}

server {{
    listen {listen};
    server_name _;
    client_max_body_size 0;
    sendfile on;
    tcp_nopush on;

    # Pages come compressed from the farm.
    gzip off;
    proxy_http_version 1.1;
    proxy_read_timeout 120s;
    # No header that differs between clients: the farm knows a request again by its bytes.
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
{files}
    location {prefix}/ {{
        proxy_pass {scheme}://farm;
    }}

    # What names the address by which it was asked, and uploads, which are passed on as they arrive.
    location ~ "^{prefix_pattern}/(?:legacy/?)?$" {{
        proxy_pass {scheme}://farm;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_request_buffering off;
        proxy_read_timeout 600s;
    }}
}}
"""

_FILES = """
    # A file's URL has its sha256, so the bytes behind it never change. Only published files have METADATA beside them:
    # the rest of the store (sources, logs) is nobody's business, and the farm says why a file is gone.
    location ~ "^{prefix}(?:/wheels|/strict/[^/]+)?/files/{file}$" {{
        if (!-f "{blobs}/$first/$rest.metadata") {{ return 418; }}
        if (!-f "{blobs}/$first/$rest") {{ return 418; }}
        error_page 418 = @farm;
        alias "{blobs}/$first/$rest";
        types {{ }}
        default_type application/zip;
        max_ranges 1;
        add_header Cache-Control "public, max-age=31536000, immutable";
        add_header X-Content-Type-Options nosniff;
    }}
    location ~ "^{prefix}(?:/wheels|/strict/[^/]+)?/files/{file}\\.metadata$" {{
        if (!-f "{blobs}/$first/$rest.metadata") {{ return 418; }}
        error_page 418 = @farm;
        alias "{blobs}/$first/$rest.metadata";
        types {{ }}
        default_type application/octet-stream;
        add_header Cache-Control "public, max-age=31536000, immutable";
        add_header X-Content-Type-Options nosniff;
    }}
    location @farm {{
        proxy_pass {scheme}://farm;
    }}
"""

_WITH_LOGIN = """
    # The index is read with a token, which the farm checks for each file too.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What the block depends on: the store's blobs, where the farm listens, the path prefix, who may read."""

    blobs: Path
    host: str
    port: int
    prefix: str = ""
    tls: bool = False
    open_reading: bool = True
    listen: str = "80"


def render_nginx(front: Front) -> str:
    """Return the block. UsageError when the store's path cannot be written into nginx's language."""
    blobs = str(front.blobs)
    if any(character in blobs for character in '"\\$\n;{}'):
        raise UsageError(
            f"expected a store whose path nginx can name, found {blobs}",
            solution="move the store to a folder without quotes, dollars, semicolons and braces in its name",
        )
    host = f"[{front.host}]" if ":" in front.host else front.host
    scheme = "https" if front.tls else "http"
    files = _FILES.format(prefix=_escaped(front.prefix), file=_FILE, blobs=blobs, scheme=scheme)
    return _BLOCK.format(
        upstream=f"{host}:{front.port}",
        listen=front.listen,
        prefix=front.prefix,
        prefix_pattern=_escaped(front.prefix),
        prefix_line=f' path-prefix = "{front.prefix}"' if front.prefix else "",
        scheme=scheme,
        files=files if front.open_reading else _WITH_LOGIN,
    )


def _escaped(prefix: str) -> str:
    return prefix.replace(".", "\\.")
