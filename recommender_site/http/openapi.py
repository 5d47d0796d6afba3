"""What the description of the API says beyond each view: ways in, and the errors that any route may answer.

The shape of an error is made in one place (errors.py), so it is described in one place too, by a hook that runs over
the finished schema. A description that a view gives for a status of its own is kept.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.contrib.rest_framework_simplejwt import SimpleJWTScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension

from catalog.api.fields import or_any_word
from catalog.api.stock_fields import READS_WORDS
from web.errors import error_body

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/"
OF_NOTHING = (f"{REFERENCE}NullEnum", f"{REFERENCE}BlankEnum")

ERROR_SCHEMA: Schema = {
    "type": "object",
    "description": "The one shape of every error.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "fields"],
            "properties": {
                "code": {"type": "string", "description": "For programs; stays the same."},
                "message": {"type": "string", "description": "For people, in the language of `Accept-Language`."},
                "fields": {
                    "type": "object",
                    "description": "What was wrong, by the path of the field: `events[3].listing_id`.",
                    "additionalProperties": {"type": "array", "items": {"type": "string"}},
                },
            },
        }
    },
}
DESCRIPTIONS = {
    "400": "Something about the question is wrong; `fields` says what.",
    "401": "No token, key or visitor key, or one that is not accepted.",
    "403": "Known, but not allowed.",
    "404": "There is no such thing.",
    "406": "Only JSON (and HTML for browsers) can be answered.",
    "409": "The present state does not allow this.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "Something about the fields of the body is wrong; `fields` says what.",
    "429": "Too many requests; `Retry-After` says for how many seconds.",
    "503": "A server this needs is down; nothing was changed.",
}
EXAMPLES: dict[str, tuple[str, dict[str, list[str]]]] = {  # message and fields; others say what the status means
    "400": ("min_year: A valid integer is required.", {"min_year": ["A valid integer is required."]}),
    "401": ("Authentication credentials were not provided.", {}),
    "403": ("Only a client system may name another buyer.", {}),
    "406": ("Could not satisfy the request Accept header.", {}),
    "409": ("A listing that is draft cannot be marked as sold.", {}),
    "413": ("The body is larger than 10 MB.", {}),
    "415": ('Unsupported media type "text/plain" in request.', {}),
    "422": ("actions: There are 2 item_ids, but 1 actions.", {"actions": ["There are 2 item_ids, but 1 actions."]}),
    "429": ("Request was throttled. Expected available in 12 seconds.", {}),
}
ALWAYS_POSSIBLE = ("406", "429", "503")
WAIT: Schema = {"schema": {"type": "integer"}, "description": "Seconds until it is worth to ask again."}
HEADERS: dict[str, Schema] = {
    "429": {
        "Retry-After": WAIT,
        "RateLimit": {
            "schema": {"type": "string"},
            "description": "What is left (`r`) for the next seconds (`t`), of whose allowance. Every answer that is "
            "counted has it.",
        },
        "RateLimit-Policy": {
            "schema": {"type": "string"},
            "description": "How much may be asked (`q`) in a window of how many seconds (`w`).",
        },
    },
    "503": {"Retry-After": WAIT},
}


def describe_errors(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A post-processing hook of drf-spectacular: every operation lists the errors it may answer."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = ERROR_SCHEMA
    components["securitySchemes"]["jwtAuth"]["description"] = "An access token, from one of the routes below “Tokens”."
    for path in result["paths"].values():
        for operation in path.values():
            for status in _possible_errors(operation):
                _describe(operation["responses"].setdefault(status, {}), status)
    return result


def drop_empty_defaults(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A post-processing hook: an empty default says "left out", which for a choice or a pattern is no valid value."""
    for schema in _schemas_in(result.get("components", {}).get("schemas", {})):
        if schema.get("default") == "":
            del schema["default"]
    return result


