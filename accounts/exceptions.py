"""Refusals of this app, in words fit to show a person."""

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _


class AccountsError(Exception):
    """Something was asked that we refuse, and the message says why."""


class MergeRefused(AccountsError):
    """These two buyers cannot become one."""


class UnknownScope(AccountsError):
    """An API key was asked for with no scope, or with one that does not exist."""


class TokenRefused(AccountsError):
    """A refresh token that was spent, revoked or ended with its login."""


class EraseRefused(AccountsError):
    """An operator's account, which its owner cannot erase."""


class TooManyTries(PermissionDenied):
    """Passwords or codes were tried too often; ``seconds`` until the next may be. Django asks no other backend then."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(1, round(seconds))
        minutes = -(-self.seconds // 60)
        if minutes == 1:
            super().__init__(_("Too many attempts to log in. Try again in a minute."))
        else:
            super().__init__(_("Too many attempts to log in. Try again in %(n)s minutes.") % {"n": minutes})
