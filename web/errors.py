"""One shape for every error of the API, made in one place.

    {"error": {"code": "invalid", "message": "min_year: A valid integer is required.",
               "fields": {"min_year": ["A valid integer is required."]}}}

``code`` is for programs and stays the same, ``message`` is for people, in the language of the request, and ``fields``
says what was wrong with which part of the question, by its path (``events[3].listing_id``); it is empty when the fault
is not in a field.

REST framework's exceptions come through ``exception_handler``; what happens outside of its views (no such path, a
forged host name, a crash) through the ``handler…`` views, which urls.py names.
"""

import logging
import sys
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from web.parsers import PayloadTooLarge
from web.paths import is_api_path

logger = logging.getLogger(__name__)

OUTAGES = (OperationalError, InterfaceError, RedisError, BrokerError)
RETRY_AFTER_SECONDS = 5
# Two ways in, so two challenges: REST framework by itself would name the first one only.
CHALLENGES = 'Bearer realm="api", Api-Key realm="api"'
CODES = {
    400: "invalid",
    401: "not_authenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "throttled",
    500: "error",
    503: "unavailable",
}
MESSAGES = {
    400: _("The request could not be understood."),
    403: _("You may not do this."),
    404: _("There is nothing here."),
    500: _("Something went wrong on our side; it has been noted."),
    503: _("A service this needs does not answer. Nothing was changed; please try again in a few seconds."),
}

NULL_IN_REST_FRAMEWORK = "No data provided"  # its only sentence that it does not translate
MESSAGE_OF_NULL = _("The body has to be a JSON object, and it is null.")


def error_body(status: int, message: Promise | str = "", fields: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """The one shape. Without a message it says what the status generally means."""
    code = CODES.get(status, "error")
    return {"error": {"code": code, "message": str(message or MESSAGES.get(status, code)), "fields": fields or {}}}


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """What a REST framework view answers when it raised; None lets a crash be a crash (and ``handler500`` answer)."""
    if isinstance(error, OUTAGES) and not is_refused_value(error):
        return _unavailable(error)
    problem = _as_api_exception(error)
    if problem is None:
        return _unavailable(error) if is_outage(error) else None
    set_rollback()
    body = _body_of(problem)
    return Response(body, status=problem.status_code, headers=_headers_of(problem))


def _unavailable(error: Exception) -> Response:
    logger.error("a server does not answer: %s", error)
    set_rollback()
    return Response(error_body(503), status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, Http404):
        return exceptions.NotFound(_words_of(error) or MESSAGES[404])
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied(str(error) or MESSAGES[403])
    if isinstance(error, RequestDataTooBig):
        return PayloadTooLarge()
    if isinstance(error, SuspiciousOperation):
        return exceptions.ParseError(MESSAGES[400])
    if is_refused_value(error):
        logger.error("a value that the database does not take: %s", error, exc_info=error)
        return exceptions.ParseError(MESSAGES[400])
    return None


def is_refused_value(error: BaseException | None) -> bool:
    """Whether the database did not take a value it was given: of no use to it (22…), or beyond its limits (54…).

    Checks of fields refuse such values by name; this is for what they let pass. Psycopg calls the second kind an
    operational error, as if the server were away.
    """
    state = getattr(getattr(error, "__cause__", None), "sqlstate", None) or ""
    return isinstance(error, DataError) or state.startswith(("22", "54"))


def is_outage(error: BaseException | None) -> bool:
    """Whether a server that is away is behind an error, by itself or as what another error was raised for.

    Django puts others in its place: a session that cannot be saved is called interrupted (a 400), and a query after a
    lost connection is called a broken transaction.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OUTAGES):
            return not is_refused_value(error)
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _words_of(error: Http404) -> str:
    """What a view said; Django's own "No Listing matches the given query." speaks of tables, not of things."""
    words = str(error)
    return "" if words.endswith("matches the given query.") else words


def _body_of(problem: exceptions.APIException) -> dict[str, Any]:
    """Field errors are flattened to paths, and the first of them is the message."""
    if not isinstance(problem, exceptions.ValidationError):
        return error_body(problem.status_code, _plain_message(problem.detail))
    fields: dict[str, list[str]] = {}
    for path, reason in flattened(problem.detail):
        fields.setdefault(path, []).append(reason)
    general = fields.pop(api_settings.NON_FIELD_ERRORS_KEY, []) + fields.pop("", [])
    message = general[0] if general else ""
    if not message and fields:
        path, reasons = next(iter(fields.items()))
        message = f"{path}: {reasons[0]}"
    return error_body(problem.status_code, message, fields)


def _plain_message(detail: Any) -> str:
    """Tokens that are not accepted come with a dictionary about why; its ``detail`` is the sentence."""
    if isinstance(detail, dict):
        return str(detail.get("detail", ""))
    return " ".join(map(str, detail)) if isinstance(detail, list) else str(detail)


def flattened(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """``{"a": [{"b": ["wrong"]}]}`` → ``("a[0].b", "wrong")``; empty branches (faultless rows) vanish."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            if isinstance(name, int):
                yield from flattened(inner, f"{path}[{name}]")
            elif path and name == api_settings.NON_FIELD_ERRORS_KEY:  # of the whole branch
                yield from flattened(inner, path)
            else:
                yield from flattened(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            is_branch = isinstance(inner, dict | list | tuple)
            yield from flattened(inner, f"{path}[{index}]" if is_branch else path)
    else:
        yield path, str(MESSAGE_OF_NULL if detail == NULL_IN_REST_FRAMEWORK else detail)


def _headers_of(problem: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if problem.status_code == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = CHALLENGES
    if wait := getattr(problem, "wait", None):
        headers["Retry-After"] = str(max(1, round(wait)))
    return headers


def is_api_request(request: HttpRequest) -> bool:
    return is_api_path(request.path)


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_outage(exception):
        return _page_of_crash(request, HTTPStatus.SERVICE_UNAVAILABLE)
    if not is_api_request(request):
        return error_page(400)
    status = 413 if isinstance(exception, RequestDataTooBig) else 400
    return JsonResponse(error_body(status, MESSAGES[400] if status == 400 else ""), status=status)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_api_request(request):
        return error_page(403)
    return JsonResponse(error_body(403), status=403)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not is_api_request(request):
        return error_page(404)
    return JsonResponse(error_body(404), status=404)


def handler500(request: HttpRequest) -> HttpResponse:
    """A crash; or what is noticed outside of the API's own views (in a session, on a page of the admin): a server that
    is down, or a value that the database does not take."""
    error = sys.exc_info()[1]
    return _page_of_crash(request, 400 if is_refused_value(error) else 503 if is_outage(error) else 500)


def error_page(status: int) -> HttpResponse:
    """What people read: what is so, and where to go on. Nothing of the request or session is looked at again."""
    try:
        stylesheet = static("forecourt/home.css")
    except ValueError:  # static files were not collected; that may be what went wrong
        stylesheet = ""
    page = render_to_string("error.html", {"message": MESSAGES[status], "stylesheet": stylesheet})
    return HttpResponse(page, status=status)


def _page_of_crash(request: HttpRequest, status: int) -> HttpResponse:
    response = JsonResponse(error_body(status), status=status) if is_api_request(request) else error_page(status)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response
