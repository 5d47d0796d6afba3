"""Who may. A view that lets client systems in says with which scope: ``required_scope``."""

from django.contrib.auth.models import AnonymousUser
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
    """Somebody who logged in."""

    message = "This is for users who logged in."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, User)


class HasScope(BasePermission):
    """A client system whose key has the scope that the view requires."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        self.message = f"This needs an API key with the scope “{view.required_scope}”."  # type: ignore[attr-defined]
        return has_scope(request, view.required_scope)  # type: ignore[attr-defined]


class IsBuyer(BasePermission):
    """Somebody with a taste of their own: a user, or a guest with a visitor key."""

    message = "This is for users and guests."

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.user, User) or _is_guest(request)


class IsBuyerOrHasScope(HasScope):
    """A user or a guest for themselves, or a client system for the buyers it names."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return IsBuyer().has_permission(request, view) or super().has_permission(request, view)


def _is_guest(request: Request) -> bool:
    return isinstance(request.auth, VisitorKey) and isinstance(request.user, AnonymousUser)
