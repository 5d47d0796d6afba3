"""Refusals of this app, in words fit to show a person."""


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
