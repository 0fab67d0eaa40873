"""A server block for nginx that serves an exported tree by itself, with the content negotiation of PEP 691. Pure."""

from __future__ import annotations

from farm.errors import UsageError

_BLOCK = """\
# An index that `farm export` wrote, served by nginx alone. Put it into the http block, e.g. as /etc/nginx/conf.d/index.conf.
# A client that asks for JSON gets it, every other one HTML; both come compressed as they lie there (gzip_static).
map $http_accept $farm_page {{
    default index.html;
    "~*application/vnd\\.pypi\\.simple\\.(v1|latest)\\+json" index.v1_json;
    "~*application/vnd\\.pypi\\.simple\\.(v1|latest)\\+html" index.v1_html;
}}

server {{
    listen {listen};
    server_name _;
    root "{folder}";
    sendfile on;
    tcp_nopush on;
    absolute_redirect off;
    gzip off;

    location ~ "^/simple/(?:[a-z0-9]+(?:-[a-z0-9]+)*/)?$" {{
        gzip_static on;
        try_files $uri$farm_page =404;
        types {{
            "text/html" html;
            "application/vnd.pypi.simple.v1+html" v1_html;
            "application/vnd.pypi.simple.v1+json" v1_json;
        }}
        charset_types text/html;
        charset utf-8;
        add_header Vary "Accept, Accept-Encoding";
        add_header Cache-Control "no-cache";
        add_header X-Content-Type-Options nosniff;
    }}
    location ~ "^/simple(/[^/]+)?$" {{
        return 301 $uri/;
    }}
    location ~ "^/files/[0-9a-f]{{2}}/[0-9a-f]{{62}}/[^/.][^/]*$" {{
        types {{
            application/zip whl zip;
        }}
        default_type application/octet-stream;
        max_ranges 1;
        add_header Cache-Control "public, max-age=31536000, immutable";
        add_header X-Content-Type-Options nosniff;
    }}
    location / {{
        return 404;
    }}
}}
"""


def render_static_nginx(folder: str, listen: str = "80") -> str:
    """Return the block for a tree at `folder`. UsageError when that path cannot be written into nginx's language."""
    if any(character in folder for character in '"\\$\n;{}'):
        raise UsageError(
            f"expected a folder whose path nginx can name, found {folder}",
            solution="export to a folder without quotes, dollars, semicolons and braces in its name",
        )
    return _BLOCK.format(folder=folder, listen=listen)
