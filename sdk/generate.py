"""What the clients take from the description of the API: types in Python and TypeScript, and a Postman collection.

    python sdk/generate.py var/schema.json      (or `make sdk`)

The sync client of Python is made of the async one here too. It needs nothing but the standard library. Each output is a
function of its input, so that a test can hold the files to it.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Schema = dict[str, Any]
HERE = Path(__file__).resolve().parent
REFERENCE = "#/components/schemas/"
OF_CLIENTS = "/api/v1/"  # the routes of earlier systems have clients of their own
DEMO_ONLY = ("/api/v1/token/fake-token",)
DERIVED = {  # name: another type, without some of its fields, which a method of the clients takes by themselves
    "EventDetails": ("Event", {"kind"}),
    "LeaveOut": ("PlacementsQuestion", {"lists"}),
    "SimilarQuestion": ("FindCarsSimilarToReferenceQuery", {"listing_id", "external_id"}),
    "DetailQuestion": ("GetCarByReferenceQuery", {"listing_id", "external_id"}),
}
JSON = "application/json"
NOTICE = "Made by sdk/generate.py from the description of the API; do not edit. `make sdk` makes it again."


# --- What is described ------------------------------------------------------------------------------------------------
def operations(description: Schema) -> Iterator[tuple[str, str, Schema]]:
    """(method, route, operation) of the routes that the clients know."""
    for route, methods in sorted(description["paths"].items()):
        if route.startswith(OF_CLIENTS) and route not in DEMO_ONLY:
            for method, operation in methods.items():
                yield method, route, operation


def reachable(description: Schema, start: object) -> set[str]:
    """The names of all components that ``start`` refers to, directly or through others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            name = str(each.get("$ref", "")).removeprefix(REFERENCE)
            if name and name not in found:
                found.add(name)
                waiting.append(description["components"]["schemas"][name])
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return found


def asked_and_answered(description: Schema) -> tuple[set[str], set[str]]:
    """Names of the components that are sent, and of those that are received."""
    sent = [operation.get("requestBody") for _, _, operation in operations(description)]
    received = [operation["responses"] for _, _, operation in operations(description)]
    return reachable(description, sent), reachable(description, received)


def query_of(operation: Schema) -> dict[str, Schema]:
    """The schema of each parameter of the query string; one that takes several takes a single one too."""
    found = {}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query":
            schema = parameter["schema"]
            several = {"oneOf": [schema, schema["items"]]} if schema.get("type") == "array" else schema
            found[parameter["name"]] = {**several, "description": parameter.get("description", "")}
    return found


def camel(operation_id: str) -> str:
    return "".join(part.capitalize() for part in operation_id.split("_"))


def about(schema: Schema) -> str:
    """The first paragraph of a description; the others list choices, which the type has."""
    return " ".join(str(schema.get("description", "")).split("\n\n")[0].split())


# --- Types ------------------------------------------------------------------------------------------------------------
class Language:
    """How a language writes the types that a schema can have."""

    null, anything, text, number, integer, boolean = "", "", "", "", "", ""

    def many(self, item: str) -> str:
        raise NotImplementedError

    def mapping(self, value: str) -> str:
        raise NotImplementedError

    def choice(self, values: list[Any]) -> str:
        raise NotImplementedError

    def formatted(self, schema: Schema, is_sent: bool) -> str:
        return self.text

    def type_of(self, schema: Schema, *, is_sent: bool) -> str:
        found = self._plain(schema, is_sent)
        return self.union([found, self.null]) if schema.get("nullable") else found

    def union(self, types: list[str]) -> str:
        parts = [part for each in types for part in each.split(" | ")]
        return " | ".join(sorted(dict.fromkeys(parts), key=lambda part: part == self.null))

    def _plain(self, schema: Schema, is_sent: bool) -> str:
        if "$ref" in schema:
            return str(schema["$ref"].removeprefix(REFERENCE))
        for several in ("oneOf", "anyOf", "allOf"):
            if several in schema:
                return self.union([self.type_of(each, is_sent=is_sent) for each in schema[several]])
        if "enum" in schema:
            return self.choice(schema["enum"])
        simple = {"integer": self.integer, "number": self.number, "boolean": self.boolean}
        kind = str(schema.get("type", ""))
        if kind == "string":
            return self.formatted(schema, is_sent)
        if kind == "array":
            return self.many(self.type_of(schema["items"], is_sent=is_sent))
        return self._object(schema, is_sent) if kind == "object" else simple.get(kind, self.anything)

    def _object(self, schema: Schema, is_sent: bool) -> str:
        values = schema.get("additionalProperties")
        return self.mapping(
            self.type_of(values, is_sent=is_sent) if isinstance(values, dict) and values else self.anything
        )


