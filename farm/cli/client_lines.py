"""What to write where so that a client uses the farm: pure text, made from the farm's URL. tests/functional runs every line of it.

Sources: pip's documentation ("Configuration", "Authentication"), uv's ("Package indexes", "Authentication"), Poetry's
("Repositories"), PDM's ("Project configuration", "index sources"), Docker's ("Build secrets").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args
from urllib.parse import urlsplit, urlunsplit

from farm.wire.clients import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

Tool = Literal["pip", "uv", "poetry", "pdm", "docker"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
View = Literal["merged", "wheels", "strict"]
USER = "__token__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Farm:
    """The farm as a client is told of it. `root` has no slash at its end; `cert` is a CA file of the client, "" for none."""

    root: str
    view: View = "merged"
    target: str = ""
    token: bool = False
    cert: str = ""

    @property
    def url(self) -> str:
        middle = {"merged": "", "wheels": "/wheels", "strict": f"/strict/{self.target}"}[self.view]
        return f"{self.root}{middle}/simple/"

    @property
    def host(self) -> str:
        return urlsplit(self.root).hostname or ""

    @property
    def trusted_host(self) -> str:
        """What pip must be told to trust, as it takes no plain HTTP from elsewhere than this machine; "" where it need not."""
        parts = urlsplit(self.root)
        if parts.scheme != "http" or is_loopback(self.host):
            return ""
        return f"{self.host}:{parts.port}" if parts.port else self.host

    def with_token(self, token: str) -> str:
        """Return the view's URL with a user and `token` in it."""
        parts = urlsplit(self.url)
        return urlunsplit(parts._replace(netloc=f"{USER}:{token}@{parts.netloc}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines for one place: a file's name, "environment" (of a shell), or "command". `about` says when or why."""

    where: str
    text: str
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Everything for one client. The first block is the usual way, the others are alternatives or additions."""

    tool: Tool
    blocks: tuple[Block, ...]
    limits: tuple[str, ...] = ()


def advise(tool: Tool, farm: Farm) -> Advice:
    """Return what a client needs to use this view of the farm."""
    makers: dict[Tool, Callable[[Farm], Advice]] = {
        "pip": _pip, "uv": _uv, "poetry": _poetry, "pdm": _pdm, "docker": _docker,
    }  # fmt: skip
    return makers[tool](farm)


_STRICT = (
    "where the farm has a wheel for the target the sdist is not listed: nothing can compile it, also with --no-binary"
)
_ONLY_SDIST_HASH = (
    "a lock that names only the sdist's hash {does}: `farm lock` adds the wheel's hash, `farm seed` fills pip's cache,"
    " or lock anew against the merged index"
)


def _limits(farm: Farm, does: str, *more: str) -> tuple[str, ...]:
    strict = (_STRICT,) if farm.view == "strict" else ()
    return (*strict, _ONLY_SDIST_HASH.format(does=does), *more)


def _netrc(farm: Farm) -> Block:
    text = f"machine {farm.host}\nlogin {USER}\npassword TOKEN\n"
    return Block(where="~/.netrc", text=text, about="the token; `chmod 600 ~/.netrc`. `farm token` makes one")


def _pip(farm: Farm) -> Advice:
    wheels = farm.view == "wheels"
    option = "extra-index-url" if wheels else "index-url"
    options = {option: farm.url}
    if wheels:
        options["prefer-binary"] = "true"
    if farm.trusted_host:
        options["trusted-host"] = farm.trusted_host
    if farm.cert:
        options["cert"] = farm.cert
    exports = "".join(f"export PIP_{name.upper().replace('-', '_')}={value}\n" for name, value in options.items())
    header = "".join(f"--{name} {value}\n" for name, value in options.items() if name not in {"cert", "prefer-binary"})
    if wheels:
        header += "--prefer-binary\n"
    blocks = [
        Block(where="pip.conf", text="[global]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()),
              about="~/.config/pip/pip.conf for a user, $VIRTUAL_ENV/pip.conf, or /etc/pip.conf for a machine"),
        Block(where="environment", text=exports, about="instead of pip.conf; it outranks all of pip's files"),
        Block(where="requirements.txt", text=header, about="instead, at the head of the file; it outranks both"),
    ]  # fmt: skip
    if farm.token:
        blocks.append(_netrc(farm))
    if not wheels:
        return Advice(tool="pip", blocks=tuple(blocks), limits=_limits(farm, "is compiled even so"))
    more = ("without prefer-binary pip compiles a newer upstream sdist rather than take the farm's older wheel",)
    return Advice(tool="pip", blocks=tuple(blocks), limits=_limits(farm, "is compiled even so", *more))


def _uv(farm: Farm) -> Advice:
    wheels = farm.view == "wheels"
    name = "farm-wheels" if wheels else "farm"
    head = 'index-strategy = "unsafe-best-match"\n\n' if wheels else ""
    lines = [f'name = "{name}"', f'url = "{farm.url}"']
    if not wheels:
        lines.append("default = true")
    if farm.token:
        lines.append('authenticate = "always"')
    table = "\n".join(lines) + "\n"
    section = f"[tool.uv]\n{head.strip()}\n\n" if wheels else ""
    variable = "UV_INDEX" if wheels else "UV_DEFAULT_INDEX"
    exports = f"export {variable}={name}={farm.url}\n"
    if wheels:
        exports += "export UV_INDEX_STRATEGY=unsafe-best-match\n"
    blocks = [
        Block(where="pyproject.toml", text=f"{section}[[tool.uv.index]]\n{table}", about="of a project"),
        Block(
            where="uv.toml",
            text=f"{head}[[index]]\n{table}",
            about="~/.config/uv/uv.toml, for everything that a user does",
        ),
        Block(where="environment", text=exports, about="instead"),
    ]
    if farm.token:
        stem = f"UV_INDEX_{name.upper().replace('-', '_')}"
        blocks.append(
            Block(
                where="environment",
                text=f"export {stem}_USERNAME={USER}\nexport {stem}_PASSWORD=TOKEN\n",
                about="the token",
            )
        )
    if farm.cert:
        blocks.append(
            Block(
                where="environment",
                text=f"export SSL_CERT_FILE={farm.cert}\n",
                about="the CA; it replaces uv's own list",
            )
        )
    own = "a wheel that uv built itself before outranks the farm's of the same version: `uv cache clean NAME`"
    if not wheels:
        pip = "uv reads neither pip.conf nor PIP_*"
        return Advice(tool="uv", blocks=tuple(blocks), limits=_limits(farm, "is compiled even so", own, pip))
    more = (
        "without unsafe-best-match the farm's project page hides upstream's: versions of which the farm has no wheel are not found",
        "a newer upstream sdist is compiled rather than the farm's older wheel taken",
    )
    return Advice(tool="uv", blocks=tuple(blocks), limits=_limits(farm, "fails", own, *more))


def _poetry(farm: Farm) -> Advice:
    if farm.view == "wheels":
        text = "Poetry takes the files of a package from one source: from a wheels-only index it would see no other version and no sdist"
        return Advice(tool="poetry", blocks=(), limits=(f"{text}; use the merged index",))
    table = f'[[tool.poetry.source]]\nname = "farm"\nurl = "{farm.url}"\npriority = "primary"\n'
    blocks = [
        Block(where="pyproject.toml", text=table, about="a primary source of one's own switches the default one off")
    ]
    if farm.token:
        text = f"export POETRY_HTTP_BASIC_FARM_USERNAME={USER}\nexport POETRY_HTTP_BASIC_FARM_PASSWORD=TOKEN\n"
        blocks.append(Block(where="environment", text=text, about="the token; or `poetry config http-basic.farm`"))
    if farm.cert:
        blocks.append(
            Block(where="environment", text=f"export POETRY_CERTIFICATES_FARM_CERT={farm.cert}\n", about="the CA")
        )
    more = "run `poetry lock` afterwards: poetry.lock names the source of each package"
    return Advice(tool="poetry", blocks=tuple(blocks), limits=_limits(farm, "is compiled even so", more))


def _pdm(farm: Farm) -> Advice:
    wheels = farm.view == "wheels"
    # "pypi" is PDM's name for the default index, which a source of that name replaces.
    name = "farm-wheels" if wheels else "pypi"
    url = farm.with_token("${FARM_TOKEN}") if farm.token else farm.url
    table = f'[[tool.pdm.source]]\nname = "{name}"\nurl = "{url}"\nverify_ssl = true\n'
    blocks = [Block(where="pyproject.toml", text=table, about="of a project")]
    if not wheels and not farm.token:
        blocks.append(
            Block(
                where="environment",
                text=f"export PDM_PYPI_URL={farm.url}\n",
                about="instead, without touching the project",
            )
        )
    if farm.token:
        blocks.append(Block(where="environment", text="export FARM_TOKEN=TOKEN\n", about="the token"))
    if farm.cert:
        blocks.append(Block(where="command", text=f"pdm config {name}.ca_certs {farm.cert}\n", about="the CA"))
    more = ("a newer upstream sdist is compiled rather than the farm's older wheel taken",) if wheels else ()
    return Advice(tool="pdm", blocks=tuple(blocks), limits=_limits(farm, "is compiled even so", *more))


def _docker(farm: Farm) -> Advice:
    mounts, secrets = [], []
    settings = [
        f"PIP_EXTRA_INDEX_URL={farm.url} PIP_PREFER_BINARY=1" if farm.view == "wheels" else f"PIP_INDEX_URL={farm.url}"
    ]
    if farm.trusted_host:
        settings.append(f"PIP_TRUSTED_HOST={farm.trusted_host}")
    if farm.token:
        mounts.append("--mount=type=secret,id=farm-netrc,target=/root/.netrc")
        secrets.append('--secret id=farm-netrc,src="$HOME/.netrc"')
    if farm.cert:
        mounts.append("--mount=type=secret,id=farm-ca")
        secrets.append(f"--secret id=farm-ca,src={farm.cert}")
        settings.append("PIP_CERT=/run/secrets/farm-ca")
    mounts.append("--mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt")
    lines = " \\\n    ".join(
        [f"RUN {' '.join(mounts)}", " ".join(settings), "python3 -m pip install -r /tmp/requirements.txt"]
    )
    command = " ".join(["docker build", *secrets, "."])
    blocks = [
        Block(
            where="Dockerfile", text=f"{lines}\n", about="neither token nor CA nor index stays in the image (BuildKit)"
        ),
        Block(where="command", text=f"{command}\n"),
    ]
    if farm.token:
        blocks.append(_netrc(farm))
    loopback = "the farm's host is this machine: a build reaches it only with `docker build --network host`"
    here = (loopback,) if is_loopback(farm.host) else ()
    advice = _pip(farm)
    return Advice(tool="docker", blocks=tuple(blocks), limits=(*here, *advice.limits))
