"""Checking web addresses that people and client systems send, by what the registry of attributes says of them."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from catalog.attributes import Addresses, is_web_address

NO_ADDRESS = _("“%(address)s” is no web address.")
TOO_LONG = _("“%(address)s…” has more than %(number)d characters.")
TOO_MANY = _("At most %(number)d are kept.")
LETTERS_SHOWN = 80


def check_address(address: str, max_length: int) -> None:
    """Raises ValidationError for what is no address of the web, or too long a one."""
    shown = address[:LETTERS_SHOWN]
    if len(address) > max_length:
        raise ValidationError(TOO_LONG, params={"address": shown, "number": max_length})
    if not is_web_address(address):
        raise ValidationError(NO_ADDRESS, params={"address": shown})


def checked_addresses(attribute: Addresses, addresses: Iterable[str]) -> list[str]:
    """The addresses, each once, in their order. Raises ValidationError."""
    found = list(dict.fromkeys(address for address in (each.strip() for each in addresses) if address))
    for address in found:
        check_address(address, attribute.max_length)
    check_number(attribute, found)
    return found


def check_number(attribute: Addresses, addresses: list[str]) -> None:
    """Raises ValidationError for more than are kept."""
    if len(addresses) > attribute.at_most:
        raise ValidationError(TOO_MANY, params={"number": attribute.at_most})
