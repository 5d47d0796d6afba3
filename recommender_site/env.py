"""Typed readers for environment variables; nonsense is refused by the variable's name.

Every variable can also come from a file: ``SECRET_KEY_FILE=/run/secrets/key`` is read when
``SECRET_KEY`` itself is absent, which is how containers hand over secrets. A file ``.env`` beside manage.py, written
like .env.example, fills in what the environment leaves open.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from environs import EnvValidationError, FileAwareEnv, ValidationError

env = FileAwareEnv()
env.read_env(Path(__file__).resolve().parent.parent / ".env", recurse=False)

REDIS_SCHEMES = ("redis", "rediss", "unix")
BROKER_SCHEMES = ("redis", "rediss", "redis+socket", "amqp", "amqps")


def one_of_schemes(*schemes: str) -> Callable[[str], None]:
    """A validator for URLs, so that a mistyped server address stops the start, not the first request."""

    def validate(url: str) -> None:
        if urlsplit(url).scheme not in schemes:
            raise ValidationError(f"must start with one of {', '.join(f'{scheme}://' for scheme in schemes)}")

    return validate


def between(low: float, high: float) -> Callable[[float], None]:
    """A validator for numbers: ``low <= value <= high``."""

    def validate(value: float) -> None:
        if not low <= value <= high:
            raise ValidationError(f"must be between {low} and {high}")

    return validate


def one_of(*choices: str) -> Callable[[str], None]:
    def validate(value: str) -> None:
        if value not in choices:
            raise ValidationError(f"must be one of {', '.join(choices)}")

    return validate


def at_least_characters(length: int) -> Callable[[str], None]:
    def validate(value: str) -> None:
        if len(value) < length:
            raise ValidationError(f"must have at least {length} characters")

    return validate


def integer(name: str, default: int, low: int, high: int) -> int:
    return env.int(name, default, validate=between(low, high))


def number(name: str, default: float, low: float, high: float) -> float:
    return env.float(name, default, validate=between(low, high))


def database(name: str) -> dict[str, Any]:
    """A Django database from one URL; only PostgreSQL, because vectors live there."""
    config = dict(env.dj_db_url(name))
    if "postgresql" not in str(config["ENGINE"]):
        message = "must start with postgres://"
        raise EnvValidationError(f'Environment variable "{name}" invalid: {message}', [message])
    return config


def exchange_rates(name: str) -> dict[str, float]:
    """``EUR:0.86,USD:0.79`` -> what one unit of each currency is worth in the market's own."""
    return env.dict(name, {}, subcast_keys=str, subcast_values=float, delimiter=",", key_value_delimiter=":")
