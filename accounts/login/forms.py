"""The forms that take a password."""

import struct
from collections.abc import Callable
from typing import Any

from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm, ReauthenticateWebAuthnForm
from cryptography.exceptions import InvalidSignature
from django.contrib.auth.forms import AuthenticationForm as PlainAuthenticationForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from unfold.forms import AdminOwnPasswordChangeForm
from unfold.forms import AuthenticationForm as AdminAuthenticationForm

from accounts.exceptions import TooManyTries
from accounts.login.attempts import account_name, begin, looked_at
from accounts.login.backends import refusal_of
from accounts.models import FailedLogins, User
from console.auditing import record
from web.addresses import address_of


class SaysWhenClosed:
    """A login form that says so when nothing was looked at."""

    request: Any

    def get_invalid_login_error(self) -> ValidationError:
        if refusal := refusal_of(self.request):
            return ValidationError(str(refusal), code="closed")
        usual: ValidationError = super().get_invalid_login_error()  # type: ignore[misc]
        return usual


class ConsoleLoginForm(SaysWhenClosed, AdminAuthenticationForm):
    """For staff."""


class SessionLoginForm(SaysWhenClosed, PlainAuthenticationForm):
    """For everybody, in the browsable API."""


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """A new password of one's own, and its entry in the audit log. The old one is counted as at a login."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        self.request = request
        super().__init__(*args, **kwargs)

    def clean_old_password(self) -> str:
        given = self.cleaned_data["old_password"]
        address = address_of(self.request.META)
        try:
            looked_at(FailedLogins.Kind.ACCOUNT, self.user, address, lambda: self.user.check_password(given))
        except TooManyTries as refusal:
            raise ValidationError(str(refusal), code="closed") from None
        return str(super().clean_old_password())

    @transaction.atomic
    def save(self, commit: bool = True) -> Any:
        user = super().save(commit)
        record(by=user, action="changed", target=user, note="A new password, by themselves.")
        return user


class CountsCodes:
    """A form that takes a code of a second factor, each try of which is counted as passwords are."""

    user: User

    def clean_code(self) -> str:
        account, address = account_name(self.user.email), address_of(context.request.META)
        try:
            attempt = begin(FailedLogins.Kind.CODE, account, address)
        except TooManyTries as refusal:
            raise ValidationError(str(refusal), code="closed") from None
        try:
            code: str = super().clean_code()  # type: ignore[misc]
        except ValidationError:
            attempt.end(is_right=False)
            raise
        attempt.end(is_right=True)
        return code


class CodeForm(CountsCodes, AuthenticateForm):
    """At a login."""


class CodeOnceMoreForm(CountsCodes, ReauthenticateForm):
    """Before something about the account changes."""


class FirstCodeForm(CountsCodes, ActivateTOTPForm):
    """When an app is set up."""


class RefusesNonsense:
    """A form that takes what a security key answers, of which fido2 believes that a browser made it."""

    def clean(self) -> Any:
        return _refusing(super().clean)  # type: ignore[misc]


class TakesAnswers(RefusesNonsense):
    def clean_credential(self) -> Any:
        return _refusing(super().clean_credential)  # type: ignore[misc]


def _refusing(clean: Callable[[], Any]) -> Any:
    try:
        return clean()
    except ValidationError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, struct.error, InvalidSignature):
        raise ValidationError("This security key does not fit.", code="nonsense") from None


class KeyForm(TakesAnswers, AuthenticateWebAuthnForm):
    """At a login."""


class KeyOnceMoreForm(TakesAnswers, ReauthenticateWebAuthnForm):
    """Before something about the account changes."""


class NewKeyForm(RefusesNonsense, AddWebAuthnForm):
    """When a key is set up."""
