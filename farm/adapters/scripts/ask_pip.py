"""Answer, as one line of JSON, a question to the pip of the interpreter that runs this. Must run on every Python that pip 20.2 runs on.

The question is JSON on standard input. {"ask": "settings"}: the options that pip would install with, and which file or
variable each comes from. {"ask": "choose", "arguments": [...]}: which file pip would take for each requirement of these
arguments of `pip install`, and the folder of pip's wheel cache that belongs to it. Standard library and that pip only; no
package's code runs: pages of the index are read, nothing is downloaded or prepared.
"""

import sys

# Python puts the current folder first: a file pip.py or json.py there must not be taken for the real one.
sys.path[:] = [entry for entry in sys.path if entry]

import json  # noqa: E402 - after the line above
import logging  # noqa: E402 - the same
import os  # noqa: E402 - the same
import stat  # noqa: E402 - the same
from typing import Any  # noqa: E402 - the same

MARK = "farm-pip "
PLAIN = ("index_url", "extra_index_urls", "find_links", "trusted_hosts", "cert", "proxy")
# pip tries each page for a while: an index that is down is not asked for hundreds of them.
MOST_SILENT = 3
NOT_ASKED = "not asked, as the index did not answer before"
# Older pips have 1 here for what a file or a variable says.
FLAGS = ("no_index", "prefer_binary", "require_venv")


def install_command(arguments: "list[str]") -> "tuple[Any, Any, list[str]]":
    """Return pip's own install command and its options, after pip.conf and PIP_* as pip reads them."""
    from pip._internal.commands.install import InstallCommand  # noqa: PLC0415 - the client's pip

    command = InstallCommand("install", "asked by farm")
    options, rest = command.parse_args([*arguments, "--disable-pip-version-check", "--no-input"])
    return command, options, rest


def usable_cache(options: Any) -> "tuple[str | None, str]":
    """Return pip's cache folder, and why pip would not use it ("" where it would)."""
    from pip._internal.utils.filesystem import check_path_owner  # noqa: PLC0415 - the client's pip
    from pip._internal.utils.misc import normalize_path  # noqa: PLC0415 - the same

    if not options.cache_dir:
        return None, "pip is configured with no-cache-dir"
    folder = normalize_path(options.cache_dir)
    if not check_path_owner(folder):
        return folder, f"pip does not use {folder}: another user owns it, or it cannot be written"
    return folder, ""


def configuration() -> "list[Any]":
    """Return [[where, kind, {option: value}]] of all places that pip reads, weakest first; where is a path or "environment"."""
    from pip._internal.configuration import Configuration  # noqa: PLC0415 - the client's pip

    found = Configuration(isolated=False)
    found.load()
    places: list[Any] = []
    for kind, paths in found.iter_config_files():
        for path in paths:
            if os.path.isfile(path):  # noqa: PTH113 - a text for JSON
                mode = stat.S_IMODE(os.stat(path).st_mode)  # noqa: PTH116 - the same
                places.append([path, str(kind), file_values(path), mode])
    values = {"global." + name.lower().replace("_", "-"): value for name, value in found.get_environ_vars() if value}
    return [*places, ["environment", "env-var", values, 0]]


def file_values(path: str) -> "dict[str, str]":
    """Return one file's options of the sections that count for `pip install`."""
    import configparser  # noqa: PLC0415 - only for settings

    parser = configparser.RawConfigParser()
    parser.read([path], encoding="utf-8")
    return {
        f"{section}.{key.replace('_', '-')}": value
        for section in parser.sections()
        if section in ("global", "install")
        for key, value in parser.items(section)
    }


def settings(question: "dict[str, Any]") -> "dict[str, Any]":
    """Return the options of `pip install`, pip's cache folder, and where each setting is from."""
    import pip  # noqa: PLC0415 - the client's pip
    from pip._internal.utils.compatibility_tags import get_supported  # noqa: PLC0415 - the same
    from pip._internal.utils.virtualenv import running_under_virtualenv  # noqa: PLC0415 - the same

    _, options, _ = install_command(question.get("arguments", []))
    folder, trouble = usable_cache(options)
    told = {name: getattr(options, name, None) for name in PLAIN}
    told.update((name, bool(getattr(options, name, False))) for name in FLAGS)
    cutoff = getattr(options, "uploaded_prior_to", None)
    control = options.format_control
    told.update(
        pip=pip.__version__,
        python=sys.executable,
        tags=[str(tag) for tag in get_supported()],
        cache=folder,
        cache_trouble=trouble,
        no_binary=sorted(control.no_binary),
        only_binary=sorted(control.only_binary),
        virtualenv=bool(running_under_virtualenv()),
        uploaded_prior_to=str(cutoff) if cutoff else None,
        places=configuration(),
    )
    return told


