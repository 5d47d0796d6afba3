"""Secrets that have to be read again (a supplier's password), encrypted with the site's key before they are stored."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from functools import cache
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings


def seal(text: str) -> bytes:
    """The text, encrypted; nothing for nothing."""
    return _cipher(settings.SECRET_KEY).encrypt(text.encode()) if text else b""


def unseal(sealed: bytes | memoryview | None) -> str:
    """The text again; '' where there is none, or where the site's key is another by now."""
    try:
        return _cipher(settings.SECRET_KEY).decrypt(bytes(sealed or b"")).decode() if sealed else ""
    except InvalidToken:
        return ""


@cache
def _cipher(key: str) -> Fernet:
    return Fernet(urlsafe_b64encode(sha256(f"stored secrets {key}".encode()).digest()))
