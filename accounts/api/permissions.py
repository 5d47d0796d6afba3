"""Who may. The one place that decides: every view of the API names one of these classes, or allows everyone by name.

A view that lets client systems in states with which scope: ``required_scope``. The routes of the earlier systems, whose
clients may have no key, state the setting that closes them: ``key_setting``. tests/recommender_site/test_closed.py
walks every route with every kind of credential.
"""

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.authentication import VisitorKey
from accounts.models import ApiKey, User


def is_client_system(request: Request) -> bool:
    return isinstance(request.auth, ApiKey)


def has_scope(request: Request, scope: str) -> bool:
    """Whether the caller is a client system whose key opens this much."""
    return isinstance(request.auth, ApiKey) and request.auth.allows(scope)


class IsUser(BasePermission):
    """A user who logged in."""

    message = _("This is for users who logged in.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, User)


class HasScope(BasePermission):
    """A client system whose key has the scope that the view requires."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        self.message = _("This needs an API key with the scope “%(scope)s”.") % {"scope": view.required_scope}  # type: ignore[attr-defined]
        return has_scope(request, view.required_scope)  # type: ignore[attr-defined]


def is_open(key_setting: str) -> bool:
    """Whether routes that a setting can close need no key now: as the setting says, else in demo mode only."""
    needs_key: bool | None = getattr(settings, key_setting)
    return settings.DEMO_MODE if needs_key is None else not needs_key


class IsOpenOrHasScope(HasScope):
    """Everyone where the view's ``key_setting`` or demo mode opens it; otherwise client systems with the scope."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return is_open(view.key_setting) or super().has_permission(request, view)  # type: ignore[attr-defined]


class IsBuyer(BasePermission):
    """A buyer with a preference of their own: a user, or a guest with a visitor key."""

    message = _("This is for users and guests.")

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, User) or _is_guest(request)


class IsBuyerOrHasScope(HasScope):
    """A user or a guest for themselves, or a client system for the buyers it names."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return IsBuyer().has_permission(request, view) or super().has_permission(request, view)


class IsUserOrHasScope(HasScope):
    """A user about their own account, or a client system about the buyers it names; a visitor key is no account."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, User) or super().has_permission(request, view)


def _is_guest(request: Request) -> bool:
    return isinstance(request.auth, VisitorKey) and isinstance(request.user, AnonymousUser)