class Python(Language):
    null, anything, text, number, integer, boolean = "None", "Any", "str", "float", "int", "bool"

    def many(self, item: str) -> str:
        return f"list[{item}]"

    def mapping(self, value: str) -> str:
        return f"dict[str, {value}]"

    def choice(self, values: list[Any]) -> str:
        texts = [value for value in values if value is not None]
        literal = f"Literal[{', '.join(json.dumps(text) for text in texts)}]" if texts else ""
        return self.union([*([literal] if literal else []), *(["None"] if None in values else [])])

    def formatted(self, schema: Schema, is_sent: bool) -> str:
        richer = {"date-time": "datetime", "uuid": "UUID", "decimal": "Decimal | float"}.get(schema.get("format", ""))
        return f"{richer} | str" if is_sent and richer else "str"


class TypeScript(Language):
    null, anything, text, number, integer, boolean = "null", "unknown", "string", "number", "number", "boolean"

    def many(self, item: str) -> str:
        return f"Array<{item}>"

    def mapping(self, value: str) -> str:
        return f"Record<string, {value}>"

    def choice(self, values: list[Any]) -> str:
        return " | ".join(json.dumps(value) for value in values)

    def formatted(self, schema: Schema, is_sent: bool) -> str:
        richer = {"date-time": "Date", "decimal": "number"}.get(schema.get("format", ""))
        return f"{richer} | string" if is_sent and richer else "string"