def say_defaults_of_bodies_in_words(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A post-processing hook: openapi-typescript takes a field with a default for one that has to be sent."""
    for schema in _sent_in_bodies(result):
        for field in schema.get("properties", {}).values():
            default = field.pop("default", None)
            if default not in (None, "", [], {}):
                about = field.get("description", "")
                field["description"] = f"{about} Left out: `{json.dumps(default)}`.".strip()
    return result


def say_types_of_nullable_values(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A post-processing hook: OpenAPI 3.0 lets a schema be nullable only where it names its type.

    One that is made of others does not by itself; one whose choices have null among them says so already.
    """
    components = result.get("components", {}).get("schemas", {})
    for schema in list(_schemas_in(result)):
        if schema.get("nullable") and "type" not in schema:
            types = {each.get("type") for each in _parts_of(schema, components)} - {None}
            if len(types) == 1 and not _names_null(schema, components):
                schema["type"] = types.pop()
            else:
                del schema["nullable"]
                if len(types) > 1 and "anyOf" in schema:
                    schema["anyOf"] = [{**part, "nullable": True} for part in schema["anyOf"]]
    return result


def say_where_words_are_read(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A post-processing hook, for when enums have names: a choice that is read from other words too takes any text."""
    for schema in list(_schemas_in(result)):
        if schema.pop(READS_WORDS, False):
            forms = [part for several in ("allOf", "oneOf") for part in schema.pop(several, [])]
            choices = [part for part in forms if part.get("$ref") not in OF_NOTHING]
            if not forms:
                choices = [{name: schema.pop(name) for name in ("type", "enum")}]
            schema.update(or_any_word(choices[0]))
            if len(choices) < len(forms):
                schema["nullable"] = True
    return result


def say_which_bodies_are_needed(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A post-processing hook: a body whose every form has a required field, or is a list, may not be left out."""
    components = result.get("components", {}).get("schemas", {})
    for path in result["paths"].values():
        for operation in path.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                if _is_needed(content["schema"], components):
                    operation["requestBody"]["required"] = True
    return result


def call_no_class_as_its_field(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A post-processing hook: a schema with a field of its own name gets a title.

    Generators name classes by it, and openapi-python-client a variable by the class, beside one for each field.
    """
    for name, schema in result.get("components", {}).get("schemas", {}).items():
        if re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() in schema.get("properties", {}):
            schema.setdefault("title", f"{name}Body")
    return result


def _is_needed(schema: Schema, components: Schema) -> bool:
    if "$ref" in schema:
        schema = components[schema["$ref"].rpartition("/")[2]]
    if forms := [*schema.get("oneOf", []), *schema.get("anyOf", [])]:
        return all(_is_needed(form, components) for form in forms)
    return bool(schema.get("required")) or schema.get("type") == "array"


def say_who_may(result: Schema, generator: Any, request: Any, public: bool) -> Schema:
    """A post-processing hook: an operation that needs no credential says that too."""
    for path in result["paths"].values():
        for operation in path.values():
            operation.setdefault("security", [])
    return result


def _schemas_in(value: Any) -> Iterator[Schema]:
    """Every object of a description, from the outside in."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _schemas_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from _schemas_in(each)


def _sent_in_bodies(result: Schema) -> Iterator[Schema]:
    """Every schema that a body is made of, components included, each once."""
    components = result.get("components", {}).get("schemas", {})
    waiting = [operation["requestBody"] for path in result["paths"].values() for operation in path.values()
               if "requestBody" in operation]  # fmt: skip
    seen: set[str] = set()
    while waiting:
        for schema in _schemas_in(waiting.pop()):
            yield schema
            name = schema.get("$ref", "")
            if isinstance(name, str) and name and name not in seen:
                seen.add(name)
                waiting.append(components[name.rpartition("/")[2]])


def _parts_of(schema: Schema, components: Schema) -> list[Schema]:
    parts = [part for several in ("allOf", "oneOf", "anyOf") for part in schema.get(several, [])]
    return [components[part["$ref"].rpartition("/")[2]] if "$ref" in part else part for part in parts]


def _names_null(schema: Schema, components: Schema) -> bool:
    return any(None in part.get("enum", []) for part in _parts_of(schema, components))


def strip_final_slash(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """A pre-processing hook: routes answer with and without the slash, and are described without."""
    return [(path.rstrip("/"), regex, method, view) for path, regex, method, view in endpoints]


def _possible_errors(operation: Schema) -> list[str]:
    """From what an operation takes: parameters can be wrong, a body too large, a caller unknown."""
    errors = {status for status in operation["responses"] if status >= "400"} | set(ALWAYS_POSSIBLE)
    if operation.get("parameters") or "requestBody" in operation:
        errors.add("400")
    if "requestBody" in operation:
        errors |= {"413", "415"}
    if {} not in operation.get("security", [{}]):
        errors |= {"401", "403"}
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", [])):
        errors.add("404")
    return sorted(errors)


def _describe(response: Schema, status: str) -> None:
    response["description"] = response.get("description") or DESCRIPTIONS.get(status, "")
    if status in HEADERS:
        response["headers"] = HEADERS[status]
    content = response.setdefault("content", {}).setdefault("application/json", {})
    content["schema"] = {"$ref": f"{REFERENCE}Error"}
    content.setdefault("example", error_body(int(status), *EXAMPLES.get(status, ("", {}))))


class TokenScheme(SimpleJWTScheme):
    target_class = "accounts.api.authentication.TokenAuthentication"


class CookieScheme(SessionScheme):
    target_class = "accounts.api.authentication.SessionAuthentication"


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> Schema:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "X-Api-Key",
            "description": "The key of a client system, made in the admin. `Authorization: Api-Key …` works as well.",
        }


class VisitorKeyScheme(OpenApiAuthenticationExtension):
    target_class = "accounts.api.authentication.VisitorKeyAuthentication"
    name = "visitorKey"

    def get_security_definition(self, auto_schema: Any) -> Schema:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "X-Visitor-Key",
            "description": "A guest: 16 to 64 random letters, digits, hyphens and underscores, kept by the browser.",
        }