class Faults(logging.Handler):
    """Keeps what pip says of pages that it could not read; a page that is not there is no fault."""

    def __init__(self) -> None:
        logging.Handler.__init__(self, logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        missing = "404 Client Error" in text or "No such file or directory" in text
        if (
            "Could not fetch" in text or "not a trusted or secure host" in text or "confirming the ssl" in text
        ) and not missing:
            self.lines.append(" ".join(text.split()))


def choose(question: "dict[str, Any]") -> "dict[str, Any]":
    """Return what pip would take for each requirement. Requirements that pip gets otherwise than from an index have no file."""
    command, options, rest = install_command(question["arguments"])
    from pip._internal.cli.cmdoptions import make_target_python  # noqa: PLC0415 - the client's pip
    from pip._internal.utils.temp_dir import global_tempdir_manager, tempdir_registry  # noqa: PLC0415 - the same

    options.cache_dir, trouble = usable_cache(options)
    with command.main_context():
        command.tempdir_registry = command.enter_context(tempdir_registry())
        command.enter_context(global_tempdir_manager())
        session = command.get_default_session(options)
        finder = command._build_package_finder(  # noqa: SLF001 - the one place where pip makes it
            options, session, make_target_python(options), ignore_requires_python=options.ignore_requires_python
        )
        requirements = command.get_requirements(rest, options, finder, session)
        rows = Chooser(finder, options.cache_dir, requirements).rows()
    return {
        "cache": options.cache_dir,
        "cache_trouble": trouble,
        "rows": rows,
        "require_hashes": bool(options.require_hashes),
    }


class Chooser:
    """Asks pip's finder for the file of each requirement, constraints counted in."""

    def __init__(self, finder: Any, cache: "str | None", requirements: "list[Any]") -> None:
        from pip._internal.cache import WheelCache  # noqa: PLC0415 - the client's pip

        self.finder = finder
        try:
            self.cache = WheelCache(cache) if cache else None
        except TypeError:
            # Before 23.1 it takes more; such pips are not seeded, so nobody asks for their folders.
            self.cache = None
        self.requirements = [one for one in requirements if not one.constraint]
        self.constraints = [one for one in requirements if one.constraint and one.req is not None and one.link is None]
        self.faults = Faults()

    def rows(self) -> "list[dict[str, Any]]":
        logger = logging.getLogger("pip._internal.index.collector")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(self.faults)
        # Without a handler pip's warnings would be printed.
        logging.getLogger("pip").addHandler(logging.NullHandler())
        rows: list[dict[str, Any]] = []
        for one in self.requirements:
            silent = len(rows) >= MOST_SILENT and all(row["state"] == "unknown" for row in rows[-MOST_SILENT:])
            told = {
                "name": one.name or str(one.link),
                "asked": str(one.req or one.link),
                "state": "unknown",
                "faults": [NOT_ASKED],
            }
            rows.append(told if silent else self.row(one))
        return rows

    def row(self, requirement: Any) -> "dict[str, Any]":
        named = {"name": requirement.name or str(requirement.link), "asked": str(requirement.req or requirement.link)}
        if not requirement.match_markers():
            return dict(named, state="not-here")
        if requirement.link is not None or requirement.req is None or requirement.editable:
            return dict(named, state="direct")
        del self.faults.lines[:]
        found = self.best(requirement)
        if found is None:
            return dict(named, state="unknown" if self.faults.lines else "none", faults=self.faults.lines[:3])
        return dict(named, state="found", faults=self.faults.lines[:3], **self.file(found))

    def best(self, requirement: Any) -> Any:
        from pip._vendor.packaging.utils import canonicalize_name  # noqa: PLC0415 - the client's pip

        name = canonicalize_name(requirement.name)
        specifier, hashes = requirement.req.specifier, requirement.hashes(trust_internet=False)
        for other in self.constraints:
            if canonicalize_name(other.name) == name and other.match_markers():
                specifier = specifier & other.req.specifier
                hashes = hashes & other.hashes(trust_internet=False)
        return self.finder.find_best_candidate(requirement.name, specifier=specifier, hashes=hashes).best_candidate

    def file(self, candidate: Any) -> "dict[str, Any]":
        link = candidate.link
        return {
            "version": str(candidate.version),
            "filename": link.filename,
            "url": link.url_without_fragment,
            "hash": [link.hash_name, link.hash] if link.hash else None,
            "wheel": bool(link.is_wheel),
            "local": bool(link.is_file),
            "folder": self.cache.get_path_for_link(link) if self.cache and not link.is_wheel else None,
        }


def main() -> None:
    question = json.load(sys.stdin)
    try:
        answer = settings(question) if question["ask"] == "settings" else choose(question)
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "pip":
            raise
        answer = {"error": " ".join(str(error).split()) or type(error).__name__}
    sys.stdout.write("\n" + MARK + json.dumps(answer) + "\n")


main()
