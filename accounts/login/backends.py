"""The one place that looks at passwords of accounts, whatever door they come through."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.exceptions import TooManyTries
from accounts.login import attempts
from accounts.models import FailedLogins, User
from web.addresses import address_of


class PasswordBackend(ModelBackend):
    """As Django's, but each try is counted by account and address, and beyond the limits none is looked at."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        typed = username if username is not None else kwargs.get(User.USERNAME_FIELD)
        if typed is None or password is None:
            return None
        address = address_of(request.META) if request is not None else ""
        try:
            attempt = attempts.begin(FailedLogins.Kind.ACCOUNT, attempts.account_name(typed), address)
        except TooManyTries as refusal:
            if request is not None:
                request.too_many_tries = refusal  # type: ignore[attr-defined]
            raise
        user = super().authenticate(request, username=attempts.cleaned(typed), password=password)
        attempt.end(is_right=user is not None)
        return user


def refusal_of(request: HttpRequest) -> TooManyTries | None:
    """Why ``authenticate`` looked at nothing, if that is why it found no user."""
    return getattr(request, "too_many_tries", None)
