"""Every field that the description of the API names, so that a test can send anything in any of them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from django.test import Client

Schema = dict[str, Any]
Path = tuple[str | int, ...]
STAR_RATINGS = ("/api/predict", "/api/similar", "/api/log", "/api/info", "/api/reload")  # need a trained model
EMPTY_THE_SITE = ("/cleanup",)
BY_FORMAT = {
    "uuid": "5f0c9a1e-0000-4000-8000-000000000000",
    "date-time": "2026-01-15T12:00:00Z",
    "uri": "https://cars.example/1.jpg",
    "email": "john0@example.com",
}
BY_PATTERN = ("GBP", "GB", "a-visitor-of-the-site")


@dataclass(frozen=True)
class Field:
    """One place for a value in one operation: ``where`` is query, path or body, ``path`` its name or path there."""

    method: str
    route: str
    where: str
    path: Path

    def __str__(self) -> str:
        return f"{self.method} {self.route} {self.where} {'.'.join(map(str, self.path))}"


@cache
def description() -> Schema:
    return Client(SERVER_NAME="localhost").get("/api/schema?format=json").json()


def operations() -> Iterator[tuple[str, str, Schema]]:
    for route, methods in description()["paths"].items():
        if route not in STAR_RATINGS + EMPTY_THE_SITE:
            for method, operation in methods.items():
                yield method, route, operation


def all_fields() -> list[Field]:
    return [
        Field(method, route, where, path)
        for method, route, operation in operations()
        for where, path in _places(operation)
    ]


def _places(operation: Schema) -> Iterator[tuple[str, Path]]:
    for parameter in operation.get("parameters", []):
        if parameter["in"] in ("query", "path"):
            yield parameter["in"], (parameter["name"],)
    for path in dict.fromkeys(path for body in bodies(operation) for path in leaves(body)):
        yield "body", path


def bodies(operation: Schema) -> list[Any]:
    """A valid-looking body for each form that an operation takes."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return samples(content["schema"]) if content else []


def samples(schema: Schema) -> list[Any]:
    schema = resolved(schema)
    for one_of in ("oneOf", "anyOf"):
        if one_of in schema:
            return [sample for each in schema[one_of] for sample in samples(each)]
    return [sample_of(schema)]


def sample_of(schema: Schema) -> Any:
    schema = resolved(schema)
    if "oneOf" in schema or "anyOf" in schema or "allOf" in schema:
        return sample_of((schema.get("oneOf") or schema.get("anyOf") or schema["allOf"])[0])
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        return {name: sample_of(each) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample_of(schema["items"])] * schema.get("minItems", 1)
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    return BY_FORMAT.get(schema.get("format", ""), _matching(schema["pattern"]) if "pattern" in schema else "view")


def _matching(pattern: str) -> str:
    return next((text for text in BY_PATTERN if re.search(pattern, text)), BY_PATTERN[0])


def resolved(schema: Schema) -> Schema:
    if "$ref" in schema:
        return description()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of everything that is neither an object nor a list; of a list only the first entry."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from leaves(each, (*path, name))
    elif isinstance(value, list) and value:
        yield from leaves(value[0], (*path, 0))
    else:
        yield path


def send(client: Client, field: Field, value: Any) -> HttpResponse:
    """Ask an operation with a value in one of its fields, and something sensible in the others."""
    operation = description()["paths"][field.route][field.method]
    route, query = field.route, ""
    for parameter in operation.get("parameters", []):
        is_asked = field.where == parameter["in"] and field.path == (parameter["name"],)
        text = quote(str(value) if is_asked else "1", safe="", errors="surrogatepass")
        if parameter["in"] == "path":
            route = route.replace(f"{{{parameter['name']}}}", text)
        elif parameter["in"] == "query" and (is_asked or parameter["name"] in _needed(field)):
            query += f"&{parameter['name']}={text}"
    body = next((body for body in bodies(operation) if field.where != "body" or _has(body, field.path)), None)
    body = _with(_naming_one(body, field), field.path, value) if field.where == "body" else body
    if field.method == "get":
        return client.get(f"{route}?{query[1:]}")
    return getattr(client, field.method)(f"{route}?{query[1:]}", data=body, content_type="application/json")


def _needed(field: Field) -> set[str]:
    """Parameters that the others make no sense without: a car is named by one of two."""
    is_by_external_id = (field.where, field.path) == ("query", ("external_id",))
    return {"buyer", "seller_id"} | (set() if is_by_external_id else {"listing_id"})


def _naming_one(body: Any, field: Field) -> Any:
    """The body without the other one of two names for a car or a buyer: with both it is refused, whatever the field
    holds."""
    if isinstance(body, list):
        return [_naming_one(each, field) for each in body]
    if not isinstance(body, dict):
        return body
    dropped = _other_names(set(body), field.path[-1:])
    return {name: _naming_one(each, field) for name, each in body.items() if name not in dropped}


def _other_names(names: set[str], asked: Path) -> set[str]:
    """``asked``: the field that is asked, or nothing."""
    if "external_id" not in names:
        return set()
    if {"external_id", "source"} & {*asked}:
        return {"listing_id", "visitor_key"}
    is_by_other = "listing_id" in names or "visitor_key" in asked
    return {"external_id"} if is_by_other else {"visitor_key"}


def _has(body: Any, path: Path) -> bool:
    return path in set(leaves(body))


def _with(body: Any, path: Path, value: Any) -> Any:
    if not path:
        return value
    changed = copy.deepcopy(body)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed
