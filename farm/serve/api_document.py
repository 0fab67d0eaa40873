"""The OpenAPI 3.1 document of the API, made from its table of operations and the records that it gives."""

from __future__ import annotations

from typing import Any

import msgspec

from farm.serve.api_changes import NAME, SOURCE, NewSet, Registered
from farm.serve.api_log import EVENTS, LOG_QUERY
from farm.serve.api_operations import READINGS, Reading
from farm.serve.api_problem import LONGEST, PROBLEM, Parameter

_REF = "#/components/schemas/{name}"
_PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
    },
}  # fmt: skip
_ABOUT = (
    "What a wheel farm knows and does. Names are normalised, times ISO 8601 in UTC, sizes bytes. Lists come in pages: `next` is the "
    "`after` of the following one, \"\" on the last. Answers have ETags. Where the farm is read with a token, this is too."
)
_TEXTS = {
    200: "The answer.", 201: "Registered.", 204: "Removed.", 206: "The range that was asked for.", 304: "Unchanged.",
    400: "What was asked cannot be.", 401: "No valid token.", 403: "The token has not the scope.", 404: "There is none.",
    406: "The client takes nothing of what there is.", 409: "It cannot be so now.", 413: "Too large.", 415: "Not JSON.",
    416: "Beyond the end.", 503: "The catalogue cannot be read now.",
}  # fmt: skip


def openapi(root: str) -> dict[str, Any]:
    """Return the document; `root` is the path of the API, with the prefix that a proxy gives it."""
    types = [*dict.fromkeys(reading.gives for reading in READINGS), NewSet, Registered]
    _, components = msgspec.json.schema_components(types, ref_template=_REF)
    _bound(components)
    paths: dict[str, dict[str, Any]] = {reading.path: {"get": _reading(reading)} for reading in READINGS}
    paths["/builds/{id}/log"] = {"get": _log()}
    paths["/sets"]["post"] = _register()
    paths["/sets/{name}"]["delete"] = _remove()
    return {
        "openapi": "3.1.0",
        "info": {"title": "wheel farm", "version": "1", "description": _ABOUT},
        "servers": [{"url": root}],
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": _PROBLEM_SCHEMA},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "`farm token create`"}},
        },
    }


def _bound(components: dict[str, Any]) -> None:
    """Say of a new set what its fields' types cannot."""
    fields = components["NewSet"]["properties"]
    fields["name"] |= {"pattern": NAME}
    fields["sources"] |= {"minItems": 1, "maxItems": 50}
    fields["sources"]["items"] |= {"pattern": SOURCE}
    for name in ("targets", "extras", "groups"):
        fields[name] |= {"maxItems": 100}


def _reading(reading: Reading) -> dict[str, Any]:
    kinds = {"application/json": {"schema": {"$ref": _REF.format(name=reading.gives.__name__)}}}
    statuses = (400, 406, 404) if reading.variables else (400, 406)
    return {
        "operationId": reading.name,
        "summary": reading.about,
        "parameters": [*map(_variable, reading.variables), *map(_parameter, reading.query)],
        "responses": {"200": {"description": _TEXTS[200], "content": kinds}, **_bare(304), **_problems(401, 503, *statuses)},
    }


def _log() -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    events = {EVENTS: {"schema": {"type": "string", "description": 'Data {"text", "end"}; ids are byte offsets; "end" is the last.'}}}
    header = {"name": "Range", "in": "header", "description": "One range of bytes.", "schema": {"type": "string"}}
    return {
        "operationId": "log",
        "summary": "A build's log as it was written, control bytes and all.",
        "parameters": [_variable("id"), *map(_parameter, LOG_QUERY), header],
        "responses": {
            "200": {"description": _TEXTS[200], "content": text | events}, "206": {"description": _TEXTS[206], "content": text},
            **_bare(304), **_problems(400, 401, 404, 406, 416, 503),
        },
    }  # fmt: skip


def _register() -> dict[str, Any]:
    made = {"application/json": {"schema": {"$ref": _REF.format(name="Registered")}}}
    return {
        "operationId": "registerSet",
        "summary": "Register a requirement set. Needs a token with the scope build.",
        "security": [{"token": []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": _REF.format(name="NewSet")}}}},
        "responses": {"201": {"description": _TEXTS[201], "content": made}, **_problems(400, 401, 403, 409, 413, 415, 503)},
    }


def _remove() -> dict[str, Any]:
    return {
        "operationId": "removeSet",
        "summary": "Take a registered set back, with what is known of it. Needs a token with the scope build.",
        "security": [{"token": []}],
        "parameters": [_variable("name")],
        "responses": {**_bare(204), **_problems(401, 403, 404, 409, 503)},
    }


def _variable(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.name, "in": "query", "description": parameter.about, "schema": parameter.schema}


def _bare(status: int) -> dict[str, Any]:
    return {str(status): {"description": _TEXTS[status]}}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {PROBLEM: {"schema": {"$ref": _REF.format(name="Problem")}}}
    return {str(status): {"description": _TEXTS[status], "content": content} for status in sorted(statuses)}
