"""Fetch a file by SFTP, with the same care as ``fetching``: a checked address, and a host that proves who it is.

The host's key has to have the fingerprint that was written down for it: without one nothing is sent, neither password
nor name, and the refusal names the fingerprint that the host showed. What is asked for is a path, or a pattern of file
names in a directory, of which the newest file is fetched.
"""

from __future__ import annotations

import asyncio
import stat
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import asyncssh

from web.fetching import (
    CONNECT_SECONDS,
    PIECE_BYTES,
    PORTS,
    WHOLE_SECONDS,
    Fetched,
    FetchRefused,
    checked_addresses,
    split_sftp,
)

LOGIN_SECONDS = 30.0
MOST_FILES = 10_000  # of a directory; more are not looked through


@dataclass(frozen=True, kw_only=True)
class SftpSource:
    """Where a file is (``sftp://host/path/stock-*.csv``), who asks, and which version of it is known already.

    With a ``private_key`` the password is its passphrase. ``fingerprints`` of the host's keys (``SHA256:…``) have
    spaces between them.
    """

    address: str
    username: str
    fingerprints: str
    password: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    version: str = ""


def read_private_key(text: str, passphrase: str = "") -> asyncssh.SSHKey:
    """Raises FetchRefused for what is no private key, or one that the passphrase does not open."""
    try:
        return asyncssh.import_private_key(text, passphrase or None)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
        raise FetchRefused("This is no private key, or one that the password does not open.") from None


def fetch_sftp(source: SftpSource, target: Path, *, max_bytes: int, allow_private: bool = False) -> Fetched:
    """Write the file to ``target``. Raises FetchRefused when it cannot be had, or has more than ``max_bytes``."""
    parts = split_sftp(source.address)
    host, port = str(parts.hostname), parts.port or PORTS["sftp"]
    keys = [read_private_key(source.private_key, source.password)] if source.private_key else None
    addresses = checked_addresses(host, port, allow_private=allow_private)
    fetching = _Fetching(source, unquote(parts.path), target, max_bytes)
    try:
        return asyncio.run(fetching.from_host(host, addresses, port, keys))
    except TimeoutError:
        raise FetchRefused(f"“{host}” does not answer in time.") from None
    except asyncssh.PermissionDenied:
        raise FetchRefused(f"“{host}” does not let “{source.username}” in.") from None
    except asyncssh.SFTPError as failure:
        raise FetchRefused(f"“{host}”: {failure.reason or 'the file cannot be read'}.") from None
    except (OSError, asyncssh.Error) as failure:
        raise FetchRefused(f"“{host}” cannot be reached: {_kind_of(failure)}.") from None


def _kind_of(failure: Exception) -> str:
    return "no connection" if isinstance(failure, OSError) else "it ended the connection"


class _KnowsHost(asyncssh.SSHClient):
    """Goes on only with the host whose key has one of the fingerprints."""

    def __init__(self, fingerprints: frozenset[str]) -> None:
        self._fingerprints, self.shown = fingerprints, ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.shown = key.get_fingerprint()
        return self.shown.rstrip("=") in self._fingerprints


@dataclass(frozen=True)
class _Fetching:
    source: SftpSource
    path: str
    target: Path
    max_bytes: int

    async def from_host(
        self, host: str, addresses: list[str], port: int, keys: list[asyncssh.SSHKey] | None
    ) -> Fetched:
        """At the first of the checked addresses that answers."""
        client = _KnowsHost(frozenset(each.rstrip("=") for each in self.source.fingerprints.split()))
        problem: Exception = OSError("no address")
        for address in addresses:
            try:
                connection = await asyncssh.connect(
                    address, port, client_factory=lambda: client, known_hosts=([], [], []), config=[],
                    username=self.source.username, password=None if keys else self.source.password, client_keys=keys,
                    agent_path=None, gss_host=None, host_based_auth=False, kbdint_auth=False,
                    connect_timeout=CONNECT_SECONDS, login_timeout=LOGIN_SECONDS, keepalive_interval=15,
                )  # fmt: skip
            except asyncssh.HostKeyNotVerifiable:
                raise FetchRefused(_not_verified(host, client.shown, self.source.fingerprints)) from None
            except OSError as failure:
                problem = failure
                continue
            async with asyncio.timeout(WHOLE_SECONDS), connection, connection.start_sftp_client() as sftp:
                return await self._take(sftp)
        raise problem

    async def _take(self, sftp: asyncssh.SFTPClient) -> Fetched:
        path, found = await self._newest(sftp)
        version = f"{path.name} {found.mtime} {found.size}"[-255:]
        if version == self.source.version:
            return Fetched(etag=version, is_modified=False)
        if (found.size or 0) > self.max_bytes:
            raise FetchRefused(self._too_large())
        await self._copy(sftp, str(path))
        return Fetched(name=path.name, etag=version)

    async def _newest(self, sftp: asyncssh.SFTPClient) -> tuple[PurePosixPath, asyncssh.SFTPAttrs]:
        """The file of the path, or the newest one whose name fits the pattern at its end."""
        path = PurePosixPath(self.path)
        if not set("*?[") & set(path.name):
            attrs = await sftp.stat(str(path))
            if not _is_file(attrs):
                raise FetchRefused(f"“{path}” is no file.")
            return path, attrs
        found: list[tuple[int, str, asyncssh.SFTPAttrs]] = []
        n_files = 0
        async for entry in sftp.scandir(str(path.parent)):
            n_files += 1
            if n_files > MOST_FILES:
                raise FetchRefused(f"“{path.parent}” has more than {MOST_FILES:,} files.")
            name = entry.filename if isinstance(entry.filename, str) else entry.filename.decode("utf-8", "replace")
            if fnmatchcase(name, path.name) and _is_file(entry.attrs):
                found.append((entry.attrs.mtime or 0, name, entry.attrs))
        if not found:
            raise FetchRefused(f"No file in “{path.parent}” is called “{path.name}”.")
        _, name, attrs = max(found, key=lambda each: each[:2])
        return path.parent / name, attrs

    async def _copy(self, sftp: asyncssh.SFTPClient, path: str) -> None:
        n_bytes = 0
        async with sftp.open(path, "rb") as content:
            with self.target.open("wb") as file:
                while piece := await content.read(PIECE_BYTES):
                    n_bytes += len(piece)
                    if n_bytes > self.max_bytes:
                        raise FetchRefused(self._too_large())
                    file.write(piece if isinstance(piece, bytes) else piece.encode())

    def _too_large(self) -> str:
        return f"The file has more than {self.max_bytes // 1024**2:,} MB (IMPORT_MAX_MB)."


def _is_file(attrs: asyncssh.SFTPAttrs) -> bool:
    """A host that says neither kind nor permissions of a file is believed."""
    if attrs.permissions is not None and stat.S_IFMT(attrs.permissions):
        return stat.S_ISREG(attrs.permissions)
    return attrs.type in (asyncssh.FILEXFER_TYPE_REGULAR, asyncssh.FILEXFER_TYPE_UNKNOWN)


def _not_verified(host: str, shown: str, expected: str) -> str:
    if not expected.strip():
        return (
            f"Write down the fingerprint of the host's key in the feed's “Host's key”. “{host}” shows {shown}: ask its "
            "owner whether that is it."
        )
    return f"“{host}” shows another key than the one written down: {shown}. It may not be the host it was."
