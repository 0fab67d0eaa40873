"""Why an entry is not a requirement: walks the grammar of dependency specifiers (PEP 508) to the first place that breaks it.

Only called once `packaging` has refused the text, so it may be slow and guess at what was meant, but not change what is accepted.
"""

from __future__ import annotations

import re
import unicodedata

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from farm.survey.reading.faults import Complaint

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?")
_OPERATOR = re.compile(r"[<>=!~^]+")
_VERSION = re.compile(r"[^\s,;()\[\]]*")
_WORD = re.compile(r"[A-Za-z0-9._-]+|\S")
_SPACE = re.compile(r"[ \t]*")

_OPERATORS = frozenset({"==", "!=", "<=", ">=", "<", ">", "~=", "==="})
_MEANT = {
    "=": "==",
    "=>": ">=",
    "=<": "<=",
    ">==": ">=",
    "<==": "<=",
    "<>": "!=",
    "!": "!=",
    "!==": "!=",
    "~": "~=",
    "~==": "~=",
}
_EXAMPLE = "NAME[EXTRA]==VERSION ; MARKER"


def explain_requirement(text: str) -> Complaint:
    """Return the first fault of a text that is not a requirement."""
    name = _NAME.match(text)
    if name is None:
        return _explain_start(text)
    position = _skip(text, name.end())
    if text[position : position + 1] == "[":
        close = text.find("]", position)
        fault = _explain_extras(text, position, close)
        if fault:
            return fault
        position = _skip(text, close + 1)
    if text[position : position + 1] == "@":
        return _at_end(text, "a URL after @", f"write {name[0]} @ https://HOST/FILE")
    return _explain_specifiers(text, position)


def _explain_start(text: str) -> Complaint:
    if text[:1] in {"'", '"'}:
        solution = "remove the quotes: nothing is quoted in a requirements file but markers' values"
    elif text.startswith("${"):
        solution = "set the variable, or write the requirement itself"
    else:
        solution = f"write {_EXAMPLE}, a path that begins with ./, or a URL"
    return Complaint(offset=0, found=shown(text, 0), expected="the name of a project", solution=solution)


def _explain_extras(text: str, opening: int, close: int) -> Complaint | None:
    if close < 0:
        return _at_end(text, 'a "]" that ends the extras', 'close the extras with "]"')
    inner = text[opening + 1 : close]
    offset = opening + 1
    for extra in inner.split(","):
        stripped = extra.strip(" \t")
        start = offset + len(extra) - len(extra.lstrip(" \t"))
        if not _NAME.fullmatch(stripped) and (stripped or "," in inner):
            good = _NAME.match(stripped)
            wrong = _skip(text, start + (good.end() if good else 0))
            return Complaint(
                offset=wrong,
                found=shown(text, wrong),
                expected="names of extras with commas between them",
                solution="write extras as [first,second]",
            )
        offset += len(extra) + 1
    return None


def _explain_specifiers(text: str, position: int) -> Complaint:
    start = position
    opened = text[position : position + 1] == "("
    position = _skip(text, position + opened)
    while operator := _OPERATOR.match(text, position):
        version = _VERSION.match(text, _skip(text, operator.end()))
        assert version is not None, "the pattern matches the empty text"
        fault = _explain_specifier(text, operator, version)
        if fault:
            return fault
        position = _skip(text, version.end())
        if text[position : position + 1] != ",":
            break
        if operator[0] == "===":
            # Arbitrary equality takes all up to a space for the version, a comma too.
            expected = "a space, or the end of the line, after the version of ==="
            return Complaint(offset=position, found="','", expected=expected, solution="write one === alone, or use ==")
        position = _skip(text, position + 1)
    if opened and position == len(text):
        return _at_end(text, 'a ")" that ends the versions', 'remove the "(", it is not needed')
    return _explain_rest(text, start, position)


