"""Whether a message that a server of yours received is from Forecourt: signatures of the kind Standard Webhooks.

event = verify(secret=SECRET, headers=request.headers, body=request.body)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from forecourt.errors import ForecourtError

TOLERANCE_SECONDS = 300
PREFIX = "whsec_"


class WebhookEvent(TypedDict):
    """`data` depends on the `type`, such as `listing.sold`; new fields may come, so ignore those you do not know."""

    id: str
    """The same each time the message is sent: keep the ids of those you have worked on."""
    type: str
    timestamp: str
    """When it happened."""
    data: dict[str, Any]


class WebhookRefused(ForecourtError):
    """The message is not one that a holder of the secret sent just now; answer with a 400."""


def verify(
    *,
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes | str,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> WebhookEvent:
    """The message, once one of its signatures fits.

    Args:
        secret: As the admin showed it (`whsec_…`); several while one is replaced.
        headers: Of the request, in any case.
        body: As it came, before anything parses it.
        tolerance_seconds: How far the time of the message may lie from now: an old one was sent again by others.
        now: Seconds since 1970; the clock's without.

    Raises:
        WebhookRefused: If it is not signed with any of the secrets, or too old.
        ValueError: If a secret is none.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp, signatures = (lower.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not (message_id and signatures and timestamp.isascii() and timestamp.isdecimal()):
        raise WebhookRefused("Its headers have no id, time and signature.")
    if abs((time.time() if now is None else now) - int(timestamp)) > tolerance_seconds:
        raise WebhookRefused("It was signed too long ago, or the clocks differ.")
    raw = body.encode() if isinstance(body, str) else body
    signed = f"{message_id}.{timestamp}.".encode() + raw
    if not any(
        hmac.compare_digest(_signature(each, signed), found.encode(errors="replace"))
        for each in ([secret] if isinstance(secret, str) else secret)
        for found in signatures.split()
    ):
        raise WebhookRefused("No signature fits.")
    event: WebhookEvent = json.loads(raw)
    return event


def _signature(secret: str, signed: bytes) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"A secret is {PREFIX} and bytes in base64.") from None
    if not key:  # anyone can sign with it
        raise ValueError("A secret is empty.")
    return b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
