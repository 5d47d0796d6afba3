"""The doors that take a password in a browser, and the way from a right password to a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from http import HTTPStatus
from typing import Any

from allauth.account.utils import perform_login
from django.contrib.auth import logout
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, URLResolver
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts.login.backends import refusal_of


class PasswordLoginView(LoginView):
    """Django's, with 429 and ``Retry-After`` when nothing was looked at, and second factors after the password."""

    def form_valid(self, form: Any) -> HttpResponse:
        if self.request.user.is_authenticated:
            logout(self.request)  # what an earlier login has shown is not this one's
        answer: HttpResponse = perform_login(self.request, form.get_user(), redirect_url=self.get_success_url())
        return answer

    def form_invalid(self, form: Any) -> HttpResponse:
        response = super().form_invalid(form)
        if refusal := refusal_of(self.request):
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
            response.headers["Retry-After"] = str(refusal.seconds)
        return response


def to_login(request: HttpRequest) -> HttpResponse:
    """Where django-allauth sends those who have to log in (again)."""
    return redirect("admin:login")


@require_POST
def give_up(request: HttpRequest) -> HttpResponse:
    """Leave a login between its steps."""
    logout(request)
    return redirect("admin:login")


Patterns = list[URLPattern | URLResolver]


def hidden_unless(is_on: Callable[[], bool], patterns: Patterns) -> Patterns:
    """The same patterns, which exist while a setting says so; it is asked at each request."""
    return list(_hidden_unless(is_on, patterns))


def _hidden_unless(is_on: Callable[[], bool], patterns: Patterns) -> Iterator[URLPattern | URLResolver]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield URLResolver(pattern.pattern, hidden_unless(is_on, pattern.url_patterns), pattern.default_kwargs)
        else:
            view = _view_unless_hidden(is_on, pattern.callback)
            yield URLPattern(pattern.pattern, view, pattern.default_args, pattern.name)


def _view_unless_hidden(is_on: Callable[[], bool], view: Callable[..., HttpResponseBase]) -> Any:
    @never_cache  # they show codes and secrets
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not is_on():
            raise Http404
        return view(request, *args, **kwargs)

    return wrapped
