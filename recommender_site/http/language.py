"""Which language an answer of the API, or a page of the shop, is in: the best that ``Accept-Language`` asks for, of
those that there are.

Pages of the admin stay in ``LANGUAGE_CODE``: their texts are not translated, and half of a page would be. So do the
description of the API and its pages, which are the same for everyone.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.translation.trans_real import parse_accept_lang_header

from recommender_site.http.security import SAME_FOR_EVERYONE
from web.paths import is_api_path

ACCEPT_LANGUAGE = "Accept-Language"
SHOP = "/shop/"


def language_asked_for(accepted: str) -> str:
    """A code of ``LANGUAGES`` for the value of an Accept-Language header; ``LANGUAGE_CODE`` where it names none.

    ``de-AT`` is answered in ``de``. Unlike Django's ``LocaleMiddleware`` no cookie counts: the caller is a program, and
    a cache between us knows the header alone.
    """
    for code, quality in parse_accept_lang_header(accepted):
        if code == "*":
            break
        if not quality:  # not that one
            continue
        try:
            return translation.get_supported_language_variant(code)
        except LookupError:
            continue
    return settings.LANGUAGE_CODE


def is_in_several_languages(path: str) -> bool:
    """Whether what is at an address is translated: answers of the API, and the shop window."""
    return (is_api_path(path) and not path.startswith(SAME_FOR_EVERYONE)) or path.startswith(SHOP)


class LanguageMiddleware:
    """Answers of the API and pages of the shop in the language that was asked for.

    The thread is given back in the language it had.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_in_several_languages(request.path):
            return self.get_response(request)
        language = language_asked_for(request.headers.get(ACCEPT_LANGUAGE, ""))
        with translation.override(language):
            response = self.get_response(request)
        response.headers.setdefault("Content-Language", language)
        patch_vary_headers(response, (ACCEPT_LANGUAGE,))
        return response
