"""The OpenAPI 3.1 document of `/api/v1`, read from the table of routes and the shapes: it cannot say what is not so."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from collector.api.problems import KINDS
from collector.api.routes import ROUTES, Route
from collector.api.shapes import Problem

_REF = "#/components/schemas/{name}"
_ABOUT = """Read-only interface of one collector of dosong: the numbers of its pages, for machines.

Times are given as Unix milliseconds and as ISO 8601 (UTC). What is not known is null, never 0. Units stand in the names
(bps, us, ppm, dbm_x10 ...); `wire/SPEC.md` says what every figure means. Lists are paged by key: pass `next` as
`cursor`; what is inserted meanwhile shifts nothing, and a page may be short or empty before the last one.
Answers carry an ETag: send it back as If-None-Match. Errors are RFC 9457 and say what to do."""


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    shapes = [route.answer for route in ROUTES if route.answer is not None]
    _, components = msgspec.json.schema_components([*shapes, Problem], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {"title": "dosong", "version": "1", "description": _ABOUT, "license": _LICENSE},
        "servers": [{"url": "/"}],
        "paths": {route.path: {"get": _operation(route)} for route in ROUTES},
        "components": {
            "schemas": {name: _closed(schema) for name, schema in components.items()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _TOKEN}},
            "responses": {"problem": _problem("What went wrong and what to do")},
        },
    }


_LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
_TOKEN = "Made by an operator: dosong-collector token create. Limited to a role, a unit and a time."  # noqa: S105


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Say that an object has the fields of its shape and no others."""
    is_shape = schema.get("type") == "object" and "properties" in schema
    return {**schema, "additionalProperties": False} if is_shape else schema


def _operation(route: Route) -> dict[str, Any]:
    callers = sorted(role or "anybody" for role in route.roles)
    return {
        "operationId": route.name,
        "summary": route.en,
        "description": f"For: {', '.join(callers)}.",
        "parameters": [param.openapi() for param in route.params],
        "security": [{}, {"token": []}] if "" in route.roles else [{"token": []}],
        "responses": {"200": _answer(route), **_refusals(route)},
    }


def _answer(route: Route) -> dict[str, Any]:
    if route.answer is None:
        schema: dict[str, Any] = {"type": "object"} if route.media.endswith("json") else {"type": "string"}
        description = "Rows" if route.is_bulk else "The document"
        return {"description": description, "content": {route.media: {"schema": schema}}}
    name = {"$ref": _REF.format(name=_name(route.answer))}
    etag = {"ETag": {"description": "send it back as If-None-Match", "schema": {"type": "string"}}}
    return {"description": "The answer", "headers": etag, "content": {route.media: {"schema": name}}}


def _name(shape: Any) -> str:
    """The name under which msgspec lists a shape."""
    (schema,), _ = msgspec.json.schema_components([shape], ref_template="{name}")
    return str(schema["$ref"])


def _refusals(route: Route) -> dict[str, Any]:
    found = {"304": {"description": "Not changed since that ETag"}} if route.answer is not None else {}
    statuses = {400, 401, 429, 503, 500} | ({403} if "" not in route.roles else set())
    if any(param.where == "path" or param.name in ("hamlet", "commune") for param in route.params):
        statuses.add(404)
    if route.name == "note":
        statuses.add(403)
    for status in sorted(statuses):
        words = ", ".join(word for word, kind in KINDS.items() if kind.status == status)
        found[str(status)] = _problem(words)
    return found


def _problem(description: str) -> dict[str, Any]:
    wait = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    return {"description": description, "headers": wait, "content": content}
