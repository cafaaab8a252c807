"""The OpenAPI 3.1 document of a table of routes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from contracts.api import ApiProblem
from functions.web.problems import (
    BadBody,
    BadQuery,
    Changed,
    NotAllowed,
    NotIdentified,
    TooLarge,
    Unknown,
    WebProblem,
    WrongType,
)
from functions.web.routes import BASE, PATH_PARAMETERS, Route
from functions.web.v1.examples import EXAMPLES, Example

Json = dict[str, Any]
_HEADERS: dict[str, Json] = {
    "ETag": {"description": "version of the answer", "schema": {"type": "string"}},
    "Location": {"description": "path of what was made", "schema": {"type": "string"}},
}


def document(routes: Sequence[Route]) -> Json:
    """The description of a table of routes."""
    schemas: Mapping[Any, Json]
    schemas, definitions = models_json_schema(
        [(ApiProblem, "serialization"), *(key for route in routes for key in _models(route))],
        by_alias=True,
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.verb.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MMM Trainer",
            "version": "1",
            "description": "Times are ISO-8601 UTC, sizes bytes. Errors are problem documents (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": BASE}],
        "paths": paths,
        "components": {"schemas": definitions["$defs"]},
    }


def _models(route: Route) -> Iterator[tuple[type[BaseModel], JsonSchemaMode]]:
    if not isinstance(route.answer, str):
        yield route.answer, "serialization"
    yield from ((model, "serialization") for model in route.others.values())
    if route.body is not None:
        yield route.body, "validation"


def _operation(route: Route, schemas: Mapping[Any, Json]) -> Json:
    summary, _, more = inspect.getdoc(route.call).partition("\n\n")  # type: ignore[union-attr]
    example = EXAMPLES.get(route.name)
    operation: Json = {
        "operationId": route.name,
        "summary": " ".join(summary.split()),
        "tags": [re.split(r"[/:.]", route.path)[1]],
        "parameters": [*_path(route), *_query(route), *_conditions(route)],
        "responses": _responses(route, schemas, example),
        "x-role": "editor" if route.role == "act" else "viewer",
    }
    if more:
        operation["description"] = more
    if route.body is not None:
        content = {"application/json": {"schema": schemas[route.body, "validation"]}}
        if example and example.body is not None:
            content["application/json"]["example"] = example.body
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _path(route: Route) -> Iterator[Json]:
    for name in route.parameters:
        one = PATH_PARAMETERS[name]
        schema: Json = {"type": "string", "pattern": f"^{one.pattern}$"}
        if one.kind is int:
            schema = {"type": "integer", "minimum": 1, "maximum": 999_999}
        yield {"name": name, "in": "path", "required": True, "description": one.description, "schema": schema}


def _query(route: Route) -> Iterator[Json]:
    schema = route.query.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, described in schema.get("properties", {}).items():
        described = _inlined(described, schema.get("$defs", {}))
        text = described.pop("description")
        parameter = {"name": name, "in": "query", "description": text, "schema": described}
        yield _exploded(parameter) if described.get("type") == "object" else parameter


def _exploded(parameter: Json) -> Json:
    """A map, each entry of which is a parameter of its own, `field.name`."""
    schema, name = parameter["schema"], re.escape(parameter["name"])
    patterns = {
        rf"^{name}\.{pattern.removeprefix('^')}": value
        for pattern, value in schema.pop("patternProperties").items()
    }
    schema.update(patternProperties=patterns, additionalProperties=False)
    return {**parameter, "style": "form", "explode": True}


def _inlined(value: Any, definitions: Json) -> Any:
    """A schema without references, and without null: a parameter that is left out has no value."""
    if isinstance(value, list):
        return [_inlined(item, definitions) for item in value]
    if not isinstance(value, dict):
        return value
    if "$ref" in value:
        return _inlined(definitions[value["$ref"].rsplit("/", 1)[1]], definitions)
    inlined = {name: _inlined(item, definitions) for name, item in value.items()}
    choices = [choice for choice in inlined.get("anyOf", []) if choice != {"type": "null"}]
    if len(choices) == 1:
        inlined = {
            name: item for name, item in inlined.items() if name not in ("anyOf", "default")
        } | choices[0]
    return inlined


def _conditions(route: Route) -> Iterator[Json]:
    if _is_conditional(route):
        yield _header("If-None-Match", "answer 304 if the answer still has this ETag")
    if Changed in route.problems:
        yield _header("If-Match", "refuse with 412 unless it still has the version of this ETag")


def _header(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}


def _responses(route: Route, schemas: Mapping[Any, Json], example: Example | None) -> Json:
    answers = {**dict.fromkeys(route.statuses, route.answer), **route.others}
    responses: Json = {str(status): _good(answer, status, schemas) for status, answer in answers.items()}
    if example and example.answer is not None:
        responses[str(route.statuses[0])]["content"]["application/json"]["example"] = example.answer
    if _is_conditional(route):
        responses["304"] = {"description": "as it was when If-None-Match was its ETag"}
    titles: dict[int, list[str]] = {}
    for refusal in _refusals(route):
        titles.setdefault(refusal.status, []).append(refusal.title)
    problem = {"application/problem+json": {"schema": schemas[ApiProblem, "serialization"]}}
    for status, told in sorted(titles.items()):
        responses[str(status)] = {"description": "; ".join(dict.fromkeys(told)), "content": problem}
    responses["default"] = {"description": "Another problem", "content": problem}
    return responses


def _good(answer: type[BaseModel] | str, status: int, schemas: Mapping[Any, Json]) -> Json:
    headers = {"Location": _HEADERS["Location"]} if status in (201, 202, 302) else {}
    if 300 <= status < 400:
        told = "as it was when If-None-Match was its ETag" if status == 304 else "available there"
        return {"description": told, "headers": headers}
    if isinstance(answer, str):
        return {"description": "as asked", "content": {answer: {}}, "headers": headers}
    content = {"application/json": {"schema": schemas[answer, "serialization"]}}
    return {
        "description": "as asked",
        "content": content,
        "headers": {"ETag": _HEADERS["ETag"], **headers},
    }


def _is_conditional(route: Route) -> bool:
    return route.verb == "GET" and not isinstance(route.answer, str)


def _refusals(route: Route) -> Iterator[type[WebProblem]]:
    yield from (BadQuery, NotIdentified, NotAllowed)
    if route.parameters:
        yield Unknown
    if route.body is not None:
        yield from (BadBody, WrongType, TooLarge)
    yield from route.problems
