"""Documented calls as a typed program of the client that openapi-python-client generates."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from openapi_python_client import Config, Project
from openapi_python_client.config import ConfigFile, MetaType
from openapi_python_client.parser import GeneratorData
from openapi_python_client.parser.errors import GeneratorError
from openapi_python_client.parser.properties import (
    AnyProperty,
    BooleanProperty,
    ConstProperty,
    DateProperty,
    DateTimeProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    ListProperty,
    ModelProperty,
    NoneProperty,
    StringProperty,
    UnionProperty,
    UuidProperty,
)

from tests.sdk.documented_calls import NOTHING, Answer, Call

Writer = Callable[[Any, Any, str], str]  # a property, a value of JSON, where it is -> the expression
PACKAGE = "forecourt_generated"
HEAD = """import datetime
from uuid import UUID

from {package} import AuthenticatedClient
from {package}.models import *

client = AuthenticatedClient(base_url="http://localhost", token="")
"""


class DoesNotFit(Exception):
    """The types of the generated client have no place for a value."""


class GeneratedClient:
    """The client of a description, written to a directory, and calls of it."""

    def __init__(self, description: dict[str, Any], directory: Path) -> None:
        config = Config.from_sources(
            ConfigFile(post_hooks=[]), MetaType.NONE, document_source=directory, file_encoding="utf-8", overwrite=True,
            output_path=directory / PACKAGE,
        )  # fmt: skip
        parsed = GeneratorData.from_dict(description, config=config)
        if isinstance(parsed, GeneratorError):
            raise AssertionError(parsed.detail)
        self.problems = [f"{each.header}: {each.detail}" for each in Project(openapi=parsed, config=config).build()]
        self._endpoints = {
            str(endpoint.name): (str(tag), endpoint)
            for tag, collection in parsed.endpoint_collections_by_tag.items()
            for endpoint in collection.endpoints
        }
        self._models = {model.class_info.name: model for model in parsed.models}

    def program(self, calls: Iterable[Call], answers: Iterable[Answer]) -> str:
        lines = [HEAD.format(package=PACKAGE)]
        for number, call in enumerate(calls):
            tag, endpoint = self._endpoints[call.operation]
            module = str(endpoint.name)
            lines.append(f"from {PACKAGE}.api.{tag} import {module} as call_{number}")
            arguments = ", ".join(["client=client", *self._arguments(endpoint, call)])
            lines.append(f"call_{number}.sync_detailed({arguments})  # {call.where}")
        answered: dict[str, str] = {}
        for answer in answers:
            answered.setdefault(self._answered(answer), answer.where)
        lines += [f"{value}  # {where}" for value, where in answered.items()]
        return "\n".join(lines) + "\n"

    def _arguments(self, endpoint: Any, call: Call) -> Iterable[str]:
        places = ((endpoint.path_parameters, call.in_path), (endpoint.query_parameters, call.in_query))
        for parameters, values in places:
            named = _by_name(parameters)
            for name, value in values.items():
                yield f"{named[name].python_name}={self._expression(named[name], value, f'{call.where}.{name}')}"
        if call.body is not NOTHING:
            yield f"body={self._expression(endpoint.bodies[0].prop, call.body, call.where)}"

    def _answered(self, answer: Answer) -> str:
        _, endpoint = self._endpoints[answer.operation]
        for response in endpoint.responses:
            if response.status_code.pattern == answer.status:
                return self._expression(response.prop, answer.body, answer.where)
        raise DoesNotFit(answer.where)

    def _expression(self, prop: Any, value: Any, where: str) -> str:
        """How a program writes a value of JSON as what a property of the client takes."""
        for kind, write in self._writers().items():
            if isinstance(prop, kind):
                return write(prop, value, where)
        raise DoesNotFit(f"{where}: {type(prop).__name__}")

    def _writers(self) -> dict[type, Writer]:
        return {
            UnionProperty: self._of_union,
            ModelProperty: self._of_model,
            ListProperty: self._of_list,
            EnumProperty: self._of_choice,
            DateTimeProperty: _of_text("datetime.datetime.fromisoformat({!r})"),
            DateProperty: _of_text("datetime.date.fromisoformat({!r})"),
            UuidProperty: _of_text("UUID({!r})"),
            StringProperty: _of_text("{!r}"),
            IntProperty: _plain(lambda value: isinstance(value, int) and not isinstance(value, bool)),
            FloatProperty: _plain(lambda value: isinstance(value, int | float) and not isinstance(value, bool), float),
            BooleanProperty: _plain(lambda value: isinstance(value, bool)),
            NoneProperty: _plain(lambda value: value is None),
            ConstProperty: _plain(lambda value: True),
            AnyProperty: _plain(lambda value: True),
        }

    def _of_union(self, prop: Any, value: Any, where: str) -> str:
        reasons = []
        for each in prop.inner_properties:
            try:
                return self._expression(each, value, where)
            except DoesNotFit as reason:
                reasons.append(str(reason))
        raise DoesNotFit("; ".join(reasons))

    def _of_list(self, prop: Any, value: Any, where: str) -> str:
        if not isinstance(value, list):
            raise DoesNotFit(f"{where}: {value!r} is no list")
        items = [self._expression(prop.inner_property, each, f"{where}[{index}]") for index, each in enumerate(value)]
        return f"[{', '.join(items)}]"

    def _of_choice(self, prop: Any, value: Any, where: str) -> str:
        for member, each in prop.values.items():
            if each == value:
                return f"{prop.class_info.name}.{member}"
        raise DoesNotFit(f"{where}: {value!r} is none of {prop.class_info.name}")

    def _of_model(self, prop: Any, value: Any, where: str) -> str:
        model = self._models[prop.class_info.name]
        if not isinstance(value, dict):
            raise DoesNotFit(f"{where}: {value!r} is no object")
        needed, known = _by_name(model.required_properties), _by_name(model.optional_properties)
        if missing := sorted(needed.keys() - value.keys()):
            raise DoesNotFit(f"{where}: {prop.class_info.name} lacks {missing}")
        known |= needed
        if not known:
            return f"{prop.class_info.name}.from_dict({value!r})"
        if unknown := value.keys() - known.keys():
            raise DoesNotFit(f"{where}: {prop.class_info.name} has no {sorted(unknown)}")
        written = [
            f"{known[name].python_name}={self._expression(known[name], each, f'{where}.{name}')}"
            for name, each in value.items()
        ]
        return f"{prop.class_info.name}({', '.join(written)})"


def _by_name(properties: Iterable[Any]) -> dict[str, Any]:
    return {each.name.get_untrusted_value(): each for each in properties}


def _of_text(form: str) -> Writer:
    def write(prop: Any, value: Any, where: str) -> str:
        if not isinstance(value, str):
            raise DoesNotFit(f"{where}: {value!r} is no text")
        return form.format(value)

    return write


def _plain(is_one: Callable[[Any], bool], kind: Callable[[Any], Any] = lambda value: value) -> Writer:
    def write(prop: Any, value: Any, where: str) -> str:
        if not is_one(value):
            raise DoesNotFit(f"{where}: {value!r} is no {type(prop).__name__.removesuffix('Property')}")
        return repr(kind(value))

    return write
