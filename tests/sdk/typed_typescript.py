"""Documented calls as a typed program on the types that openapi-typescript makes of the description."""

import json
from collections.abc import Iterable
from typing import Any

from tests.sdk.documented_calls import JSON, NOTHING, Answer, Call

TYPES = "forecourt"  # the module that openapi-typescript writes
HEAD = f'import type {{ paths }} from "./{TYPES}";\n'


def program(calls: Iterable[Call], answers: Iterable[Answer]) -> str:
    """Each value is written as what its place in the description has for a type."""
    lines: dict[str, str] = {}
    for call in calls:
        asked = {"path": call.in_path, "query": call.in_query}
        own = _operation(call)
        places = {name: values for name, values in asked.items() if values}
        lines.setdefault(f'{_text(places)} satisfies {own}["parameters"]', call.where)
        if call.body is not NOTHING:
            lines.setdefault(f'{_text(call.body)} satisfies NonNullable<{own}["requestBody"]>{_content()}', call.where)
    for answer in answers:
        kind = f'{_operation(answer)}["responses"][{answer.status}]{_content()}'
        lines.setdefault(f"{_text(answer.body)} satisfies {kind}", answer.where)
    written = [f"export const value{number} = {line}; // {where}" for number, (line, where) in enumerate(lines.items())]
    return HEAD + "\n".join(written) + "\n"


def _operation(each: Call | Answer) -> str:
    return f'paths["{each.route}"]["{each.method}"]'


def _content() -> str:
    return f'["content"]["{JSON}"]'


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True)
