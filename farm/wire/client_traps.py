"""Traps in a client's configuration, which show without asking the farm. Each check returns findings, none when all is well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from packaging.version import Version

from farm.adapters.process import redact
from farm.model.finding import Finding
from farm.wire.clients import is_loopback, same_farm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from farm.wire.client_doctor import Client

_READABLE_BY_OTHERS = 0o044
_EXTRA_WHY = (
    "versions of both indexes are one heap for pip: a lock with only the sdist's hash ignores the farm, and a newer upstream sdist"
    " is compiled"
)


def index_places(client: Client) -> Iterator[Finding]:
    """pip's index set in several places: the strongest wins, and the others deceive."""
    for option in ("index-url", "extra-index-url"):
        told = [(place.where, _value(place.values, option)) for place in client.pip.places]
        found = [(where, value) for where, value in told if value]
        if len({value for _, value in found}) > 1:
            where = "; ".join(f"{place}: {redact(value)}" for place, value in found)
            yield Finding(
                subject="index", state="warning", found=f"pip's {option} is set {len(found)} times, the last of these wins: {where}",
                why="what is edited in one place is overruled by another", fix=f"keep one; `pip config list` and `env` show {option}",
            )  # fmt: skip


def _value(values: dict[str, str], option: str) -> str:
    return values.get(f"install.{option}") or values.get(f"global.{option}") or ""


def farm_used(client: Client) -> Iterator[Finding]:
    """The farm as the only index, as an extra one, or not at all."""
    pip = client.pip
    if pip.no_index:
        yield Finding(
            subject="index", state="fault", found="pip is configured with no-index", why="pip asks no index at all, the farm neither",
            fix="unset PIP_NO_INDEX, or take no-index out of pip.conf",
        )  # fmt: skip
    extra = [url for url in pip.extra_index_urls if _is_farm(client, url)]
    if extra:
        yield Finding(
            subject="index", state="warning", found=f"pip has the farm as an extra index: {redact(extra[0])}", why=_EXTRA_WHY,
            fix="use the merged index as the only one: `farm client pip`" + ("" if pip.prefer_binary else "; at least set prefer-binary"),
        )  # fmt: skip
    elif client.root and not _is_farm(client, pip.index_url):
        yield Finding(
            subject="index", state="fault", found=f"pip does not use the farm, but {redact(pip.index_url)}",
            why="what has no wheel upstream is compiled", fix="`farm client pip` prints the lines",
        )  # fmt: skip
    elif client.root and pip.extra_index_urls:
        urls = " ".join(map(redact, pip.extra_index_urls))
        yield Finding(
            subject="index", state="warning", found=f"pip has other indexes beside the farm: {urls}",
            why="pip takes from any of them: of two equal files that of the index listed last", fix="unset extra-index-url",
        )  # fmt: skip


def _is_farm(client: Client, url: str) -> bool:
    return same_farm(url, client.root) if client.root else "/wheels/simple" in url or "/strict/" in url


def plain_http(client: Client) -> Iterator[Finding]:
    """pip takes nothing over plain HTTP from hosts that it was not told to trust."""
    for url in dict.fromkeys((client.pip.index_url, *client.pip.extra_index_urls)):
        parts = urlsplit(url)
        host = parts.hostname or ""
        trusted = {host, f"{host}:{parts.port}"} & set(client.pip.trusted_hosts)
        if parts.scheme == "http" and not is_loopback(host) and not trusted:
            yield Finding(
                subject="http", state="fault", found=f"{redact(url)} is plain HTTP, and {host} is no trusted-host",
                why="pip ignores the index with a warning, and finds nothing or compiles",
                fix=f"serve it over TLS, or set trusted-host = {host}",
            )  # fmt: skip


