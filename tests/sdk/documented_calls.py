"""Every call that is documented: of each operation of the description, with its examples; and those of the pages."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.conf import settings

PAGES = sorted((Path(settings.BASE_DIR) / "docs").glob("*.md"))
JSON = "application/json"
NOTHING: Any = object()  # no body; null is one
FLAGS_WITH_VALUE = {"-X": "method", "-H": "headers", "-d": "body", "-o": "file", "--data-urlencode": "asked"}
OF_STRINGS = {
    "uuid": "5b1f1c1e-8a53-4f0e-9a6e-0d6a4c1f2b3c",
    "date-time": "2026-11-20T18:04:05Z",
    "date": "2026-11-20",
    "uri": "https://garage.example/cars/A-1017",
    "email": "john0@example.com",
}


@dataclass(frozen=True)
class Call:
    """A request, with the values of its parameters by name.

    Attributes:
        where: It is written; for whom a check fails.
        operation: Its id in the description.
        body: Of JSON; ``NOTHING`` where there is none.
    """

    where: str
    operation: str
    method: str
    route: str
    in_path: dict[str, Any] = field(default_factory=dict)
    in_query: dict[str, Any] = field(default_factory=dict)
    body: Any = NOTHING


@dataclass(frozen=True)
class Answer:
    """An example of what an operation answers."""

    where: str
    operation: str
    method: str
    route: str
    status: str
    body: Any


class Description:
    """What the calls are looked up in."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.whole = description
        self.operations: dict[tuple[str, str], dict[str, Any]] = {
            (method, route): operation
            for route, operations in description["paths"].items()
            for method, operation in operations.items()
        }

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self.whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def operation_at(self, method: str, path: str) -> tuple[str, dict[str, str]]:
        """The route of a path, and the values in it. Raises LookupError where no operation is described."""
        for known_method, route in sorted(self.operations, key=lambda each: each[1].count("{")):
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(route))
            if known_method == method and (found := re.fullmatch(pattern, path)):
                return route, {name: unquote(value) for name, value in found.groupdict().items()}
        raise LookupError(f"{method} {path}")

    def sample(self, schema: dict[str, Any]) -> Any:
        """A value that the schema allows: its own example, default or first choice, or else the plainest."""
        schema = self.resolved(schema)
        if value := next((schema[name] for name in ("example", "default") if schema.get(name) is not None), None):
            return value
        for several in ("oneOf", "anyOf", "allOf"):
            if several in schema:
                return self.sample(schema[several][0])
        if "enum" in schema:
            return next(value for value in schema["enum"] if value is not None)
        return self._plainest(schema)

    def _plainest(self, schema: dict[str, Any]) -> Any:
        match schema.get("type"):
            case "array":
                return [self.sample(schema["items"])]
            case "object":
                return {name: self.sample(each) for name, each in schema.get("properties", {}).items()}
            case "integer":
                return max(1, int(schema.get("minimum", 1)))
            case "number":
                return max(1.5, schema.get("minimum", 1.5))
            case "boolean":
                return True
        return OF_STRINGS.get(schema.get("format", ""), "x" * max(1, schema.get("minLength", 1)))

    def calls(self) -> Iterator[Call]:
        """Each operation with each example of its body, or else with a body that names every field."""
        for (method, route), operation in self.operations.items():
            by_place: dict[str, dict[str, Any]] = {"path": {}, "query": {}}
            for parameter in operation.get("parameters", []):
                by_place[parameter["in"]][parameter["name"]] = self.sample(parameter["schema"])
            for name, body in self._bodies_of(operation):
                own = operation["operationId"]
                yield Call(f"{own} {name}".strip(), own, method, route, by_place["path"], by_place["query"], body)

    def answers(self) -> Iterator[Answer]:
        """Every example of an answer, errors included."""
        for (method, route), operation in self.operations.items():
            for status, answer in operation["responses"].items():
                content = answer.get("content", {}).get(JSON, {})
                examples = [each["value"] for each in content.get("examples", {}).values()]
                for body in [*examples, *([content["example"]] if "example" in content else [])]:
                    own = operation["operationId"]
                    yield Answer(f"{own} {status}", own, method, route, status, body)

    def _bodies_of(self, operation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        if "requestBody" not in operation:
            yield "", NOTHING
            return
        content = operation["requestBody"]["content"][JSON]
        for name, example in content.get("examples", {}).items():
            yield name, example["value"]
        if not content.get("examples"):
            yield "with every field", self.sample(content["schema"])

    def calls_of_pages(self) -> Iterator[Call]:
        """Every curl command of docs/, as a call."""
        for page in PAGES:
            for command in commands(page.read_text()):
                yield self._call_of(command, page.name)

    def _call_of(self, command: str, page: str) -> Call:
        options: dict[str, list[str]] = {name: [] for name in (*FLAGS_WITH_VALUE.values(), "url")}
        words = iter(word for word in shlex.split(command)[1:] if word != "-G")
        for word in words:
            option = FLAGS_WITH_VALUE.get(word, "url")
            options[option].append(next(words) if option != "url" else word)
        method, url = (options["method"] or ["GET"])[0].lower(), urlsplit(options["url"][0])
        route, in_path = self.operation_at(method, url.path)
        operation = self.operations[method, route]
        schemas = {each["name"]: each["schema"] for each in operation.get("parameters", [])}
        asked = grouped(url.query, options["asked"])
        body = json.loads(options["body"][0]) if options["body"] else NOTHING
        return Call(
            f"{page}: {method} {url.path}", operation["operationId"], method, route,
            {name: self._read(schemas[name], [value]) for name, value in in_path.items()},
            {name: self._read(schemas[name], values) for name, values in asked.items()},
            body,
        )  # fmt: skip

    def _read(self, schema: dict[str, Any], texts: list[str]) -> Any:
        """What a text of an address is as a value."""
        schema = self.resolved(schema)
        match schema.get("type"):
            case "array":
                return [self._read(schema["items"], [text]) for text in texts]
            case "boolean":
                return texts[-1] in ("1", "true")
            case "integer" | "number":
                return json.loads(texts[-1])
        return texts[-1]


def grouped(query: str, plain: list[str]) -> dict[str, list[str]]:
    """Values by name, of a query string and of pairs as they were before they were encoded."""
    found: dict[str, list[str]] = {}
    for name, value in [*parse_qsl(query, keep_blank_values=True), *(tuple(each.split("=", 1)) for each in plain)]:
        found.setdefault(name, []).append(value)
    return found


def commands(page: str) -> Iterator[str]:
    """Its curl commands that ask a Forecourt site for something of the description, with variables filled in."""
    variables = {
        "FORECOURT_URL": "", "HOST": "", "CAR": "4711", "VECTOR": ",".join(["0.1"] * 128), "LIST": OF_STRINGS["uuid"]
    }  # fmt: skip
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        for command in re.findall(r"^curl .*?(?=^curl |\Z)", block, re.DOTALL | re.MULTILINE):
            for name, value in variables.items():
                command = command.replace(f"${name}", value)
            if re.search(r"[\s\"](/api/|/infer|/batch|/recs|/interact)", command):
                yield command.replace("\\\n", " ")
