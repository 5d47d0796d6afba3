"""Keys that identify a dealer across sources: the name together with the town, telephone, VAT id or domain.

Each source has its own ids of dealers; these keys are common to all. Only dealers have them: a private seller's name
and town are those of many people.
"""

from __future__ import annotations

import re
from functools import lru_cache

from catalog.imports.listing_row import ListingRow
from catalog.imports.names import slug_of
from catalog.imports.vocabulary import PLAIN_WORDS

PREFIX = "="  # no source's name begins with it, so that no number of a source is taken for such a key
KEY_LENGTH = 255
SHORTEST_NAME = 3
PHONE_DIGITS = 9  # the last ones, which are the same with and without a country's prefix

_LEGAL_FORMS, _NO_NAMES = PLAIN_WORDS["legal_forms"], PLAIN_WORDS["no_dealer"]
_PLAIN_DOMAINS = PLAIN_WORDS["shared_domains"]  # where many dealers have a page or a mailbox


def keys_of(row: ListingRow) -> tuple[str, ...]:
    """Return the keys of the dealer of a row, the most reliable first; none for private sellers and rows without a
    name."""
    if row.seller_kind == "private" or not row.seller_name:
        return ()
    return keys_of_dealer(row.seller_name, row.place, row.seller_phone, row.seller_vat, row.seller_url)


@lru_cache(maxsize=8192)
def keys_of_dealer(name: str, place: str, phone: str = "", vat: str = "", address: str = "") -> tuple[str, ...]:
    plain = plain_name(name)
    if len(plain) < SHORTEST_NAME or plain in _NO_NAMES:
        return ()
    beside = {
        "place": plain_place(place),
        "phone": plain_phone(phone),
        "vat": plain_vat(vat),
        "domain": domain_of(address),
    }
    return tuple(f"{PREFIX}{kind}/{plain}/{value}"[:KEY_LENGTH] for kind, value in beside.items() if value)


def plain_name(name: str) -> str:
    """Normalise ``Autohaus Müller GmbH & Co. KG`` to ``autohaus-muller``."""
    words = slug_of(
        re.sub(r"\b(?:s\.? ?r\.? ?o|d\.? ?o\.? ?o|e\. ?k|sp\.? ?z ?o\.? ?o)\b\.?", " ", name.casefold())
    ).split("-")
    kept = [word for word in words if word not in _LEGAL_FORMS]
    return "-".join(kept or words)


def plain_place(place: str) -> str:
    """Normalise ``10115 Berlin (Mitte)`` to ``berlin``: without numbers, brackets and what follows a comma."""
    town = re.split(r"[(,;/]", place)[0]
    return slug_of(re.sub(r"\b\S*\d\S*\b", " ", town))


def plain_phone(phone: str) -> str:
    """Return the last digits of the first number: equal for ``+49 (0)30 1234567`` and ``030/1234567``."""
    first = re.split(r"[;|]|,(?=\s*[+0(])", phone)[0].replace("(0)", "")
    digits = re.sub(r"\D", "", first)
    return digits[-PHONE_DIGITS:] if len(digits) >= PHONE_DIGITS else ""


def plain_vat(vat: str) -> str:
    """Normalise ``DE 123 456 789`` to ``de123456789``; the country's letters are kept where they are written."""
    plain = re.sub(r"[^0-9a-z]", "", vat.casefold())
    return plain if sum(letter.isdigit() for letter in plain) >= 7 else ""


def domain_of(address: str) -> str:
    """Return ``autohaus-x.de`` for ``https://www.autohaus-x.de/stock`` and ``info@autohaus-x.de``."""
    host = re.sub(r"^(?:[a-z]+:)?//", "", address.strip().casefold())
    host = re.split(r"[/?#:\s]", host)[0].rpartition("@")[2].removeprefix("www.")
    is_domain = bool(re.fullmatch(r"[\w-]+(?:\.[\w-]+)+", host)) and not host.replace(".", "").isdigit()
    return host if is_domain and host not in _PLAIN_DOMAINS else ""