def _explain_specifier(text: str, operator: re.Match[str], version: re.Match[str]) -> Complaint | None:
    sign, wanted = operator[0], version[0]
    if sign not in _OPERATORS:
        return Complaint(
            offset=operator.start(),
            found=repr(sign),
            expected="one of == != <= >= < > ~= ===",
            solution=_operator_advice(sign, wanted),
        )
    if not wanted:
        return Complaint(
            offset=version.start(),
            found=shown(text, version.start()),
            expected=f"a version after {sign}",
            solution=f"write a version after {sign}, or remove {sign}",
        )
    try:
        SpecifierSet(sign + wanted)
    except InvalidSpecifier:
        expected, solution = _version_advice(sign, wanted)
        return Complaint(offset=version.start(), found=repr(wanted), expected=expected, solution=solution)
    return None


def _operator_advice(sign: str, version: str) -> str:
    if sign == "^" and version[:1].isdigit():
        major = int(re.split(r"\D", version, maxsplit=1)[0])
        return f"the caret is Poetry's; perhaps you meant >={version},<{major + 1}"
    return f"perhaps you meant {_MEANT[sign]}{version}" if sign in _MEANT else "write one of these operators"


def _version_advice(sign: str, version: str) -> tuple[str, str]:
    """Return what a version should have been, and what to do."""
    exact = sign in {"==", "!="}
    bare = version.removesuffix(".*")
    quotes = chr(34) + chr(39)
    whole = f"write a version like 1.4.2; one of another form can only be matched whole: ==={version}"
    advice = (
        (version in {"*", ".*"}, "a version", f"remove {sign}{version}: a name alone means any version"),
        ("${" in version, "a version", "set the variable, or write the version itself"),
        ("#" in version, "a version", 'put a space before "#": only then it begins a comment'),
        (version[0] in quotes, "a version without quotes", f"perhaps you meant {sign}{version.strip(quotes)}"),
        (bare != version and not exact, f'a version without ".*" after {sign}', f"perhaps you meant {sign}{bare}"),
        (sign == "~=" and version.isdigit(), "at least two numbers after ~=", f"perhaps you meant ~={version}.0"),
        (
            "+" in version and not exact,
            f"a version without a local label after {sign}",
            f"perhaps you meant {sign}{version.partition('+')[0]}",
        ),
        (True, "a version (PEP 440)", whole),
    )
    return next((expected, solution) for applies, expected, solution in advice if applies)


def _explain_rest(text: str, start: int, position: int) -> Complaint:
    """Return the complaint about what stands where the requirement should have ended."""
    word = _WORD.match(text, position)
    rest = word[0] if word else ""
    expected = 'the end of the requirement, or ";" and a marker'
    if rest.startswith("-"):
        solution = "put a space before the option: pip does not separate it at a tab"
    elif rest == "[":
        solution = f"write the extras right after the name: {_reordered(text, start, position)}"
    elif rest == "#":
        solution = 'put a space before "#": only then it begins a comment'
    elif rest and _OPERATOR.match(rest):
        expected, solution = '"," between versions', f"write a comma before {shown(text, position)}"
    elif rest[:1].isdigit():
        solution = f"perhaps you meant {text[:position].rstrip()}=={rest}"
    elif rest[:1].isalnum() or rest == ",":
        solution = "write one requirement on each line"
    elif rest == "/":
        solution = "begin a path with ./ so that it cannot be taken for a name"
    else:
        solution = f"write {_EXAMPLE}"
    return Complaint(offset=position, found=shown(text, position), expected=expected, solution=solution)


def _reordered(text: str, start: int, position: int) -> str:
    return text[:start].rstrip() + text[position:].rstrip() + text[start:position].strip()


def _at_end(text: str, expected: str, solution: str) -> Complaint:
    return Complaint(offset=len(text), found="the end of the line", expected=expected, solution=solution)


def shown(text: str, offset: int) -> str:
    """Return how to name what stands at `offset`: the word, or the code point of a character that cannot be seen."""
    word = _WORD.match(text, offset)
    if offset >= len(text):
        return "the end of the line"
    char = text[offset]
    if not char.isprintable():
        return f"U+{ord(char):04X} ({unicodedata.name(char, 'a control character')}), which cannot be seen"
    return repr(word[0] if word else char)


def _skip(text: str, position: int) -> int:
    space = _SPACE.match(text, position)
    return space.end() if space else position
