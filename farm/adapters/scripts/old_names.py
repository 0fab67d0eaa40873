"""Names that the standard library dropped in 3.9 and later, given back to a build whose setup.py still uses them.

Every Python of the build's environment imports this at its start: standard library only, nothing printed, and nothing replaced that
is still there. What is built does not get it; the clean room proves the wheel without.
"""

import ast
import base64
import collections
import collections.abc
import configparser
import fractions
import html
import html.parser
import inspect
import locale
import math
import pkgutil
import time
import warnings


def _give(owner: object, name: str, value: object) -> None:
    if not hasattr(owner, name):
        setattr(owner, name, value)


def _argspec(function: object) -> object:
    """What inspect.getargspec was, by the function that took its place."""
    full = inspect.getfullargspec(function)
    return _ArgSpec(full.args, full.varargs, full.varkw, full.defaults)


class _Constant(type):
    """A class of which the constants of some types are instances, as ast.Str and its like were."""

    types: "tuple[type, ...]" = ()

    def __instancecheck__(cls, node: object) -> bool:
        return isinstance(node, ast.Constant) and isinstance(node.value, cls.types)


_ArgSpec = collections.namedtuple("_ArgSpec", "args varargs keywords defaults")
_ABSTRACT = (
    "Awaitable", "Callable", "Container", "Coroutine", "Generator", "Hashable", "ItemsView", "Iterable", "Iterator", "KeysView",
    "Mapping", "MappingView", "MutableMapping", "MutableSequence", "MutableSet", "Sequence", "Set", "Sized", "ValuesView",
)  # fmt: skip


def _give_all() -> None:
    for name in _ABSTRACT:
        _give(collections, name, getattr(collections.abc, name))
    _give(configparser, "SafeConfigParser", configparser.ConfigParser)
    _give(configparser.RawConfigParser, "readfp", lambda self, fp, filename=None: self.read_file(fp, source=filename))
    _give(inspect, "getargspec", _argspec)
    _give(pkgutil, "ImpImporter", type("ImpImporter", (), {}))
    _give(pkgutil, "ImpLoader", type("ImpLoader", (), {}))
    _give(base64, "encodestring", base64.encodebytes)
    _give(base64, "decodestring", base64.decodebytes)
    _give(fractions, "gcd", math.gcd)
    _give(html.parser.HTMLParser, "unescape", staticmethod(html.unescape))
    _give(locale, "format", locale.format_string)
    _give(time, "clock", time.perf_counter)
    if not hasattr(ast, "Str"):
        _give(ast.Constant, "s", property(lambda self: self.value))
        _give(ast.Constant, "n", property(lambda self: self.value))
        for name, types in (("Str", (str,)), ("Bytes", (bytes,)), ("Num", (int, float, complex)), ("NameConstant", (bool, type(None)))):
            setattr(ast, name, _Constant(name, (), {"types": types}))


# To look whether a name is there warns where it will go one day.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    _give_all()
