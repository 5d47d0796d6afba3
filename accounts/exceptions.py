"""Refusals of this app, in words fit to show a person."""

from django.core.exceptions import PermissionDenied


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
        when = "in a minute" if minutes == 1 else f"in {minutes} minutes"
        super().__init__(f"Too many attempts to log in. Try again {when}.")
