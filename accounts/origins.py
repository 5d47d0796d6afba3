"""Where a guest came from, as far as it is kept: no address, and not what the browser is."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone
from django.utils.crypto import salted_hmac

from web.addresses import address_of, network_of

DIGEST_LENGTH = 32  # hexadecimal digits, 128 bits
LONGEST_WORD = 40  # characters of a word that are kept
LONGEST_AGENT = 500  # characters of a User-Agent that are read


class Origin(NamedTuple):
    """Attributes:
    digest: Of the network and the User-Agent, keyed, and another one each day (UTC): it says which guests of one day
        came from the same place, and neither where that is nor who came back the next day. Empty: not known, as of an
        address within a local network, which is that of a proxy or a test.
    crawler: The word by which the User-Agent declares itself a program; empty for everything else.
    """

    digest: str = ""
    crawler: str = ""


UNKNOWN = Origin()


def origin_of(meta: Mapping[str, Any]) -> Origin:
    """The origin of a request, from its ``META``."""
    agent = str(meta.get("HTTP_USER_AGENT", ""))[:LONGEST_AGENT]
    address = address_of(meta)
    return Origin(digest_of(network_of(address), agent) if is_of_the_internet(address) else "", crawler_in(agent))


def is_of_the_internet(address: str) -> bool:
    """Whether it can be a visitor's own: behind a proxy that the settings do not name, all have the proxy's."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_global


def digest_of(network: str, agent: str) -> str:
    day = timezone.now().date().isoformat()
    return salted_hmac("accounts.origins", f"{day}\n{network}\n{agent}", algorithm="sha256").hexdigest()[:DIGEST_LENGTH]


def crawler_in(agent: str) -> str:
    """The first of the words of ``BOT_USER_AGENTS`` in a User-Agent, in lower case; '' where there is none."""
    found = pattern_of(tuple(settings.BOT_USER_AGENTS)).search(agent)
    return found[0].lower()[:LONGEST_WORD] if found else ""


@lru_cache(maxsize=4)
def pattern_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Any of the words, in any case; "bot" is no part of "Cubot", which makes telephones."""
    alternatives = [f"(?<!cu){word}" if word == "bot" else word for word in (re.escape(w.lower()) for w in words if w)]
    return re.compile("|".join(alternatives) or r"(?!)", re.IGNORECASE)
