"""Time limits and retry lists that tasks share."""

from django.db import InterfaceError, OperationalError

# A database that restarts is back within seconds; anything else is a mistake that retrying would repeat.
PASSING_FAULTS = (OperationalError, InterfaceError)

RETRY = {"autoretry_for": PASSING_FAULTS, "retry_backoff": 1, "retry_backoff_max": 60, "max_retries": 8}

SHORT = {"soft_time_limit": 30, "time_limit": 45}  # seconds; one buyer or one batch of listings
LONG = {"soft_time_limit": 6600, "time_limit": 6900}  # below the broker's visibility timeout of 7200
