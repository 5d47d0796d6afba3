"""The second factor of staff: whether it is wanted, whether it was shown, and codes that come without a browser."""

from __future__ import annotations

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from accounts.models import User
from console.auditing import record

OFF, OPTIONAL, REQUIRED = "off", "optional", "required"  # values of the setting TWO_FACTOR


def has_factor(user: User) -> bool:
    """Whether a second factor was set up; recovery codes alone are none."""
    factors = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES)
    return bool(factors.exists())


def has_shown_enough(request: HttpRequest) -> bool:
    """Whether this session may be used, as far as second factors go.

    Those who have one must have shown it in this session. Where one is required, single sign-on is accepted too: there
    the provider asks for it.
    """
    if settings.TWO_FACTOR == OFF or not isinstance(request.user, User):
        return True
    methods = {shown["method"] for shown in get_authentication_records(request, request.user)}
    if "mfa" in methods:
        return True
    if has_factor(request.user):
        return False
    return not must_set_one_up(request.user) or "socialaccount" in methods


def must_set_one_up(user: User) -> bool:
    return settings.TWO_FACTOR == REQUIRED and user.is_staff and not has_factor(user)


def is_asked_for_code(user: User) -> bool:
    """Whether a password alone buys this user no token."""
    return settings.TWO_FACTOR != OFF and has_factor(user)


def is_right_code(user: User, code: str) -> bool:
    """Whether a code of the user's app, or one of the recovery codes, is right; either counts once."""
    for factor in Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.WEBAUTHN):
        if factor.wrap().validate_code(code):
            factor.record_usage()
            return True
    return False


@transaction.atomic
def remove_factors(user: User, *, by: User | None) -> int:
    """Take all second factors of a person who lost them; how many there were."""
    n_removed: int
    n_removed, _ = Authenticator.objects.filter(user=user).delete()
    record(by=by, action="changed", target=user, note="Second factors were removed.")
    return n_removed
