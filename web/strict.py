"""Parameters and fields that a route does not know are refused by name, with the nearest known one.

Left alone, a misspelt filter would be no filter, and the caller would not notice. For the routes of ``/api/v1``; the
routes of earlier systems ignore what they do not know, as those systems did.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar

from django.http import QueryDict
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.views import APIView

PROBLEMS_NAMED = 20
LETTERS_COMPARED = 80  # of a name; comparing long ones takes long

Parameters = Sequence[type[serializers.Serializer[Any]] | OpenApiParameter]


def unknown_names(names: Iterable[str], known: Collection[str]) -> dict[str, list[str]]:
    """What is wrong with the names that are not known, by name."""
    unknown = [str(name) for name in names if name not in known][:PROBLEMS_NAMED]
    return {name: [_reason(name, known)] for name in unknown}


def _reason(name: str, known: Collection[str]) -> str:
    nearest = get_close_matches(name[:LETTERS_COMPARED], sorted(known), n=1, cutoff=0)
    if not nearest:
        return _("Unknown; nothing is expected here.")
    return _("Unknown; the nearest known one is “%(name)s”.") % {"name": nearest[0]}


class KnownFieldsSerializer(serializers.Serializer[Any]):
    """A body, or a part of one, that holds nothing but its fields; ``also_known`` are other names for some of them."""

    also_known: ClassVar[Mapping[str, str]] = {}

    def to_internal_value(self, data: Any) -> Any:
        """A query string is left alone: a view may read it by several serializers, so ``StrictView`` checks it."""
        if not isinstance(data, Mapping) or isinstance(data, QueryDict):
            return super().to_internal_value(data)
        unknown = unknown_names(data, {*self.fields, *self.also_known})
        try:
            value = super().to_internal_value(data)
        except ValidationError as refusal:
            if not unknown or not isinstance(refusal.detail, dict):
                raise
            raise ValidationError({**refusal.detail, **unknown}) from None
        if unknown:
            raise ValidationError(unknown)
        return value


class StrictView(APIView):
    """A view that refuses what it does not know.

    Attributes:
        parameters: Method -> what its query string may hold, as its description has it; nothing for other methods.
        without_body: Methods that take no body.
        is_revalidated: Whether what GET answers is the same until something changes, so that a caller who has it need
            not be sent it again.
    """

    parameters: ClassVar[Mapping[str, Parameters]] = {}
    without_body: ClassVar[Collection[str]] = ()
    is_revalidated: ClassVar[bool] = False

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method = (request.method or "").lower().replace("head", "get")
        if method == "options" or not hasattr(self, method):  # answered by what every view says of its methods
            return
        refuse_unknown_parameters(request, self.parameters.get(method, ()))
        if method in self.without_body and isinstance(request.data, dict) and request.data:
            raise ValidationError(unknown_names(request.data, ()))


def refuse_unknown_parameters(request: Request, parameters: Parameters) -> None:
    known = [name for parameter in parameters for name in _names_of(parameter)]
    of_renderers = {api_settings.URL_FORMAT_OVERRIDE}
    if unknown := unknown_names((name for name in request.query_params if name not in of_renderers), known):
        raise ValidationError(unknown)


def _names_of(parameter: type[serializers.Serializer[Any]] | OpenApiParameter) -> list[str]:
    if isinstance(parameter, OpenApiParameter):
        return [parameter.name] if parameter.location == OpenApiParameter.QUERY else []
    return field_names(parameter)


def checked(serializer: type[serializers.Serializer[Any]], data: Any) -> Any:
    """The validated data of a question; raises what ``is_valid(raise_exception=True)`` raises.

    For serializers whose fields are the same for every request: one is made for all of a language, because to copy
    forty fields costs more than to check them. Each language has its own, as REST framework keeps the message of a
    bound in the language of its first use.
    """
    return _checker(serializer, get_language()).run_validation(data)


@cache
def _checker(serializer: type[serializers.Serializer[Any]], _language: str | None) -> serializers.Serializer[Any]:
    return serializer()


@cache
def field_names(serializer: type[serializers.Serializer[Any]]) -> list[str]:
    """Once for each class: to make one copies every field."""
    return list(serializer().fields)
