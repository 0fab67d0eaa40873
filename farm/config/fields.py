"""Every key of config.toml and of a recipe: what is expected there, its default, what it does, and how it is read.

The tables are the whole reference: docs/configuration.md is made from them, and a test holds them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farm.config import values
from farm.model.recipes import UPSTREAM

if TYPE_CHECKING:
    from collections.abc import Callable


DEFAULT_TARGETS = ("cp311-manylinux_2_36_x86_64", "cp313-manylinux_2_41_x86_64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One key of config.toml: its dotted path, what is expected there, its default as shown, and what it does."""

    path: str
    expected: str
    default: str
    about: str
    parse: Callable[[Any], Any]
    setting: str


FIELDS: tuple[Field, ...] = tuple(
    Field(path=path, expected=expected, default=default, about=about, parse=parse, setting=setting)
    for path, setting, parse, expected, default, about in (
        ("targets", "targets", values.targets, "a list of target names", str(list(DEFAULT_TARGETS)).replace("'", '"'),
         "The kinds of client that must find wheels. `--target` on the command line replaces them."),
        ("client-pip", "client_pip", values.pip, 'a version of pip such as "20.2"', '""',
         "The oldest pip that installs: a wheel whose tags it does not know is hidden from it. Empty: today's. `--client-pip` replaces it."),
        ("store.path", "store", values.text, "a folder", '".farm"',
         "Where wheels, pages, logs and the catalogue are kept; relative to config.toml."),
        ("index.url", "index_url", values.text, "a URL", '""', "The upstream index. Empty: the one that pip on this machine is configured to use."),
        ("index.extra-urls", "extra_index_urls", values.texts, "a list of URLs", "[]",
         "Further upstream indexes; used with `url`. Without `url`, pip's own extra indexes are used."),
        ("index.private", "private", values.texts, "a list of name patterns", "[]", 'Names that are never asked upstream, e.g. `["acme-*"]`.'),
        ("index.ttl", "index_ttl", values.seconds, 'a duration such as "10m"', '"10m"', "How long an upstream page is used without asking again."),
        ("index.timeout", "index_timeout", values.wait, 'a duration such as "60s", or 0', "0", "How long the upstream index may be silent before it counts as down. 0: as long as pip on this machine waits (its `timeout`)."),
        ("images.family", "image_family", values.choice("auto", "official", "debian"), '"auto", "official" or "debian"', '"auto"',
         "Which builder images to use: `auto` takes the official manylinux and musllinux ones where they are at hand or can be pulled, else Debian's."),
        ("images.debian-mirror", "debian_mirror", values.text, "a URL", '""',
         "The Debian mirror for root file systems; after a space its security archive. `{snapshot}` in them stands for the day in `images.lock`. Empty: the one that apt on this machine uses."),
        ("images.bases", "image_bases", values.table, "a table of image references", "{}",
         'Other official images to build on, by image name: `{ "manylinux_2_28-x86_64-builder" = "registry.example/ml@sha256:..." }`.'),
        ("images.folder", "image_folder", values.text, "a folder", '""', "Another `images/` folder than farm's own."),
        ("images.lock", "image_lock", values.text, "a file", '"images.lock"',
         "What the images are made from, as `farm images update` wrote it; relative to config.toml. Without the file nothing is pinned but the official images."),
        ("build.jobs", "jobs", values.number(0, 1024), "a number of 0 to 1024", "0", "Builds side by side. 0: as many as there are processors, and more of those that were seen to use less than one (docs/build.md)."),
        ("build.time-limit", "time_limit", values.seconds, 'a duration such as "1h"', '"1h"', "A build that takes longer is killed with its children."),
        ("build.memory", "memory", values.size, 'a size such as "4GiB"', '"4GiB"', "Memory of one build container."),
        ("build.recipes", "recipe_folder", values.text, "a folder", '""',
         "Where recipes stand, a file for each project (docs/recipes.md); relative to config.toml. Empty: `recipes` beside config.toml, if it is there."),
        ("build.compiler-cache", "compiler_cache", values.choice("project", "off"), '"project" or "off"', '"project"',
         "What compilers made is kept for later builds of the same project, in a volume of the engine (ccache, sccache)."),
        ("build.trusted", "trusted", values.texts, "a list of name patterns", "[]",
         'Projects whose builds may take what compilers made for each other, e.g. `["acme-*"]`: they share one volume.'),
        ("build.heal", "heal", values.choice("off", "propose", "apply"), '"off", "propose" or "apply"', '"apply"',
         "What happens after a build has failed for a known reason: nothing, a proposal in the report, or the change and another attempt, at most five in all (docs/healing.md)."),
        ("build.heal-memory", "heal_memory", values.size, 'a size such as "8GiB"', '"8GiB"',
         "What healing may raise the memory of a build to that ran out of it; never above the machine's."),
        ("build.disk", "disk", values.size, 'a size such as "20GiB"', '"20GiB"',
         "What one build container may write before it is killed."),
        ("build.twice", "twice", values.choice("off", "report", "strict"), '"off", "report" or "strict"', '"off"',
         "Build each wheel again in another folder, with another number of jobs, and compare: report what differs, or refuse the wheel. `--twice` replaces it."),
        ("build.processes", "processes", values.number(16, 1 << 20), "a number of at least 16", "2048", "Processes and threads of one build container."),
        ("proof.time-limit", "proof_time_limit", values.seconds, 'a duration such as "5m"', '"5m"', "A clean-room test that takes longer fails."),
        ("proof.x86-64", "x86_64_level", values.choice("v1", "v2", "v3", "v4"), '"v1", "v2", "v3" or "v4"', '"v2"',
         "The x86-64 level that all clients are known to have. A wheel whose code goes beyond it without asking the processor is refused (docs/trust.md)."),
        ("policy.build-from-source", "from_source", values.names, "a list of project names", "[]",
         'Projects whose upstream wheels do not count: the farm builds its own, and lists it beside upstream\'s. `[":all:"]`: whatever the requirements resolve to.'),
        ("policy.cool-down", "cool_down", values.age, 'an age such as "7d", or 0', "0",
         "Files that were uploaded more recently are not taken, unless a requirement names the version with `==`. A file whose index tells no upload time counts as too young."),
        ("serve.host", "host", values.text, "an address", '"127.0.0.1"', "Where `farm serve` listens."),
        ("serve.port", "port", values.number(0, 65535), "a port number", "8417", "0 lets the system choose."),
        ("serve.mirror", "mirror", values.choice("link", "redirect", "cache"), '"link", "redirect" or "cache"', '"link"',
         "Upstream's files in the merged view: linked to where they are, under the farm's own URLs that redirect there, or kept here when first asked for."),
        ("serve.upstream-max-age", "upstream_max_age", values.seconds, 'a duration such as "5m"', '"5m"',
         "How long an upstream page is served without asking whether it changed; less when upstream says so."),
        ("serve.patience", "patience", values.seconds, 'a duration such as "2s"', '"2s"',
         "How long a request waits for upstream's newer page before it gets the last good one."),
        ("serve.list-upstream", "list_upstream", values.flag, "true or false", "false", "Whether the merged list of projects has upstream's too: hundreds of thousands, mostly."),
        ("serve.upload-time", "upload_time", values.choice("source", "build"), '"source" or "build"', '"source"',
         "The upload time of a farm wheel: its sdist's, so that a cutoff date treats both alike, or when it was built."),
        ("serve.same-tags", "same_tags", values.choice("hide", "list"), '"hide" or "list"', '"hide"',
         "Whether a farm wheel is listed beside an upstream wheel of the version that has its tags and was there before it. One of `policy.build-from-source` always is: with a build tag where it has upstream's name, so that clients take it."),
        ("serve.strict-gaps", "strict_gaps", values.choice("hide", "list"), '"hide" or "list"', '"hide"',
         "Whether the strict view has the sdist of a version without a wheel for the target: an error to the client, or compiled by it."),
        ("serve.read-access", "read_access", values.choice("open", "token"), '"open" or "token"', '"open"',
         "Who may read the index: everybody, or who has a token (`farm token create`)."),
        ("serve.metrics", "metrics", values.choice("", "open", "token", "off"), '"open", "token" or "off"', '""',
         "Who may read `/metrics`: everybody, also where the index is read with a token; who has a token; or nobody. Empty: who may read the index."),
        ("log.format", "log_format", values.choice("text", "json"), '"text" or "json"', '"text"',
         "How commands talk on stderr: lines for people, or a JSON object on each line. `--log-format` and `$FARM_LOG_FORMAT` count before it."),
        ("serve.upload-limit", "upload_limit", values.size, 'a size such as "1GiB"', '"1GiB"', "The largest file that may be uploaded."),
        ("serve.public-url", "public_url", values.text, "a URL", '""', "Under which clients reach the farm; `farm lock` writes it into locks that hold URLs."),
        ("serve.page-cache-control", "page_cache_control", values.cache_control, 'a Cache-Control value such as "max-age=60"', '"no-cache"',
         "For pages. With `no-cache` a new wheel is seen at once, for the price of a short 304; `max-age` delays it for as long."),
        ("serve.path-prefix", "path_prefix", values.path_prefix, 'a path such as "/farm"', '""',
         "The path below which a proxy shows the index, whether it hands it on or cuts it off."),
        ("serve.trusted-proxies", "trusted_proxies", values.addresses, "a list of addresses or networks", "[]",
         "Proxies whose X-Forwarded-Proto and X-Forwarded-For are believed; nobody else's are."),
        ("serve.tls-certificate", "tls_certificate", values.text, "a PEM file", '""',
         "The certificate with its chain; with it `farm serve` speaks HTTPS and nothing else. Relative to config.toml."),
        ("serve.tls-key", "tls_key", values.text, "a PEM file", '""', "Its private key, without a password, where the certificate's file does not hold it too."),
        ("demand.count", "count_demand", values.flag, "true or false", "true",
         "Whether `farm serve` counts what clients compile, what they are, and what they fetch of the farm's (docs/demand.md). With `mirror = \"link\"`, upstream's sdists are then linked through the farm, which redirects."),
        ("demand.build", "build_demand", values.choice("off", "nightly", "now"), '"off", "nightly" or "now"', '"nightly"',
         "Whether what clients compiled is built for the configured targets: not, by the nightly run, or by `farm serve` at once. Needs `demand.count`."),
        ("trust.sign", "sign", values.flag, "true or false", "true", "Whether a signed statement of how it came to be is kept for each wheel (docs/trust.md)."),
        ("trust.key", "signing_key", values.text, "a PEM file", '""',
         "The Ed25519 key that signs. Empty: one in the store, made with the first build. Relative to config.toml."),
        ("trust.serve-provenance", "serve_provenance", values.flag, "true or false", "false",
         "Whether pages name the statements of the farm's own wheels (PEP 740). Needs `serve.public-url` to be https."),
        ("gc.roots", "gc_roots", values.texts, "a list of files", "[]", 'Requirements files and locks whose wheels `farm gc` keeps, e.g. `["apps/*/uv.lock"]`; `*` and `**` as in a shell, relative to config.toml. Watch sets count as well; without either no wheel is collected.'),
        ("gc.keep", "gc_keep", values.age, 'an age such as "30d"', '"30d"', "What was built or used more recently is kept, whether a root names it or not."),
        ("gc.grace", "gc_grace", values.age, 'an age such as "7d"', '"7d"', "How long bytes stay that no page lists any more, for whoever has an older page or lock."),
        ("gc.logs", "gc_logs", values.age, 'an age such as "90d"', '"90d"', "How long logs of builds are kept."),
        ("gc.cache", "gc_cache", values.size, 'a size such as "20GiB"', '"20GiB"', "How large `cache/` may be after a `farm gc`."),
        ("nightly.budget", "night_budget", values.wait, 'a duration such as "3h", or 0', "0",
         "How long `farm nightly` may build; what most clients wait for goes first, the rest is done another night. 0: until all is done. `--budget` replaces it."),
        ("nightly.grace", "night_grace", values.wait, 'a duration such as "15m", or 0', '"15m"', "How long builds that run when the budget is spent may go on before they are ended."),
        ("nightly.report", "night_report", values.choice("changes", "always", "failures"), '"changes", "always" or "failures"', '"changes"',
         "Which nights are told on the output, by mail and to the webhook: those in which something changed, all, or those in which something went wrong that was well before."),
        ("nightly.webhook", "night_webhook", values.secret_url, 'a URL, "env:NAME" or "file:PATH"', '""',
         "Where a summary is posted, as Slack, Mattermost and others take it. The URL is a secret where it lets everybody post: then name the variable or the file that holds it."),
        ("nightly.mail.to", "mail_to", values.addressees, "a list of mail addresses", "[]", "Who gets the report. Empty: nobody."),
        ("nightly.mail.from", "mail_from", values.addressee, "a mail address", '""', "Whom it is from. Empty: the first of `to`."),
        ("nightly.mail.host", "mail_host", values.text, "a host", '"localhost"', "The mail server."),
        ("nightly.mail.port", "mail_port", values.number(0, 65535), "a port number", "0", "Its port. 0: what is usual: 587 with starttls, 465 with tls, 25 with none."),
        ("nightly.mail.tls", "mail_tls", values.choice("starttls", "tls", "none"), '"starttls", "tls" or "none"', '"starttls"',
         "How the connection is encrypted. A name and a password are not sent without."),
        ("nightly.mail.user", "mail_user", values.text, "a name", '""', "The name to log in with. Empty: without."),
        ("nightly.mail.password", "mail_password", values.secret, '"env:NAME" or "file:PATH"', '""', "Where its password is: in a variable of the environment, or in a file, relative to config.toml."),
    )
)  # fmt: skip

