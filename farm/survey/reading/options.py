"""The options of a requirements file: which there are, how they are split off and read, and how they add up.

Follows pip 26.3: options start at the first " -" of a line, are split as a POSIX shell would, and long names may be shortened
as long as they stay unambiguous (optparse). What pip ignores is ignored, but with a remark.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from difflib import get_close_matches

from packaging.utils import canonicalize_name

from farm.model.demand import IndexOptions
from farm.survey.reading.faults import Complaint

_FLAGS = frozenset({"--no-index", "--prefer-binary", "--require-hashes", "--no-require-hashes", "--pre"})
_VALUED = frozenset(
    {
        "--index-url",
        "--pypi-url",
        "--extra-index-url",
        "--constraint",
        "--requirement",
        "--editable",
        "--find-links",
        "--no-binary",
        "--only-binary",
        "--all-releases",
        "--only-final",
        "--trusted-host",
        "--use-feature",
        "--hash",
        "--config-settings",
    }
)
_LONG = _FLAGS | _VALUED
_SHORT = {
    "-i": "--index-url",
    "-c": "--constraint",
    "-r": "--requirement",
    "-e": "--editable",
    "-f": "--find-links",
    "-C": "--config-settings",
}
_GONE = frozenset({"--global-option", "--install-option", "--build-option"})
_COMMAND_LINE_ONLY = frozenset(
    {
        "--force-reinstall",
        "--ignore-installed",
        "--no-build-isolation",
        "--no-cache-dir",
        "--no-compile",
        "--no-deps",
        "--platform",
        "--python-version",
        "--quiet",
        "--target",
        "--upgrade",
        "--user",
        "-U",
        "-q",
        "-t",
    }
)

_PLAIN_TOKEN = re.compile(r"[^ \t\r\n]+")
_QUOTED_TOKEN = re.compile(r"""(?:[^ \t\r\n'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An option: its full long name ("" for a word of no option), its value ("" for a flag), and where both begin."""

    name: str
    value: str
    offset: int
    value_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    text: str
    offset: int


def split_entry(text: str) -> tuple[str, int]:
    """Return the requirement of a line ("" when there is none), and the offset at which its options begin.

    Only a space separates them (pip splits there before any quoting), which keeps markers out of the shell's hands.
    """
    if text.startswith("-"):
        return "", 0
    cut = text.find(" -")
    return (text, len(text)) if cut < 0 else (text[:cut], cut + 1)


def read_options(text: str, start: int, complaints: list[Complaint]) -> tuple[Given, ...]:
    """Return the options of a line from `start` on, in order. Faults go to `complaints`."""
    if start >= len(text):
        return ()
    tokens = _tokens(text, start, complaints)
    given: list[Given] = []
    while tokens:
        token = tokens.pop(0)
        if token.text == "--":
            # The rest are words, however they look.
            given.extend(_word(rest) for rest in tokens)
            break
        if token.text.startswith("-") and token.text != "-":
            option = _option(token, tokens, complaints)
            given.extend([option] if option else [])
        else:
            given.append(_word(token))
    return tuple(given)


class OptionState:
    """What pip's package finder would know after the lines read so far; mutable while files are read."""

    def __init__(self) -> None:
        self._index_url: str | None = None
        self._extra_index_urls: list[str] = []
        self._lists: dict[str, list[str]] = {"--find-links": [], "--trusted-host": [], "--use-feature": []}
        self._flags: set[str] = set()
        self._names: dict[str, set[str]] = {name: set() for name in _OPPOSITE}

    def apply_names(self, given: tuple[Given, ...]) -> None:
        """Apply the options on project names, which pip heeds on any line, a requirement's too."""
        for option in given:
            if option.name in self._names:
                _choose(option.value, self._names[option.name], self._names[_OPPOSITE[option.name]])

    def apply(self, given: tuple[Given, ...]) -> None:
        """Apply the index options of one line without a requirement.

        An index URL drops every index before it, the extra ones as well; `--no-index` does so for good.
        """
        self._flags |= {option.name for option in given if option.name in _FLAGS}
        urls = _values(given, "--index-url")
        if urls and urls[-1]:
            self._index_url, self._extra_index_urls = urls[-1], []
        self._extra_index_urls += _values(given, "--extra-index-url")
        for name, collected in self._lists.items():
            # pip takes one --find-links of a line, the first.
            collected.extend(_values(given, name)[: 1 if name == "--find-links" else None])

    def freeze(self) -> IndexOptions:
        """Return the options as they stand."""
        no_index = "--no-index" in self._flags
        return IndexOptions(
            index_url=None if no_index else self._index_url,
            extra_index_urls=() if no_index else tuple(dict.fromkeys(self._extra_index_urls)),
            no_index=no_index,
            find_links=tuple(dict.fromkeys(self._lists["--find-links"])),
            no_binary=frozenset(self._names["--no-binary"]),
            only_binary=frozenset(self._names["--only-binary"]),
            all_releases=frozenset(self._names["--all-releases"]),
            only_final=frozenset(self._names["--only-final"]),
            pre="--pre" in self._flags,
            prefer_binary="--prefer-binary" in self._flags,
            require_hashes="--require-hashes" in self._flags,
            no_require_hashes="--no-require-hashes" in self._flags,
            trusted_hosts=tuple(dict.fromkeys(self._lists["--trusted-host"])),
            use_features=tuple(dict.fromkeys(self._lists["--use-feature"])),
        )


_OPPOSITE = {
    "--no-binary": "--only-binary",
    "--only-binary": "--no-binary",
    "--all-releases": "--only-final",
    "--only-final": "--all-releases",
}
NAME_OPTIONS = frozenset(_OPPOSITE)
"""Options that hold on any line."""


def _choose(value: str, target: set[str], other: set[str]) -> None:
    """Add a comma list of names to one of two opposed sets, each name leaving the other; ":all:" clears both first."""
    names = value.split(",")
    for index, name in enumerate(names):
        if name == ":all:":
            other.clear()
            target.clear()
            target.add(":all:")
            # ":all:" covers the names after it, unless a ":none:" among them opens the set again.
            if ":none:" not in names[index + 1 :]:
                return
        elif name == ":none:":
            target.clear()
        else:
            other.discard(canonicalize_name(name))
            target.add(canonicalize_name(name))


def _values(given: tuple[Given, ...], name: str) -> list[str]:
    return [option.value for option in given if option.name == name]


def _word(token: _Token) -> Given:
    return Given(name="", value=token.text, offset=token.offset, value_offset=token.offset)


def _tokens(text: str, start: int, complaints: list[Complaint]) -> list[_Token]:
    rest = text[start:]
    if not any(char in rest for char in "'\"\\"):
        return [_Token(text=match[0], offset=start + match.start()) for match in _PLAIN_TOKEN.finditer(rest)]
    try:
        words = shlex.split(rest)
    except ValueError:
        quote = max(rest.rfind(char) for char in "'\"\\")
        complaints.append(
            Complaint(
                offset=start + quote,
                found=f"{rest[quote]!r} without an end",
                expected="options that a shell could split",
                solution="close the quote, or write a backslash before it",
            )
        )
        return []
    spans = [start + match.start() for match in _QUOTED_TOKEN.finditer(rest)]
    if len(spans) != len(words):
        spans = [start] * len(words)
    return [_Token(text=word, offset=offset) for word, offset in zip(words, spans, strict=True)]


def _option(token: _Token, tokens: list[_Token], complaints: list[Complaint]) -> Given | None:
    """Return the option that begins with `token`, taking its value off `tokens` where it is a word of its own."""
    if token.text.startswith("--"):
        written, equals, attached = token.text.partition("=")
        candidates = [written] if written in _LONG else sorted(name for name in _LONG if name.startswith(written))
    else:
        written, attached = token.text[:2], token.text[2:]
        equals = attached
        candidates = [_SHORT[written]] if written in _SHORT else []
    if len(candidates) != 1:
        complaints.append(_ambiguous(token, written, candidates) if candidates else _unknown(token, written))
        return None
    name = candidates[0]
    value_offset = token.offset + len(written) + (1 if token.text.startswith("--") else 0)
    if name in _FLAGS:
        if equals:
            complaints.append(_surplus(name, value_offset))
            return None
        return Given(name=name, value="", offset=token.offset, value_offset=token.offset)
    if not equals:
        if not tokens:
            complaints.append(_lacking(name, token))
            return None
        following = tokens.pop(0)
        attached, value_offset = following.text, following.offset
    name = "--index-url" if name == "--pypi-url" else name
    return Given(name=name, value=attached, offset=token.offset, value_offset=value_offset)


def _ambiguous(token: _Token, written: str, candidates: list[str]) -> Complaint:
    return Complaint(
        offset=token.offset,
        found=f"{written}, which could be any of {', '.join(candidates)}",
        expected="an option's name, in full or shortened to what is unambiguous",
        solution="write the option's name in full",
    )


def _unknown(token: _Token, written: str) -> Complaint:
    if written in _GONE:
        found = (
            f"{written}, which pip no longer takes: it only works by calling setup.py directly, past the build backend"
        )
        solution = 'use --config-settings="KEY=VALUE" if the build backend knows the setting, or set it in a recipe'
    elif written in _COMMAND_LINE_ONLY:
        found = f"{written}, which pip takes only on its command line"
        solution = f"remove {written} from the file and give it to the command that installs"
    else:
        found = f"unknown option {written}"
        near = get_close_matches(written, sorted(_LONG), n=1, cutoff=0.7)
        solution = (
            f"perhaps you meant {near[0]}" if near else "remove it, or see pip's documentation of the file format"
        )
    return Complaint(offset=token.offset, found=found, expected="an option of requirements files", solution=solution)


def _surplus(name: str, offset: int) -> Complaint:
    return Complaint(
        offset=offset, found=f"a value for {name}", expected=f"{name} alone", solution=f"write {name} without a value"
    )


def _lacking(name: str, token: _Token) -> Complaint:
    return Complaint(
        offset=token.offset + len(token.text),
        found="the end of the line",
        expected=f"a value for {name}",
        solution=f"write {name} VALUE, or remove the option",
    )
