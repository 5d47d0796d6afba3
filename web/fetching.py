"""Fetch a file from an address that a person typed, without becoming a way into our own network.

Names are resolved here, every address they stand for is checked, and the connection goes to a checked address, not to
the name: a name that resolves to another address a moment later (DNS rebinding) changes nothing. Redirects are followed
by hand, each checked like the first address. Credentials go to the first host alone.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import certifi
import urllib3
from urllib3.util import make_headers

CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS = 10.0, 60.0, 900.0
MAX_REDIRECTS = 5
PIECE_BYTES = 256 * 1024
REDIRECTS = frozenset([301, 302, 303, 307, 308])
NOT_MODIFIED = 304
MEANINGS = {
    401: "it does not accept the user name and password",
    403: "it does not let this user have the file",
    404: "there is no such file",
    410: "the file was removed",
    429: "it was asked too often",
}
NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
PORTS = {"https": 443, "http": 80, "sftp": 22}


class FetchRefused(Exception):
    """A file that was not fetched; ``str()`` says why, fit to show a person, without any credentials."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a file is, how to ask for it, and which version of it is known already."""

    address: str
    username: str = ""
    password: str = field(default="", repr=False)
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What came: nothing new (``is_modified`` is False), or a file under ``name``, written to the path asked for."""

    name: str = ""
    etag: str = ""
    last_modified: str = ""
    is_modified: bool = True


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, also the one that another address is only a cover of."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        inner += [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)] if any(ip in network for network in NAT64) else []
        inner += [ipaddress.IPv4Address(int(ip))] if 1 < int(ip) < 2**32 else []
        if not all(is_public(str(each)) for each in inner if each is not None):
            return False
        if ip.ipv4_mapped:
            return True
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def checked_addresses(
    host: str, port: int, *, allow_private: bool, setting: str = "IMPORT_PRIVATE_ADDRESSES"
) -> list[str]:
    """The IP addresses of a host. Raises FetchRefused when there are none, or one of them is not public.

    ``setting`` is what the refusal names, as the one that would allow it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise FetchRefused(f"The host “{host}” is not known.") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not allow_private and not all(is_public(address) for address in addresses):
        raise FetchRefused(f"“{host}” is an address of a private network. {setting}=True allows such addresses.")
    return addresses


def split_address(address: str, *, allow_private: bool) -> SplitResult:
    """Raises FetchRefused for what is no address to fetch from."""
    try:
        parts = urlsplit(address.strip())
        known = parts.port  # raises for a port that is none
    except ValueError:
        raise FetchRefused("This is not a web address.") from None
    schemes = ("https", "http") if allow_private else ("https",)
    if parts.scheme not in schemes or not parts.hostname or known == 0:
        raise FetchRefused("An address to fetch from begins with https:// and names a host.")
    return parts


def split_sftp(address: str) -> SplitResult:
    """Raises FetchRefused for what is no address of a file to fetch by SFTP."""
    try:
        parts = urlsplit(address.strip())
        known = parts.port
    except ValueError:
        raise FetchRefused("This is not an address.") from None
    if parts.query or parts.fragment:
        raise FetchRefused("Write ? and # in the path of a file as %3F and %23.")
    if parts.scheme != "sftp" or not parts.hostname or known == 0 or not parts.path.strip("/"):
        raise FetchRefused("Write sftp://, the host, and the path of a file, such as sftp://host/out/stock-*.csv.")
    if parts.username or parts.password:
        raise FetchRefused("Write the user name and the password into their own fields.")
    return parts