def described_types(description: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """(name, schema, is_sent) of every component and of every query string, by name."""
    sent, received = asked_and_answered(description)
    components = description["components"]["schemas"]
    found = [(name, components[name], name not in received) for name in sent | received]
    for _, _, operation in operations(description):
        if query := query_of(operation):
            text = f"The query string of `{operation['operationId']}`."
            schema = {"type": "object", "properties": query, "description": text}
            found.append((camel(operation["operationId"]) + "Query", schema, True))
    by_name = {name: schema for name, schema, _ in found}
    found += [(name, without(by_name[base], fields), True) for name, (base, fields) in DERIVED.items()]
    yield from sorted(found, key=lambda each: each[0])


def without(schema: Schema, fields: set[str]) -> Schema:
    return {
        **schema,
        "properties": {name: each for name, each in schema["properties"].items() if name not in fields},
        "required": [name for name in schema.get("required", ()) if name not in fields],
    }


def python_types(description: Schema) -> str:
    blocks = [
        f'"""The types of questions and answers.\n\n{NOTICE}\n"""',
        "from __future__ import annotations\n\nfrom datetime import datetime\nfrom decimal import Decimal\n"
        "from typing import Any, Literal, NotRequired, TypeAlias, TypedDict\nfrom uuid import UUID",
    ]
    aliases = []
    for name, schema, is_sent in described_types(description):
        if "properties" in schema:
            blocks.append(_python_class(name, schema, is_sent))
        else:
            kind = Python().type_of(schema, is_sent=is_sent)
            aliases.append(f"{name}: TypeAlias = {kind if 'Literal' in kind or kind == 'None' else json.dumps(kind)}")
    return "\n\n\n".join([*blocks, "\n".join(aliases)]) + "\n"


def _python_class(name: str, schema: Schema, is_sent: bool) -> str:
    lines = [f"class {name}(TypedDict):"]
    if text := about(schema):
        lines += [f"    {_docstring(text)}", ""]
    for field, described in schema["properties"].items():
        if not field.isidentifier() or keyword.iskeyword(field):
            raise ValueError(f"{name}.{field} is no name of Python")
        kind = Python().type_of(described, is_sent=is_sent)
        lines.append(f"    {field}: {kind if field in schema.get('required', ()) else f'NotRequired[{kind}]'}")
        if text := about(described):
            lines.append(f"    {_docstring(text)}")
    return "\n".join(lines)


def _docstring(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{escaped[:-1]}\\""""' if escaped.endswith('"') else f'"""{escaped}"""'


def typescript_types(description: Schema) -> str:
    blocks = [f"// {NOTICE}"]
    for name, schema, is_sent in described_types(description):
        comment = f"/** {_comment(about(schema))} */\n" if about(schema) else ""
        if "properties" in schema:
            blocks.append(comment + _interface(name, schema, is_sent))
        else:
            blocks.append(f"{comment}export type {name} = {TypeScript().type_of(schema, is_sent=is_sent)};")
    return "\n\n".join(blocks) + "\n"


def _interface(name: str, schema: Schema, is_sent: bool) -> str:
    lines = [f"export interface {name} {{"]
    for field, described in schema["properties"].items():
        if text := about(described):
            lines.append(f"  /** {_comment(text)} */")
        optional = "" if field in schema.get("required", ()) else "?"
        lines.append(f"  {field}{optional}: {TypeScript().type_of(described, is_sent=is_sent)};")
    return "\n".join([*lines, "}"])


def _comment(text: str) -> str:
    return text.replace("*/", "* /")


# --- Postman ----------------------------------------------------------------------------------------------------------
def postman_collection(description: Schema) -> str:
    """A collection of format 2.1: a folder for each tag, a request for each operation, with its example."""
    folders: dict[str, list[Schema]] = {}
    for method, route, operation in operations(description):
        folder = (operation.get("tags") or ["Other"])[0]
        folders.setdefault(folder, []).append(_postman_request(description, method, route, operation))
    collection = {
        "info": {
            "name": description["info"]["title"],
            "description": description["info"]["description"],
            "version": description["info"]["version"],
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": {
            "type": "apikey",
            "apikey": [_pair("key", "X-Api-Key"), _pair("value", "{{api_key}}"), _pair("in", "header")],
        },
        "variable": [
            {"key": "host", "value": "http://localhost:8000"},
            {"key": "api_key", "value": ""},
            {"key": "token", "value": ""},
        ],
        "item": [{"name": name, "item": requests} for name, requests in sorted(folders.items())],
    }
    return json.dumps(collection, indent=1, ensure_ascii=False) + "\n"


def _pair(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value, "type": "string"}


def _postman_request(description: Schema, method: str, route: str, operation: Schema) -> Schema:
    segments = [f":{part[1:-1]}" if part.startswith("{") else part for part in route.strip("/").split("/")]
    parameters = operation.get("parameters", [])
    path = [
        {"key": each["name"], "value": "", "description": about(each)} for each in parameters if each["in"] == "path"
    ]
    query = [
        {"key": each["name"], "value": "", "description": about(each), "disabled": not each.get("required", False)}
        for each in parameters
        if each["in"] == "query"
    ]
    asked = [f"{each['key']}=" for each in query if not each["disabled"]]
    url = {
        "raw": "{{host}}/" + "/".join(segments) + ("?" + "&".join(asked) if asked else ""),
        "host": ["{{host}}"],
        "path": segments,
        "query": query,
        "variable": path,
    }
    request: Schema = {
        "method": method.upper(),
        "header": [],
        "url": url,
        "description": operation.get("description", ""),
    }
    if not _takes_key(operation):
        token = [_pair("token", "{{token}}")]
        request["auth"] = {"type": "bearer", "bearer": token} if operation.get("security") else {"type": "noauth"}
    if content := operation.get("requestBody", {}).get("content", {}).get(JSON):
        request["header"] = [{"key": "Content-Type", "value": JSON}]
        body = json.dumps(_example(description, content), indent=2, ensure_ascii=False)
        request["body"] = {"mode": "raw", "raw": body, "options": {"raw": {"language": "json"}}}
    return {"name": operation.get("summary") or operation["operationId"], "request": request}


def _takes_key(operation: Schema) -> bool:
    return any("apiKey" in way for way in operation.get("security", []))


def _example(description: Schema, content: Schema) -> Any:
    """The first example of a body, or else one made of the fields that it must have."""
    if "example" in content:
        return content["example"]
    for example in content.get("examples", {}).values():
        return example.get("value")
    return _sample(description, content["schema"])


def _sample(description: Schema, schema: Schema) -> Any:
    if "$ref" in schema:
        return _sample(description, description["components"]["schemas"][schema["$ref"].removeprefix(REFERENCE)])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return _sample(description, schema[several][0])
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object":
        needed = schema.get("required", ())
        return {
            name: _sample(description, each) for name, each in schema.get("properties", {}).items() if name in needed
        }
    if kind == "array":
        return [_sample(description, schema["items"])]
    return {"integer": 1, "number": 1.0, "boolean": True}.get(str(kind), "")


# --- The sync client of Python ---------------------------------------------------------------------------------------
ASYNC_CLIENT, SYNC_CLIENT = "python/src/forecourt/aio.py", "python/src/forecourt/client.py"
WITHOUT_ASYNC = (  # in this order
    (r"The client for asyncio.*?\n", "The client.\n"),
    (r"`client\.py` is made.*?\n", "Made of `aio.py` by sdk/generate.py; do not edit.\n"),
    (r"AsyncIterator, Iterable, Mapping", "Iterable, Iterator, Mapping"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\basync_", ""),
    (r"\b(async|await) ", ""),
    (r"\b__a(enter|exit)__", r"__\1__"),
    (r"\baclose\b", "close"),
)


def sync_client(source: str) -> str:
    """The async client without what makes it async; their questions are the same to the letter."""
    for pattern, replacement in WITHOUT_ASYNC:
        source = re.sub(pattern, replacement, source)
    return source


# --- Files ------------------------------------------------------------------------------------------------------------
OUTPUTS: dict[str, Callable[[Schema], str]] = {  # below sdk/
    "python/src/forecourt/types.py": python_types,
    "javascript/src/types.ts": typescript_types,
    "javascript/dist/types.d.ts": typescript_types,
    "../docs/forecourt.postman_collection.json": postman_collection,
}


def main(path: str) -> None:
    description = json.loads(Path(path).read_text())
    for name, make in OUTPUTS.items():
        output = HERE / name
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(make(description))
    (HERE / SYNC_CLIENT).write_text(sync_client((HERE / ASYNC_CLIENT).read_text()))


if __name__ == "__main__":
    main(sys.argv[1])
