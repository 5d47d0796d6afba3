"""Answers of the API in fewer bytes: compressed where the caller reads that, and not at all where it has them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import get_conditional_response

from web.paths import is_api_path

OK = 200


class CompressedAnswersMiddleware(GZipMiddleware):
    """gzip for the API alone: its callers name themselves by header, so that no other site can have answers made for
    them and read secrets from their lengths, as it could with pages that go by cookie."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return super().process_response(request, response) if is_api_path(request.path) else response


class RevalidatedAnswersMiddleware:
    """A 304 in place of a body that the caller has, on routes whose view says ``is_revalidated``.

    The answer is made all the same, since a look at a car is an event, and its tag is a digest of the body: it changes
    with anything that the body shows. That no cache may store the answer remains; it is for clients that keep it
    themselves.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.method not in ("GET", "HEAD") or response.status_code != OK or not is_revalidated(request):
            return response
        etag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
        response.headers["ETag"] = etag
        return get_conditional_response(request, etag=etag, response=response) or response


def is_revalidated(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and getattr(getattr(match.func, "cls", None), "is_revalidated", False)