RECIPE_FIELDS: tuple[Field, ...] = tuple(
    Field(path=path, expected=expected, default=default, about=about, parse=parse, setting=path.replace("-", "_"))
    for path, parse, expected, default, about in (
        ("versions", values.versions, "a version specifier such as '>=2,<3'", '""', "The versions that the recipe is for; empty: all."),
        ("targets", values.patterns, 'a list of target names, in which `*` stands for anything, such as "cp313*-musllinux*"', '["*"]', "The targets that it is for."),
        ("system-packages", values.packages, "a table of lists by family (debian, manylinux, musllinux)", "{}",
         "Installed into an overlay of the builder image."),
        ("variant", values.reason, 'a variant of the builder images such as "manylinux_2_28" or "bookworm"', "as the target needs",
         "Another builder image than the target's first choice; `farm images list` names those that are there."),
        ("environment", values.variables, "a table of texts", "{}", "Environment variables of the build."),
        ("config-settings", values.table, "a table of texts", "{}", "PEP 517 config settings, handed to the backend."),
        ("build-requires", values.requirements, "a list of requirements", "[]", "Build requirements beyond the sdist's own."),
        ("build-overrides", values.requirements, "a list of requirements", "[]",
         "Requirements that take the place of the sdist's own of the same name, e.g. where it pins a release that has no wheel for a newer Python."),
        ("build-constraints", values.constraints, "a list of constraints", "[]", "Bounds on the versions of build requirements."),
        ("patches", list, "a list of tables (`[[patches]]`)", "[]", "Changes to the unpacked sdist, applied in their order; the keys of each are below."),
        ("kind", values.choice("native", "pure"), '"native" or "pure"', "as the sdist looks", "What the wheel must be."),
        ("skip-imports", values.reasons, 'a table of modules, each with the reason: { "demo.gui" = "needs a display" }', "{}", "Top-level modules that the proof must not import."),
        ("smoke-test", values.command, "Python code, or the list of a command's arguments", '""',
         "Run in the clean room once everything has been imported; the wheel is published only if it succeeds."),
        ("graft", values.texts, "a list of sonames", "[]",
         "Libraries that the wheel brings along although every system of its platform is said to have them, e.g. `libX11.so.6`."),
        ("cythonize", values.text, 'a requirement such as "cython<3.1"', '""',
         "Write the C that an older Cython put into the sdist anew from the .pyx beside it, with this one; the build itself does not see it."),
        ("old-names", values.flag, "true or false", "false",
         "Give the build, and not the wheel, names that the standard library dropped, e.g. `configparser.SafeConfigParser` and `collections.Mapping`."),
        ("allow-instructions", values.reason, "a reason", '""',
         "Why the wheel may use instructions that some processors of its platform lack; without a reason such a wheel is refused (docs/trust.md)."),
        ("memory", values.size, 'a size such as "8GiB"', "as `build.memory`", "Memory of its build container."),
        ("cpus", values.cpus, "a number above 0", "as the machine divides", "Processors of its build container; also how many jobs its compilers are told to run."),
        ("time-limit", values.seconds, 'a duration such as "3h"', "as `build.time-limit`", "How long its build may take."),
        ("exclusive", values.flag, "true or false", "false", "Built while nothing else is built on the machine."),
        ("network", values.network, "the reason, or true or false", "false", "Leave the network on while building; the wheel's record says so."),
    )
)  # fmt: skip

