"""Errors of the API as RFC 9457 has them, and what an operation may be asked with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

PROBLEM = "application/problem+json"
LONGEST = 300


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error. `detail` is for a person and names no path of this machine."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    kept = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    return Response(body, status, headers=kept, media_type=PROBLEM)


def is_api(path: str) -> bool:
    """Tell whether a path, without the prefix of a proxy, is the API's: its errors have this form."""
    return path == "/api" or path.startswith("/api/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of the query. `many` may be given more than once; `choices` are all that it may be."""

    name: str
    about: str
    kind: Literal["text", "integer", "switch"] = "text"
    many: bool = False
    choices: tuple[str, ...] = ()
    default: int | str = ""
    least: int = 0
    most: int = 0

    @property
    def schema(self) -> dict[str, Any]:
        """What OpenAPI 3.1 says of it (JSON Schema 2020-12)."""
        if self.kind == "integer":
            return {"type": "integer", "minimum": self.least, "maximum": self.most, "default": self.default}
        if self.kind == "switch":
            return {"type": "string", "enum": ["0", "1"], "default": "0"}
        text: dict[str, Any] = {"type": "string", "maxLength": LONGEST, "pattern": "^[^\\u0000]*$"}
        one = {"type": "string", "enum": list(self.choices)} if self.choices else text
        return {"type": "array", "items": one, "maxItems": 50} if self.many else one

    def read(self, values: list[str]) -> Any:
        """Return what was asked for: an integer, a bool, a text or a tuple of texts. HTTPException 400 for what cannot be."""
        if self.many:
            if len(values) > 50:
                raise HTTPException(400, f"{self.name}: expected at most 50 values, found {len(values)}")
            return tuple(dict.fromkeys(self._text(value) for value in values))
        if len(values) > 1:
            raise HTTPException(400, f"{self.name}: expected one value, found {len(values)}")
        if self.kind == "switch":
            return self._switch(values)
        if not values:
            return self.default
        return self._integer(values[0]) if self.kind == "integer" else self._text(values[0])

    def _switch(self, values: list[str]) -> bool:
        if values and values[0] not in {"0", "1"}:
            raise HTTPException(400, f"{self.name}: expected 0 or 1, found {values[0][:LONGEST]!r}")
        return values == ["1"]

    def _integer(self, value: str) -> int:
        plain = value.isascii() and value.isdigit() and len(value) <= 19
        if not plain or not self.least <= int(value) <= self.most:
            raise HTTPException(400, f"{self.name}: expected a number from {self.least} to {self.most}, found {value[:LONGEST]!r}")
        return int(value)

    def _text(self, value: str) -> str:
        if self.choices and value not in self.choices:
            raise HTTPException(400, f"{self.name}: expected one of {', '.join(self.choices)}, found {value[:LONGEST]!r}")
        if len(value) > LONGEST or "\0" in value:
            raise HTTPException(400, f"{self.name}: expected a text of at most {LONGEST} characters without NUL")
        return value


def read_path(request: Request) -> dict[str, str]:
    """Return the parameters of the path. HTTPException 404 for what no name or id is like: too long, or with NUL."""
    values: dict[str, str] = dict(request.path_params)
    for name, value in values.items():
        if len(value) > LONGEST or "\0" in value:
            raise HTTPException(404, f"there is no such {name}")
    return values


def read_query(request: Request, parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """Return all parameters by name. HTTPException 400 for a value that cannot be, and for a name that is none."""
    known = {parameter.name for parameter in parameters}
    for name in request.query_params:
        if name not in known:
            expected = ", ".join(sorted(known)) or "no parameters"
            raise HTTPException(400, f"expected {expected}, found a parameter {name[:LONGEST]!r}")
    return {parameter.name: parameter.read(request.query_params.getlist(parameter.name)) for parameter in parameters}
