"""Client of Forecourt, a self-hosted recommender for marketplaces of used cars."""

from forecourt import types
from forecourt.aio import AsyncClient
from forecourt.client import Client
from forecourt.core import VERSION, Retries
from forecourt.errors import (
    ApiError,
    Conflict,
    Forbidden,
    ForecourtError,
    Invalid,
    NoAnswer,
    NotAuthenticated,
    NotFound,
    Throttled,
    TooLarge,
    Unavailable,
)
from forecourt.queues import QueueOptions, Refused
from forecourt.webhooks import WebhookEvent, WebhookRefused, verify

__version__ = VERSION
__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "Conflict",
    "Forbidden",
    "ForecourtError",
    "Invalid",
    "NoAnswer",
    "NotAuthenticated",
    "NotFound",
    "QueueOptions",
    "Refused",
    "Retries",
    "Throttled",
    "TooLarge",
    "Unavailable",
    "WebhookEvent",
    "WebhookRefused",
    "types",
    "verify",
]