PATCH_FIELDS: tuple[Field, ...] = tuple(
    Field(path=path, expected=expected, default=default, about=about, parse=parse, setting=path)
    for path, parse, expected, default, about in (
        ("file", values.beside, "a path beside or below the recipe's file", "", "A unified diff, as `diff -u` and `git diff` write it."),
        ("reason", values.reason, "a text", "", "What it is for."),
        ("upstream", values.upstream, "a word of " + ", ".join(f'"{word}"' for word in UPSTREAM) + "; then where or why (after submitted, backport and inappropriate always)", "",
         "What became of it upstream, e.g. `submitted https://…/pull/7`, `backport 2.1`, `inappropriate for this farm only`."),
        ("strip", values.number(0, 20), "a number of 0 to 20", "1", "How many leading parts of its paths are left off, as in `patch -p`."),
    )
)  # fmt: skip

WATCH_FIELDS: tuple[Field, ...] = tuple(
    Field(path=path, expected=expected, default=default, about=about, parse=parse, setting=path.replace("-", "_"))
    for path, parse, expected, default, about in (
        ("source", values.sources, "a path, a URL or `git+URL`, or a list of them", "",
         "Requirements files, locks and pyproject.toml, folders with them, patterns such as `apps/*/uv.lock`; relative to config.toml."),
        ("targets", values.targets, "a list of target names", "as `targets`", "The targets that its wheels are for."),
        ("extras", values.texts, "a list of names", "[]", "Extras of its locks or pyproject.toml."),
        ("groups", values.texts, "a list of names", "[]", "Dependency groups of its locks or pyproject.toml."),
        ("default-groups", values.flag, "true or false", "true", "Whether a lock's groups count that its tool installs unasked."),
        ("constraints", values.texts, "a list of files or URLs", "[]", "Constraints files, as pip's; relative to config.toml."),
    )
)  # fmt: skip
