"""Typed readers for environment variables; nonsense is refused by the variable's name.

Every variable can also come from a file, which is how containers hand over secrets: ``SECRET_KEY_FILE`` names the
file that holds ``SECRET_KEY``. A file ``.env`` beside manage.py, written like .env.example, fills in what the
environment leaves open.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import available_timezones

import dj_database_url
from environs import EnvValidationError, FileAwareEnv, ValidationError

env = FileAwareEnv(strip_whitespace=True)  # files end with a newline, secrets do not
env.read_env(Path(__file__).resolve().parent.parent / ".env", recurse=False)

REDIS_SCHEMES = ("redis", "rediss", "unix")
EMAIL_SCHEMES = ("submission", "smtp", "console", "file")
CLUSTER_SCHEMES = ("tcp", "tls")
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


def like(pattern: str, example: str) -> Callable[[str], None]:
    """A validator for short codes of a fixed form."""

    def validate(value: str) -> None:
        if not re.fullmatch(pattern, value):
            raise ValidationError(f"must look like {example}")

    return validate


a_rate = like(r"[1-9]\d*/(s|sec|second|m|min|minute|h|hour|d|day)", "600/min")
a_currency = like(r"[A-Z]{3}", "GBP")
a_prefix = like(r"[\w-]+", "forecourt")


def at_least_characters(length: int) -> Callable[[str], None]:
    def validate(value: str) -> None:
        if len(value) < length:
            raise ValidationError(f"must have at least {length} characters")

    return validate


def empty_or_long(length: int) -> Callable[[str], None]:
    """A validator for secrets that may be left out."""

    def validate(value: str) -> None:
        if value and len(value) < length:
            raise ValidationError(f"must have at least {length} characters, or be empty")

    return validate


def origins(name: str) -> list[str]:
    """``https://a.example,https://b.example:8443``, as browsers name the origin of a page; or ``*`` for any."""
    found: list[str] = env.list(name, [])
    for origin in found:
        if origin != "*" and not re.fullmatch(r"https?://[a-z0-9.\-\[\]:]+", origin):
            raise _invalid(name, f"“{origin}” must look like https://www.example.com, in small letters, or be *")
    return found


def a_cluster(address: str) -> None:
    """``local``, the address of a Dask scheduler, or nothing."""
    parts = urlsplit(address)
    try:
        is_complete = bool(parts.scheme in CLUSTER_SCHEMES and parts.hostname and parts.port) and not parts.path
    except ValueError:  # of a port that is none
        is_complete = False
    if address not in ("", "local") and not is_complete:
        raise ValidationError("must be empty, local, or look like tcp://scheduler:8786 or tls://scheduler:8786")


def a_time_zone(zone: str) -> None:
    if zone not in available_timezones():
        raise ValidationError("must be a time zone, as in Europe/London")


def hours(name: str) -> tuple[int, int]:
    """``22-7``: from 22:00 until 7:00; nothing for no hours, which is (0, 0)."""
    text = env.str(name, "").replace(" ", "")
    if not text:
        return 0, 0
    begin, _, end = text.partition("-")
    if not (begin.isdecimal() and end.isdecimal() and int(begin) <= 23 and int(end) <= 23):
        raise _invalid(name, "must be two hours, as in 22-7")
    return int(begin), int(end)


def optional_url(name: str) -> str:
    """An address of the web, or nothing."""
    url: str = env.str(name, "")
    if url and not (urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname):
        raise _invalid(name, "must look like https://login.example.com/realms/cars")
    return url


def email(name: str) -> dict[str, Any]:
    """``submission://user:password@host:587`` -> Django's settings for e-mail; nothing when none is to be sent."""
    if not (url := env.str(name, "")):
        return {}
    if urlsplit(url).scheme not in EMAIL_SCHEMES:
        raise _invalid(name, f"must start with one of {', '.join(f'{scheme}://' for scheme in EMAIL_SCHEMES)}")
    return dict(env.dj_email_url(name))


def integer(name: str, default: int, low: int, high: int) -> int:
    return env.int(name, default, validate=between(low, high))


def days_kept(name: str, default: int, least: int) -> int:
    """For how many days rows are kept: 0 for ever, otherwise at least as long as what reads them needs."""
    days: int = env.int(name, default)
    if days and not least <= days <= 36_500:
        raise _invalid(name, f"must be 0 (for ever), or between {least} and 36500")
    return days


def number(name: str, default: float, low: float, high: float) -> float:
    return env.float(name, default, validate=between(low, high))


def database(name: str, password_name: str) -> dict[str, Any]:
    """A Django database from one URL; only PostgreSQL, because vectors live there.

    The password may come apart, so that only it has to be kept in a secret file.
    """
    return _completed(name, dict(env.dj_db_url(name)), env.str(password_name, ""))


def databases(name: str, password_name: str) -> list[dict[str, Any]]:
    """The same of several URLs with commas between them; one without a password has that of ``password_name``."""
    password = env.str(password_name, "")
    found = []
    for url in filter(None, (text.strip() for text in env.str(name, "").split(","))):
        try:
            config = dict(dj_database_url.parse(url))
        except ValueError:  # whose message has the URL in it
            raise _invalid(name, "must be addresses like postgres://user@host/forecourt") from None
        found.append(_completed(name, config, "" if config.get("PASSWORD") else password))
    return found


def _completed(name: str, config: dict[str, Any], password: str) -> dict[str, Any]:
    if "postgresql" not in str(config["ENGINE"]):
        raise _invalid(name, "must start with postgres://")
    if not config["NAME"]:
        raise _invalid(name, "must end with the name of the database, as in postgres://user@host/forecourt")
    return {**config, "PASSWORD": password} if password else config


def secrets_among(*values: object) -> list[str]:
    """Values that are secret, and the passwords of the addresses among them."""
    texts = [str(value) for value in values if value]
    passwords = [urlsplit(text).password or "" for text in texts if "://" in text]
    return [text for text in texts if "://" not in text] + [
        word for each in passwords for word in (each, unquote(each))
    ]


def exchange_rates(name: str) -> dict[str, float]:
    """``EUR:0.86,USD:0.79`` -> what one unit of each currency is worth in the market's own."""
    text = env.str(name, "")
    if not re.fullmatch(r"([A-Z]{3}:(?=[\d.]*[1-9])\d*\.?\d+(,(?!$)|$))*", text):
        raise _invalid(name, "must look like EUR:0.86,USD:0.79")
    pairs = (pair.split(":") for pair in text.split(",") if pair)
    return {currency: float(rate) for currency, rate in pairs}


def _invalid(name: str, message: str) -> EnvValidationError:
    return EnvValidationError(f'Environment variable "{name}" invalid: {message}', [message])
