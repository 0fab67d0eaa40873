"""What config.toml can say, parsed: one value for the whole run."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from farm.model.job import Recipe
from farm.model.recipes import merged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from farm.model.healing import HealMode
    from farm.model.instructions import X86Level
    from farm.model.night import MailTls, When
    from farm.model.package import Pin, Version
    from farm.model.provenance import Twice
    from farm.model.target import Target
    from farm.model.watch import WatchSet


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeRule:
    """A recipe, the versions and targets it is for, and where it stands: a file as shown to people, and a line of it (0: unknown)."""

    versions: SpecifierSet
    recipe: Recipe
    targets: tuple[str, ...] = ()
    file: str = ""
    line: int = 0

    def fits(self, pin: Pin, target: Target) -> bool:
        """Tell whether it is for this version and target."""
        right = not self.targets or any(fnmatchcase(target.name, pattern) for pattern in self.targets)
        return right and self.versions.contains(pin.version, prereleases=True)

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that config.toml can say, parsed. Paths are absolute; durations in seconds, sizes in bytes."""

    source: str = "built-in defaults"
    targets: tuple[Target, ...] = ()
    client_pip: Version | None = None
    store: Path = field(default_factory=Path)
    index_url: str = ""
    extra_index_urls: tuple[str, ...] = ()
    private: tuple[str, ...] = ()
    index_ttl: float = 600.0
    index_timeout: float = 0.0
    image_family: Literal["auto", "official", "debian"] = "auto"
    debian_mirror: str = ""
    image_bases: tuple[tuple[str, str], ...] = ()
    image_folder: str = ""
    image_lock: str = ""
    jobs: int = 0
    time_limit: float = 3600.0
    memory: int = 4 << 30
    recipe_folder: str = ""
    heal: HealMode = "apply"
    heal_memory: int = 8 << 30
    disk: int = 20 << 30
    compiler_cache: str = "project"
    trusted: tuple[str, ...] = ()
    processes: int = 2048
    proof_time_limit: float = 300.0
    x86_64_level: X86Level = "v2"
    twice: Twice = "off"
    sign: bool = True
    signing_key: str = ""
    serve_provenance: bool = False
    from_source: frozenset[NormalizedName] = frozenset()
    cool_down: float = 0.0
    host: str = "127.0.0.1"
    port: int = 8417
    mirror: Literal["link", "redirect", "cache"] = "link"
    upstream_max_age: float = 300.0
    patience: float = 2.0
    list_upstream: bool = False
    upload_time: Literal["source", "build"] = "source"
    same_tags: Literal["hide", "list"] = "hide"
    strict_gaps: Literal["hide", "list"] = "hide"
    read_access: Literal["open", "token"] = "open"
    metrics: Literal["", "open", "token", "off"] = ""
    log_format: Literal["text", "json"] = "text"
    upload_limit: int = 1 << 30
    public_url: str = ""
    page_cache_control: str = "no-cache"
    path_prefix: str = ""
    trusted_proxies: tuple[str, ...] = ()
    tls_certificate: str = ""
    tls_key: str = ""
    count_demand: bool = True
    build_demand: Literal["off", "nightly", "now"] = "nightly"
    gc_roots: tuple[str, ...] = ()
    gc_keep: float = 30 * 86400.0
    gc_grace: float = 7 * 86400.0
    gc_logs: float = 90 * 86400.0
    gc_cache: int = 20 << 30
    night_budget: float = 0.0
    night_grace: float = 900.0
    night_report: When = "changes"
    night_webhook: str = ""
    mail_to: tuple[str, ...] = ()
    mail_from: str = ""
    mail_host: str = "localhost"
    mail_port: int = 0
    mail_tls: MailTls = "starttls"
    mail_user: str = ""
    mail_password: str = ""
    recipes: Mapping[NormalizedName, tuple[RecipeRule, ...]] = field(default_factory=dict)
    watches: tuple[WatchSet, ...] = ()

    def is_private(self, name: NormalizedName) -> bool:
        """Tell whether a project is the user's own: its name is never asked for upstream."""
        return any(fnmatchcase(name, pattern) for pattern in self.private)

    @property
    def served(self) -> str:
        """The URL of `farm serve` for its clients, without a slash at its end; empty where it listens on every address."""
        if self.public_url:
            return self.public_url.rstrip("/")
        if self.host in {"0.0.0.0", "::", ""}:  # noqa: S104 - compared with, not listened on
            return ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls_certificate else ''}://{host}:{self.port}{self.path_prefix}"

    def rules(self, pin: Pin, target: Target) -> tuple[RecipeRule, ...]:
        """Return what is said for a pin on a target: of each file the first rule that fits, config.toml's own first."""
        found: dict[str, RecipeRule] = {}
        for rule in self.recipes.get(pin.name, ()):
            if rule.file not in found and rule.fits(pin, target):
                found[rule.file] = rule
        return tuple(found.values())

    def recipe(self, pin: Pin, target: Target) -> Recipe:
        """Return these rules as one recipe; an empty one when there is none."""
        return reduce(merged, (rule.recipe for rule in self.rules(pin, target)), Recipe())
