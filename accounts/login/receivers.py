"""Second factors and single sign-on in the audit log."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added, authenticator_removed, authenticator_reset
from allauth.socialaccount.signals import social_account_added
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.models import User
from console.auditing import record


@receiver(authenticator_added)
def note_added(request: HttpRequest, user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    """To set a factor up is to show it, so this session need not ask for it again."""
    record(by=user, action="changed", target=user, note=f"A second factor was set up: {name_of(authenticator)}.")
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)


@receiver([authenticator_removed, authenticator_reset])
def note_removed(user: User, authenticator: Authenticator, **kwargs: Any) -> None:
    record(by=user, action="changed", target=user, note=f"A second factor was removed: {name_of(authenticator)}.")


@receiver(social_account_added)
def note_connected(sociallogin: Any, **kwargs: Any) -> None:
    user = sociallogin.user
    record(by=user, action="changed", target=user, note=f"Single sign-on was connected: {sociallogin.account.uid}.")


def name_of(authenticator: Authenticator) -> str:
    return str(authenticator.get_type_display()).lower()