def certificates(client: Client) -> Iterator[Finding]:
    """CA files that are named and not there."""
    named = {"pip's cert": client.pip.cert or ""}
    named |= {name: client.env.get(name, "") for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    for name, value in named.items():
        if value and not Path(value).exists():
            yield Finding(
                subject="certificates", state="fault", found=f"{name} names {value}, which does not exist",
                why="every HTTPS request fails, or trusts other CAs than meant", fix=f"put the CA file there, or unset {name}",
            )  # fmt: skip
    own = client.pip.cert and client.root and client.root.startswith("https:")
    if own and client.uv and not client.env.get("SSL_CERT_FILE") and not client.uv.system_certificates:
        yield Finding(
            subject="certificates", state="warning", found=f"pip has a CA of its own ({client.pip.cert}), uv has none",
            why="uv does not read pip's cert: it cannot reach the farm", fix="set SSL_CERT_FILE to the same file, or UV_SYSTEM_CERTS=1",
        )  # fmt: skip


def open_secrets(client: Client) -> Iterator[Finding]:
    """Tokens in files that everybody on the machine can read."""
    files = [
        (place.where, place.mode, " ".join(place.values.values()))
        for place in client.pip.places
        if place.where != "environment"
    ]
    files += [(str(file.path), file.mode, _quoted_urls(file.path)) for file in (client.uv.files if client.uv else ())]
    for where, mode, text in files:
        if mode & _READABLE_BY_OTHERS and any(urlsplit(url).password for url in text.split() if "://" in url):
            yield Finding(
                subject="secrets", state="fault", found=f"{where} holds a password in a URL and is readable by others (mode {mode:o})",
                why="everybody on this machine can use the token", fix=f"chmod 600 {where}, or put the token into ~/.netrc",
            )  # fmt: skip
    if client.netrc and client.netrc.mode & _READABLE_BY_OTHERS:
        yield Finding(
            subject="secrets", state="fault", found=f"{client.netrc.path} is readable by others (mode {client.netrc.mode:o})",
            why="everybody on this machine can use what is in it", fix=f"chmod 600 {client.netrc.path}",
        )  # fmt: skip


def _quoted_urls(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").replace('"', " ").replace("'", " ")
    except OSError:
        return ""


def netrc_clashes(client: Client) -> Iterator[Finding]:
    """~/.netrc and credentials in URLs that contradict each other, and a netrc that nobody can read."""
    if client.netrc is None:
        return
    if client.netrc.fault:
        yield Finding(
            subject="netrc", state="warning", found=f"{client.netrc.path} cannot be read: {client.netrc.fault}",
            why="pip and uv pass over it without a word, and the farm answers 401", fix="correct it",
        )  # fmt: skip
    users = client.netrc.users
    urls = [
        client.pip.index_url,
        *client.pip.extra_index_urls,
        *(index.url for index in (client.uv.indexes if client.uv else ())),
    ]
    for url in dict.fromkeys(urls):
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.username and host in users and parts.username != users[host]:
            yield Finding(
                subject="netrc", state="warning", found=f"{redact(url)} and {client.netrc.path} name two users for {host}",
                why="pip and uv use the URL's, other tools netrc's: one of them may be an old token", fix="keep one of the two",
            )  # fmt: skip
    farm = urlsplit(client.root).hostname if client.root else None
    with_user = any(urlsplit(url).username for url in urls if client.root and same_farm(url, client.root))
    if farm and "" in users and farm not in users and not with_user:
        yield Finding(
            subject="netrc", state="warning", found=f"{client.netrc.path} has a `default` entry, which is sent to {farm} as well",
            why="the farm gets another service's password, and may refuse it", fix=f"add an entry for {farm}, or remove `default`",
        )  # fmt: skip


def sources_only(client: Client) -> Iterator[Finding]:
    """--no-binary: the wheel is forbidden."""
    for tool, named in (("pip", client.pip.no_binary), ("uv", client.uv.no_binary if client.uv else ())):
        if named:
            yield Finding(
                subject="no-binary", state="fault" if ":all:" in named else "warning",
                found=f"{tool} may not use wheels of: {' '.join(named)}", why="it compiles them whatever the farm has",
                fix=f"unset {tool.upper()}_NO_BINARY, or take no-binary out of {tool}'s files",
            )  # fmt: skip


def virtualenv_required(client: Client) -> Iterator[Finding]:
    """require-virtualenv with an interpreter that is in none."""
    if client.pip.require_venv and not client.pip.virtualenv:
        yield Finding(
            subject="virtualenv", state="fault", found=f"require-virtualenv is set, and {client.pip.python} is in none",
            why="pip refuses every install", fix="activate the environment, or name its interpreter with --python",
        )  # fmt: skip


def find_links(client: Client) -> Iterator[Finding]:
    """Folders of --find-links that do not exist."""
    for tool, links in (("pip", client.pip.find_links), ("uv", client.uv.find_links if client.uv else ())):
        for link in links:
            if "://" not in link and not Path(link).expanduser().exists():
                why = (
                    "uv refuses to run"
                    if tool == "uv"
                    else "pip warns at each run; if the folder appears, its files are taken too"
                )
                yield Finding(
                    subject="find-links", state="fault" if tool == "uv" else "warning",
                    found=f"{tool} has find-links {link}, which does not exist",
                    why=why, fix=f"unset {tool.upper()}_FIND_LINKS, or take find-links out of {tool}'s files",
                )  # fmt: skip


def uv_strategy(client: Client) -> Iterator[Finding]:
    """uv takes a project from the first index that has it: the farm as an extra one hides upstream."""
    uv = client.uv
    if uv is None:
        return
    extra = [index for index in uv.extras if _is_farm(client, index.url)]
    if extra and uv.strategy == "first-index":
        yield Finding(
            subject="uv index", state="fault", found=f"uv has the farm as an extra index ({extra[0].where}) with the strategy first-index",
            why="the farm's page of a project hides upstream's: versions without a farm wheel are not found",
            fix="make the merged index the default one: `farm client uv`",
        )  # fmt: skip
    elif extra:
        yield Finding(
            subject="uv index", state="warning", found=f"uv has the farm as an extra index ({extra[0].where}), strategy {uv.strategy}",
            why="a lock with only the sdist's hash fails, and a newer upstream sdist is compiled",
            fix="make the merged index the default one: `farm client uv`",
        )  # fmt: skip
    elif client.root and not any(_is_farm(client, index.url) for index in uv.defaults[:1]):
        yield Finding(
            subject="uv index", state="warning", found="uv does not use the farm", why="uv reads neither pip.conf nor PIP_*",
            fix="`farm client uv` prints the lines",
        )  # fmt: skip
    if len({index.url for index in uv.defaults}) > 1:
        told = "; ".join(f"{index.where}: {redact(index.url)}" for index in uv.defaults)
        yield Finding(
            subject="uv index", state="warning",
            found=f"uv's default index is set {len(uv.defaults)} times, the first of these wins: {told}",
            why="what is edited in one place is overruled by another", fix="keep one",
        )  # fmt: skip


def uv_files(client: Client) -> Iterator[Finding]:
    """Configuration that uv cannot read."""
    for file in client.uv.files if client.uv else ():
        if file.fault:
            yield Finding(
                subject="uv index",
                state="fault",
                found=f"{file.path}: {file.fault}",
                why="uv stops at it",
                fix="correct the file",
            )


def old_pip(client: Client) -> Iterator[Finding]:
    """A pip that does not know the tags of today's wheels for its own machine."""
    from farm.model.client import needed_pip  # noqa: PLC0415 - only here

    target = client.target
    if target is None:
        return
    best = next((tag for tag in target.ranks if not tag.platform.startswith("linux_")), None)
    needed = needed_pip(frozenset({best}), target) if best else None
    if needed is not None and Version(client.pip.pip) < needed:
        yield Finding(
            subject="pip", state="warning", found=f"pip {client.pip.pip} does not know {best}, which needs pip {needed}",
            why="wheels with such tags are invisible to it: it compiles", fix=f"{client.pip.python} -m pip install --upgrade pip",
        )  # fmt: skip


def cache_off(client: Client) -> Iterator[Finding]:
    """pip's cache switched off or unusable."""
    if client.pip.cache_trouble:
        yield Finding(
            subject="cache", state="warning", found=client.pip.cache_trouble,
            why="what pip must compile it compiles each time, and `farm seed` has nowhere to put wheels",
            fix="unset no-cache-dir, or give the folder to this user",
        )  # fmt: skip


CHECKS = (
    farm_used, index_places, plain_http, certificates, open_secrets, netrc_clashes, sources_only, virtualenv_required, find_links,
    uv_files, uv_strategy, old_pip, cache_off,
)  # fmt: skip