def fetch(source: Source, target: Path, *, max_bytes: int, allow_private: bool = False) -> Fetched:
    """Write the file to ``target``. Raises FetchRefused when it cannot be had, or has more than ``max_bytes``."""
    parts = split_address(source.address, allow_private=allow_private)
    first, until = parts, time.monotonic() + WHOLE_SECONDS
    for _ in range(MAX_REDIRECTS + 1):
        is_same_host = (parts.scheme, parts.hostname, parts.port) == (first.scheme, first.hostname, first.port)
        headers = _headers(parts, source, first if is_same_host else None)
        with _answer(parts, headers, allow_private=allow_private) as answer:
            if answer.status in REDIRECTS and (location := answer.headers.get("Location")):
                moved = urljoin(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), location)
                parts = split_address(moved, allow_private=allow_private)
                if first.scheme == "https" and parts.scheme != "https":
                    raise FetchRefused("It leads from https to an address without encryption.")
                continue
            if answer.status == NOT_MODIFIED:
                return Fetched(etag=source.etag, last_modified=source.last_modified, is_modified=False)
            if answer.status != 200:
                raise FetchRefused(f"“{parts.hostname}” answered {answer.status}{_meaning_of(answer.status)}.")
            _write(answer, target, max_bytes, until)
            return Fetched(
                name=unquote(parts.path.rpartition("/")[2]) or str(parts.hostname),
                etag=answer.headers.get("ETag", "")[:255],
                last_modified=answer.headers.get("Last-Modified", "")[:255],
            )
    raise FetchRefused(f"It leads to more than {MAX_REDIRECTS} other addresses.")


def _headers(parts: SplitResult, source: Source, trusted: SplitResult | None) -> dict[str, str]:
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    port = "" if parts.port in (None, PORTS[parts.scheme]) else f":{parts.port}"
    headers = {"Host": f"{host}{port}", "User-Agent": "Forecourt", "Accept": "*/*"}
    if trusted is None:
        return headers
    username, password = source.username, source.password
    if not username and trusted.username:
        username, password = unquote(trusted.username), unquote(trusted.password or "")
    if username:
        headers |= make_headers(basic_auth=f"{username}:{password}")
    if source.etag:
        headers["If-None-Match"] = source.etag
    if source.last_modified:
        headers["If-Modified-Since"] = source.last_modified
    return headers


@contextmanager
def _answer(parts: SplitResult, headers: dict[str, str], *, allow_private: bool) -> Iterator[urllib3.BaseHTTPResponse]:
    """Ask one host, at the addresses that were checked."""
    host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    problem: Exception | None = None
    for address in checked_addresses(host, port, allow_private=allow_private):
        pool: urllib3.HTTPConnectionPool
        if parts.scheme == "https":
            secure = ssl.create_default_context(cafile=certifi.where())
            pool = urllib3.HTTPSConnectionPool(
                address, port, timeout=timeout, ssl_context=secure, server_hostname=host, assert_hostname=host
            )
        else:
            pool = urllib3.HTTPConnectionPool(address, port, timeout=timeout)
        with pool:
            try:
                answer = pool.urlopen(
                    "GET", path, headers=headers, redirect=False, retries=False, preload_content=False,
                    assert_same_host=False, decode_content=True,
                )  # fmt: skip
            except urllib3.exceptions.HTTPError as failure:
                problem = failure
                continue
            try:
                yield answer
            finally:
                answer.close()
            return
    raise FetchRefused(f"“{host}” cannot be reached: {_kind_of(problem)}.") from None


def _meaning_of(status: int) -> str:
    """Words for the statuses that an operator can do something about."""
    if said := MEANINGS.get(status):
        return f": {said}"
    return ": something is wrong on its side; the next run tries again" if status >= 500 else ""


def _kind_of(problem: Exception | None) -> str:
    if isinstance(problem, urllib3.exceptions.SSLError):
        return "its certificate is not valid"
    return "it does not answer in time" if isinstance(problem, urllib3.exceptions.TimeoutError) else "no connection"


def _write(answer: urllib3.BaseHTTPResponse, target: Path, max_bytes: int, until: float) -> None:
    n_bytes = 0
    try:
        with target.open("wb") as file:
            for piece in answer.stream(PIECE_BYTES, decode_content=True):
                n_bytes += len(piece)
                if n_bytes > max_bytes:
                    raise FetchRefused(f"The file has more than {max_bytes // 1024**2:,} MB (IMPORT_MAX_MB).")
                if time.monotonic() > until:
                    raise FetchRefused(f"The file did not come within {WHOLE_SECONDS / 60:.0f} minutes.")
                file.write(piece)
    except urllib3.exceptions.HTTPError as failure:
        raise FetchRefused(f"The connection broke off: {_kind_of(failure)}.") from None
