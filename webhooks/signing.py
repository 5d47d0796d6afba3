"""Signatures as the specification Standard Webhooks has them, so that its libraries verify ours.

Signed are the id, the time and the body, joined by dots: neither can be exchanged, and an old message that is sent
again by someone else is known by its time.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes of a secret


class SecretRefused(ValueError):
    """What cannot be a secret; ``str()`` says why."""


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The bytes that sign. Raises SecretRefused."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SecretRefused(f"A secret is {PREFIX} and bytes in base64.") from None
    if not secret.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise SecretRefused(f"A secret is {PREFIX} and {SHORTEST} to {LONGEST} bytes in base64.")
    return key


def signature(*, secret: str, message_id: str, timestamp: int, body: str) -> str:
    """``v1,`` and the HMAC-SHA256 in base64."""
    signed = f"{message_id}.{timestamp}.{body}".encode()
    return "v1," + base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest()).decode()


def signed_headers(*, secrets_in_use: list[str], message_id: str, timestamp: int, body: str) -> dict[str, str]:
    """The headers of one attempt; while a secret is replaced, the header carries a signature by each."""
    signatures = [
        signature(secret=secret, message_id=message_id, timestamp=timestamp, body=body) for secret in secrets_in_use
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
