"""Post to an address that a person typed, without becoming a way into our own network, and within a given time.

As in ``fetching``, the name is resolved here, every address it stands for is checked, and the connection goes to a
checked one. Redirects are answers like any other: they are not followed. The time holds for the whole exchange; a
server that sends a byte now and then does not prolong it.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, quote

import certifi

from web.fetching import PORTS, FetchRefused, checked_addresses, split_address

READ_BYTES = 2_000  # of an answer; the rest is not looked at
SAFE_IN_PATH = "/%:@!$&'()*+,;=~-._?"


class PostRefused(Exception):
    """Nothing was sent: the address is none that may be posted to. ``str()`` says why, fit to show a person."""


class NoAnswer(Exception):
    """The server was not reached, or did not answer in time. It may have received what was sent."""


@dataclass(frozen=True)
class Answer:
    """``text`` is the beginning of the body; ``retry_after`` the header of that name, or ''."""

    status: int
    text: str
    retry_after: str


def post(
    address: str, body: bytes, headers: dict[str, str], *, seconds: float, allow_private: bool, setting: str
) -> Answer:
    """Send the body once. Raises PostRefused or NoAnswer. ``setting`` names what would allow private addresses."""
    try:
        parts = split_address(address, allow_private=allow_private)
        host, port = ascii_host(parts), parts.port or PORTS[parts.scheme]
        ip_addresses = checked_addresses(host, port, allow_private=allow_private, setting=setting)
    except FetchRefused as refusal:
        raise PostRefused(str(refusal)) from None
    with Deadline(seconds) as deadline:
        try:
            return _exchange(parts, host, _connected(ip_addresses, port, deadline), body, headers, deadline)
        except (OSError, http.client.HTTPException, ValueError) as failure:
            raise NoAnswer(_kind_of(failure, deadline)) from None


def ascii_host(parts: SplitResult) -> str:
    """The host as DNS, TLS and the header ``Host`` have it. Raises FetchRefused."""
    host = str(parts.hostname)
    try:
        return host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        raise FetchRefused("This is not a web address.") from None


class Deadline:
    """Shuts the socket of an exchange when its time is over: whatever waits for it fails then."""

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        self.is_over = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def holds(self, connected: socket.socket) -> None:
        self._socket = connected
        if self.is_over:
            self._end()

    def seconds_left(self) -> float:
        return max(self.until - time.monotonic(), 0.001)

    def _end(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(
                    self._socket, socket.SHUT_RDWR
                )  # not that of TLS, which would wait for an answer

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()


def _connected(ip_addresses: list[str], port: int, deadline: Deadline) -> socket.socket:
    """The first that can be reached; nothing is sent yet, so trying the next one repeats nothing."""
    problem: OSError = OSError("no address")
    for ip_address in ip_addresses:
        try:
            return socket.create_connection((ip_address, port), timeout=deadline.seconds_left())
        except OSError as failure:
            problem = failure
    raise problem


def _exchange(
    parts: SplitResult, host: str, connected: socket.socket, body: bytes, headers: dict[str, str], deadline: Deadline
) -> Answer:
    deadline.holds(connected)
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=certifi.where())
        secure = context.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
        deadline.holds(secure)
        secure.settimeout(deadline.seconds_left())
        secure.do_handshake()
        connected = secure
    connected.settimeout(deadline.seconds_left())
    connection = http.client.HTTPConnection(host)
    connection.auto_open = 0
    connection.sock = connected
    connection.request("POST", _target(parts), body, {"Host": _host_header(parts, host), **headers})
    answer = connection.getresponse()
    if deadline.is_over:  # headers that broke off look like headers that ended
        raise TimeoutError
    return Answer(answer.status, _beginning_of(answer), answer.headers.get("Retry-After", ""))


def _beginning_of(answer: http.client.HTTPResponse) -> str:
    """The status decides what becomes of an exchange, also where the body after it breaks off or never ends."""
    with suppress(OSError, http.client.HTTPException, ValueError):
        return answer.read(READ_BYTES).decode(errors="replace")
    return ""


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe=SAFE_IN_PATH)
    return f"{path}?{quote(parts.query, safe=SAFE_IN_PATH)}" if parts.query else path


def _host_header(parts: SplitResult, host: str) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if parts.port in (None, PORTS[parts.scheme]) else f"{shown}:{parts.port}"


def _kind_of(failure: Exception, deadline: Deadline) -> str:
    if deadline.is_over or isinstance(failure, TimeoutError):
        return "It did not answer in time."
    if isinstance(failure, ssl.SSLError):
        return "Its certificate is not valid, or it speaks no TLS."
    if isinstance(failure, http.client.HTTPException):
        return "What it answered is no HTTP."
    return "No connection."
