"""Tokens of people: given at a login, renewed once each, and ended all at once.

Every token carries its family (the login it stems from) and a digest of the password. An access token is good while its
family has not ended and the password is the same; a refresh token in addition while it is the newest of its family.
"""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token
from rest_framework_simplejwt.utils import datetime_from_epoch, get_md5_hash_password

from accounts.exceptions import TokenRefused
from accounts.models import TokenFamily, User

FAMILY = "family"


@transaction.atomic
def log_in(user: User) -> RefreshToken:
    """The refresh token of a new login; its ``access_token`` is of the same family."""
    family_id = uuid.uuid4()
    refresh = _refresh_token(user, family_id)
    TokenFamily.objects.create(id=family_id, user=user, newest_jti=refresh["jti"], expires_at=_end_of(refresh))
    return refresh


def renew(spent: RefreshToken) -> RefreshToken:
    """The successor of a refresh token. Raises TokenRefused, and ends the family of one that was spent before.

    Of many who bring the same token at once, the one whose update finds it the newest gets the successor.
    """
    user = user_of(spent)
    if user is None or FAMILY not in spent:
        raise TokenRefused
    with transaction.atomic():
        successor = _refresh_token(user, _family_of(spent))
        n_renewed = TokenFamily.objects.filter(pk=_family_of(spent), newest_jti=spent["jti"], ended_at=None).update(
            newest_jti=successor["jti"], expires_at=_end_of(successor)
        )
        if not n_renewed:
            transaction.set_rollback(True)
    if not n_renewed:
        end_family(spent)
        raise TokenRefused
    return successor


def end_family(token: Token) -> bool:
    """Log out where this token was given; whether it was logged in until now."""
    return bool(TokenFamily.objects.filter(pk=_family_of(token), ended_at=None).update(ended_at=timezone.now()))


@transaction.atomic
def log_out_everywhere(user: User) -> None:
    """End every session and every token of a user."""
    user.logged_out_at = timezone.now()
    user.save(update_fields=["logged_out_at"])
    TokenFamily.objects.filter(user=user, ended_at=None).update(ended_at=user.logged_out_at)


def user_of(token: Token) -> User | None:
    """Whose token this is; None when it is good no more, or the account is closed. One query."""
    is_logged_in = Exists(TokenFamily.objects.filter(pk=_family_of(token), user=OuterRef("pk"), ended_at=None))
    user_id = str(token.get(api_settings.USER_ID_CLAIM))
    if not user_id.isdecimal() or len(user_id) > 18:
        return None
    user = User.objects.filter(pk=int(user_id), is_active=True).annotate(is_logged_in=is_logged_in).first()
    if user is None or token.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        return None
    if FAMILY in token and not user.is_logged_in:
        return None
    is_older = user.logged_out_at is not None and token.get("iat", 0) < int(user.logged_out_at.timestamp())
    is_without_login = FAMILY not in token and user.logged_out_at is not None
    return None if is_older or is_without_login else user


def _refresh_token(user: User, family_id: uuid.UUID) -> RefreshToken:
    token = RefreshToken.for_user(user)
    token[FAMILY] = str(family_id)
    return token


def _family_of(token: Token) -> uuid.UUID:
    """The id that no family has, for a token without one."""
    try:
        return uuid.UUID(str(token.get(FAMILY)))
    except ValueError:
        return uuid.UUID(int=0)


def _end_of(token: Token) -> datetime:
    return datetime_from_epoch(token["exp"])


def access_token_of(user: User) -> AccessToken:
    """For demo mode: a login without a password, of which the refresh token is not handed out."""
    access: AccessToken = log_in(user).access_token
    return access
