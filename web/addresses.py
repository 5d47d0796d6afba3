"""Where a request comes from, as far as it can be believed."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from rest_framework.settings import api_settings

LONGEST_ADDRESS = 64  # characters; an IPv6 address with a zone has fewer
IPV6_PREFIX = 64  # bits of an IPv6 address that tell subscribers apart; the rest is the subscriber's to choose


def address_of(meta: Mapping[str, Any]) -> str:
    """What the last trusted proxy says, or else the peer. As REST framework's ``get_ident``, from a dict."""
    forwarded, n_proxies = meta.get("HTTP_X_FORWARDED_FOR", ""), api_settings.NUM_PROXIES
    if not n_proxies or not forwarded:
        return str(meta.get("REMOTE_ADDR", ""))
    addresses = forwarded.split(",")
    address: str = addresses[-min(n_proxies, len(addresses))].strip()
    return address


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """Whom to count: an IPv4 address, the /64 of an IPv6 address, and what is neither (a socket) as it is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address.replace("\0", "")[:LONGEST_ADDRESS]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))
