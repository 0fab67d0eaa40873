"""Requirements files to a `Demand`, as pip reads them, with every fault of every file told at once.

Pure: text comes through a callable, variables through a mapping. It fetches nothing, resolves nothing and runs nothing.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from farm.model.demand import Demand, DirectSource, Origin, Remark, Requirement
from farm.survey.reading.entry import Entry, read_entry
from farm.survey.reading.faults import Complaint, Fault, RequirementsError, unreadable
from farm.survey.reading.hashes import read_hash
from farm.survey.reading.lines import LogicalLine, locate, logical_lines, variables
from farm.survey.reading.options import NAME_OPTIONS, Given, OptionState, read_options, split_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["RequirementsError", "read_requirements"]

_URL = re.compile(r"(?:https?|file):", re.IGNORECASE)
_DEEPEST = 100
"""Includes within includes; beyond it they go in circles that names do not show (a folder linked into itself)."""


def read_requirements(
    paths: Sequence[str],
    constraints: Sequence[str],
    *,
    read_text: Callable[[str], str],
    env: Mapping[str, str],
    exists: Callable[[str], bool] | None = None,
) -> Demand:
    """Return all that the files ask for, in pip's order: the constraints files first, then the requirements files.

    `read_text` takes a path or URL, exactly as given or joined to the including file's folder, and returns the decoded text;
    its OSError and UnicodeError become faults, a FarmError passes. `env` gives the values of `${VAR}`. `exists` tells
    whether a local path is there: with it, missing projects are faults, and `--find-links` folders beside the file win over
    ones in the current directory, as in pip.

    Raises RequirementsError with all faults. Source: pip's "Requirements file format" and pip 26.3's parser.
    """
    reader = _Reader(read_text, env, exists)
    for path in constraints:
        reader.read(_File(path=path, constraint=True))
    for path in paths:
        reader.read(_File(path=path, constraint=False))
    if reader.faults:
        raise RequirementsError(tuple(dict.fromkeys(reader.faults)))
    return reader.demand()


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """A file to read: `names` are the normalised names of the files it is within, itself not counted."""

    path: str
    constraint: bool
    via: tuple[Origin, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.path if _URL.match(self.path) else posixpath.normpath(self.path)


class _Reader:
    """Collects over all files: index options carry on from one file to the next, so the order of reading matters."""

    def __init__(
        self, read_text: Callable[[str], str], env: Mapping[str, str], exists: Callable[[str], bool] | None
    ) -> None:
        self.faults: list[Fault] = []
        self._read_text = read_text
        self._env = env
        self._exists = exists
        self._texts: dict[str, str] = {}
        self._requirements: list[Requirement] = []
        self._constraints: list[Requirement] = []
        self._direct: list[DirectSource] = []
        self._remarks: list[Remark] = []
        self._options = OptionState()

    def demand(self) -> Demand:
        return Demand(
            requirements=tuple(self._requirements),
            constraints=tuple(self._constraints),
            direct=tuple(self._direct),
            options=self._options.freeze(),
            files=tuple(self._texts),
            remarks=tuple(dict.fromkeys(self._remarks)),
        )

    def read(self, file: _File) -> None:
        text = self._texts.get(file.path)
        if text is None:
            try:
                text = self._texts[file.path] = self._read_text(file.path)
            except (OSError, UnicodeError) as error:
                kind = "constraints" if file.constraint else "requirements"
                self.faults.append(unreadable(file.path, error, expected=f"a {kind} file", via=file.via))
                return
        for line in logical_lines(text, self._env):
            self._read_line(file, line)

    def _read_line(self, file: _File, line: LogicalLine) -> None:
        complaints: list[Complaint] = []
        body, start = split_entry(line.text)
        given = read_options(line.text, start, complaints)
        included: _File | None = None
        if complaints:
            # The options are not to be trusted, but what stands before them may have a fault of its own.
            given = ()
        if given:
            self._options.apply_names(given)
        if body or any(option.name == "--editable" for option in given):
            self._read_entry(file, line, (body, given), complaints)
        elif given:
            included = self._included(file, line, given, complaints)
            if included is None:
                self._options.apply(tuple(self._beside(file, option) for option in given))
        self.faults += [self._fault(file, line, complaint) for complaint in complaints]
        if given:
            self._remark(file, line, (body, given))
        if included is not None:
            self.read(included)

    def _read_entry(
        self, file: _File, line: LogicalLine, said: tuple[str, tuple[Given, ...]], complaints: list[Complaint]
    ) -> None:
        body, given = said
        editables = [option for option in given if option.name == "--editable"]
        if body and editables:
            complaints.append(
                Complaint(
                    offset=editables[0].offset,
                    found="-e after a requirement",
                    expected="one requirement on a line",
                    solution="write -e and what follows on a line of its own",
                )
            )
            return
        entry = Entry(
            text=body.rstrip() or editables[0].value,
            offset=0 if body else editables[0].value_offset,
            editable=not body,
            constraint=file.constraint,
            hashes=_hashes(given, complaints) if given and body else (),
            config_settings=_settings(given, complaints) if given else (),
            origin=Origin(file=file.path, line=line.number, column=line.column),
            via=file.via,
        )
        asked = read_entry(entry, self._exists, complaints)
        if isinstance(asked, DirectSource):
            self._direct.append(asked)
        elif asked is not None:
            (self._constraints if file.constraint else self._requirements).append(asked)

    def _included(
        self, file: _File, line: LogicalLine, given: tuple[Given, ...], complaints: list[Complaint]
    ) -> _File | None:
        """Return the file that the line includes, if it does: pip takes the first `-r`, else the first `-c`."""
        targets = [option for name in ("--requirement", "--constraint") for option in given if option.name == name]
        if not targets:
            return None
        option = targets[0]
        origin = Origin(file=file.path, line=line.number, column=line.column)
        target = _File(
            path=_target(file.path, option.value),
            constraint=option.name == "--constraint",
            via=(*file.via, origin),
            names=(*file.names, file.key),
        )
        if target.key not in target.names and len(target.names) < _DEEPEST:
            return target
        start = target.names.index(target.key) if target.key in target.names else 0
        chain = " -> ".join((*target.names[start:], target.key))
        complaints.append(
            Complaint(
                offset=option.value_offset,
                found=f"a circle: {chain}" if target.key in target.names else f"more than {_DEEPEST} files deep",
                expected="includes that end",
                solution=f"remove this line, or the one that leads to {file.path}",
            )
        )
        return None

    def _beside(self, file: _File, option: Given) -> Given:
        """Return a `--find-links` option with its folder next to the requirements file, if that is where it is."""
        if option.name != "--find-links" or self._exists is None or _URL.match(file.path):
            return option
        beside = posixpath.join(posixpath.dirname(file.path), option.value)
        return replace(option, value=beside) if self._exists(beside) else option

    def _fault(self, file: _File, line: LogicalLine, complaint: Complaint) -> Fault:
        place = locate(line, complaint.offset, self._env)
        replaced, unset = variables(line, self._env)
        told = [complaint.found, complaint.expected, complaint.solution]
        for name in replaced:
            told = [text.replace(self._env[name], f"${{{name}}}") for text in told]
        found, expected, solution = told
        if unset:
            solution += f"; not set in the environment: {', '.join(unset)}"
        if replaced:
            solution += f"; the line was read with the value of {', '.join(replaced)}"
        return Fault(
            file=file.path,
            line=place.line,
            column=place.column,
            excerpt=place.raw,
            found=found,
            expected=expected,
            solution=solution,
            via=file.via,
        )

    def _remark(self, file: _File, line: LogicalLine, said: tuple[str, tuple[Given, ...]]) -> None:
        origin = Origin(file=file.path, line=line.number, column=line.column)
        for option in _ignored(*said):
            what = option.name or repr(option.value)
            self._remarks.append(Remark(origin=origin, text=f"{what} has no effect here: pip ignores it"))
        for name in variables(line, self._env)[1] if "${" in line.text else ():
            self._remarks.append(Remark(origin=origin, text=f"${{{name}}} is not set and was left as written"))


def _ignored(body: str, given: tuple[Given, ...]) -> list[Given]:
    """Return the options and words of a line that pip passes over."""
    names = [option.name for option in given]
    if body:
        heeded = {"--hash", "--config-settings", "--editable"}
        once = ""
    elif "--editable" in names:
        heeded, once = {"--editable", "--config-settings"}, "--editable"
    elif "--requirement" in names or "--constraint" in names:
        once = "--requirement" if "--requirement" in names else "--constraint"
        heeded = {once}
    else:
        heeded, once = set(names) - {"", "--hash", "--config-settings"}, "--find-links"
    return [
        option
        for index, option in enumerate(given)
        if option.name not in heeded | NAME_OPTIONS or (option.name == once and once in names[:index])
    ]


def _hashes(given: tuple[Given, ...], complaints: list[Complaint]) -> tuple[str, ...]:
    read = [read_hash(option.value, option.value_offset, complaints) for option in given if option.name == "--hash"]
    return tuple(dict.fromkeys(value for value in read if value))


def _settings(given: tuple[Given, ...], complaints: list[Complaint]) -> tuple[tuple[str, str], ...]:
    settings: list[tuple[str, str]] = []
    for option in given:
        if option.name != "--config-settings":
            continue
        key, equals, value = option.value.partition("=")
        settings.append((key, value))
        if not equals:
            complaints.append(
                Complaint(
                    offset=option.value_offset,
                    found=repr(option.value),
                    expected="KEY=VALUE",
                    solution=f"write --config-settings={key}=VALUE",
                )
            )
    return tuple(settings)


def _target(including: str, target: str) -> str:
    """Return an included file's path or URL, relative ones counted from the including file."""
    if _URL.match(target):
        return target
    if not _URL.match(including):
        return posixpath.normpath(posixpath.join(posixpath.dirname(including), target))
    scheme, _, rest = re.split(r"[?#]", including, maxsplit=1)[0].partition("://")
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}" + posixpath.normpath(posixpath.join("/", posixpath.dirname(path), target))
