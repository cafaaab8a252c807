"""The machinery of the JSON API: one table of routes registers, validates and describes them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Literal, TypeVar

from flask import Blueprint, Flask, request
from pydantic import BaseModel, ValidationError
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Response

from contracts.api import CountrySettings, NoQuery
from contracts.base import error_lines
from contracts.job import Document
from functions.runtime import Runtime
from functions.web.people import require_editor
from functions.web.problems import BadBody, BadQuery, Changed, TooLarge, WebProblem, WrongType

BASE = "/api/v1"
MAX_BODY_BYTES = 256 * 1024
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class PathParameter:
    """A part of a path that is not fixed."""

    pattern: str
    description: str
    kind: type[str] | type[int] = str


PATH_PARAMETERS: dict[str, PathParameter] = {
    "job_id": PathParameter(r"[a-z0-9-]{1,80}", "id of a job"),
    "batch_id": PathParameter(r"[a-z0-9-]{1,80}", "id of a batch"),
    "deletion_id": PathParameter(r"[a-z0-9-]{1,80}", "id of a deletion"),
    "attempt": PathParameter(r"[1-9][0-9]{0,5}", "attempt of the job, counted from 1", int),
    "country": PathParameter(r"[A-Za-z0-9][A-Za-z0-9_-]{0,15}", "a country, as requests name it"),
    "schedule": PathParameter(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "name of a schedule"),
    "mapping": PathParameter(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "name of a mapping"),
    "queue": PathParameter(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "name of a queue"),
    "sol_id": PathParameter(r"[0-9]{1,9}_[0-9]{1,9}_[0-9]{1,9}", "name of a model"),
    "letter_id": PathParameter(r"[^/:]{1,200}", "id of a dead letter"),
    "file": PathParameter(r".{1,300}", "name of a file, which may hold slashes"),
}
"""By the name that stands in braces in a path."""


@dataclass(frozen=True)
class Answered:
    """An answer that needs another status than the first of its route, or headers."""

    model: BaseModel
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """One row of the table: what is asked how, what answers, and who may ask.

    `call` gets the runtime, and by name the parts of the path, `query` if the route has a model for it, and
    `body`. It returns an `answer`, an `Answered`, or of a route whose answer is a media type a `Response`.
    """

    verb: Literal["GET", "POST", "PUT"]
    path: str
    call: Callable[..., BaseModel | Answered | Response]
    answer: type[BaseModel] | str
    """A model; or a media type."""
    query: type[BaseModel] = NoQuery
    body: type[BaseModel] | None = None
    raw_body: bool = False
    """Whether `call` gets the bytes, and validates them itself."""
    max_body: int = MAX_BODY_BYTES
    """Most bytes of the body."""
    problems: tuple[type[WebProblem], ...] = ()
    """What the route itself can refuse. What the machinery refuses is added."""
    role: Literal["view", "act"] = "view"
    statuses: tuple[int, ...] = (200,)
    """Of an `answer`; the first unless `call` says otherwise."""
    others: Mapping[int, type[BaseModel]] = field(default_factory=dict)
    """Statuses whose answer is another model."""

    @property
    def name(self) -> str:
        """The name of the route, which is that of its function."""
        return self.call.__name__

    @property
    def parameters(self) -> list[str]:
        """The names of the parts of the path that are not fixed."""
        return re.findall(r"{(\w+)}", self.path)


def register(app: Flask, runtime: Runtime, routes: Iterable[Route]) -> None:
    """Let an application, which has the converters, answer the routes of a table."""
    api = Blueprint("api", __name__, url_prefix=BASE)
    for route in routes:
        rule = re.sub(r"{(\w+)}", r"<\1:\1>", route.path)
        api.add_url_rule(rule, route.name, partial(_serve, route, runtime), methods=[route.verb])
    app.register_blueprint(api)


def add_converters(app: Flask) -> None:
    """Let rules say `<job_id:job_id>`: a part of a path that has the form of its name."""
    for name, parameter in PATH_PARAMETERS.items():
        to_python = {"to_python": lambda _, value: int(value)} if parameter.kind is int else {}
        members = {"regex": parameter.pattern, "part_isolating": name != "file", **to_python}
        app.url_map.converters[name] = type(name, (BaseConverter,), members)


def read_query(model: type[M], given: MultiDict[str, str]) -> M:
    """The parameters of an address, validated.

    A field that is a list may be given repeatedly; an entry of one that is a map is given as `field.name`.

    Raises:
        BadQuery: with every problem; of an unknown parameter with the names that exist.
    """
    lists, maps = _several(model)
    known = ", ".join(f"{name}.<name>" if name in maps else name for name in model.model_fields)
    lines: list[str] = []
    values: dict[str, Any] = {}
    for name, texts in given.lists():
        field, dot, entry = name.partition(".")
        if name not in model.model_fields.keys() - maps and not (dot and field in maps):
            advice = f"there are: {known}" if known else "this address takes none"
            lines.append(f"{name}: there is no such parameter; {advice}")
        elif name not in lists and len(texts) > 1:
            lines.append(f"{name}: is given {len(texts)} times; give it once")
        elif field in maps:
            values.setdefault(field, {})[entry] = texts[0]
        else:
            values[name] = texts if name in lists else texts[0]
    try:
        read = model.model_validate(values)
    except ValidationError as error:
        lines += error_lines(error)
    else:
        if not lines:
            return read
    raise BadQuery(f"{len(lines)} problem(s) in the parameters", lines)


@cache
def _several(model: type[BaseModel]) -> tuple[set[str], set[str]]:
    """The fields of a query that are lists, and those that are maps."""
    kinds = {name: str(info.annotation) for name, info in model.model_fields.items()}
    lists, maps = ({name for name, kind in kinds.items() if of in kind} for of in ("list[", "dict["))
    return lists, maps


def expected(seen: Document | CountrySettings) -> None:
    """Compare what is there now with what `If-Match` says was seen last.

    Raises:
        Changed: it has been changed since.
    """
    tags = request.if_match
    if not tags or tags.star_tag:
        return
    version = _version(seen)
    if str(version) not in {tag.partition("-")[0] for tag in tags.as_set() if tag}:
        raise Changed(f"it is in version {version} now; read it again, then decide again")


def _version(answer: BaseModel) -> int | None:
    """What an ETag begins with, so that `If-Match` can name it; None where nothing can be changed."""
    if isinstance(answer, Document):
        return answer.version
    return answer.generation if isinstance(answer, CountrySettings) else None


def _serve(route: Route, runtime: Runtime, **arguments: Any) -> Response:
    if route.role == "act":
        require_editor()
    query = read_query(route.query, request.args)
    if route.query is not NoQuery:
        arguments["query"] = query
    if route.body is not None:
        data = _read_body(route.max_body)
        arguments["body"] = data if route.raw_body else _validated(route.body, data)
    answer = route.call(runtime, **arguments)
    if isinstance(answer, Response):
        return answer
    if not isinstance(answer, Answered):
        answer = Answered(answer, route.statuses[0])
    text = answer.model.model_dump_json(by_alias=True).encode()
    response = Response(text, answer.status, content_type="application/json", headers=dict(answer.headers))
    version = _version(answer.model)
    response.set_etag(f"{'' if version is None else f'{version}-'}{zlib.crc32(text):08x}")
    response.headers["Cache-Control"] = "private, no-cache"
    return response.make_conditional(request) if route.verb == "GET" else response


def _read_body(most: int) -> bytes:
    if request.mimetype != "application/json":
        raise WrongType(f"the body is '{request.mimetype}'; send JSON, as application/json")
    too_large = TooLarge(f"the body has more than {most >> 10} KiB")
    request.max_content_length = most + 1  # a body without a length is cut off there, without an error
    try:
        data = request.get_data(cache=False)
    except RequestEntityTooLarge as error:
        raise too_large from error
    if len(data) > most:
        raise too_large
    return data


def _validated(model: type[M], data: bytes) -> M:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        lines = error_lines(error)
        raise BadBody(f"{len(lines)} problem(s) in the body", lines) from error
