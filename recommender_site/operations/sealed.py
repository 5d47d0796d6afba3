"""Files that are encrypted as they are written and checked as they are read, without holding more than a block.

Layout: a line that names the format, 16 bytes of salt, then blocks of AES-256-GCM, each after its length in four bytes.
The key is derived from a passphrase by scrypt. The nonce of a block is its number and whether it is the last one, so a
block that was changed, moved or cut off does not decrypt (the STREAM construction: Hoang, Reyhanitabar, Rogaway and
Vizár 2015). Every file has a salt, and so a key, of its own, which is why numbers may serve as nonces.
"""

from __future__ import annotations

import io
import secrets
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

MAGIC = b"FORECOURT SEALED 1\n"
SALT_BYTES = 16
BLOCK_BYTES = 1 << 20
TAG_BYTES = 16


class SealBroken(ValueError):
    """The file cannot be read: another passphrase, changed bytes, or an end that is missing."""


def key_from(passphrase: str, salt: bytes) -> AESGCM:
    """The key of one file. Scrypt with 64 MB of memory: about 0.2 s, once per file."""
    return AESGCM(Scrypt(salt=salt, length=32, n=2**16, r=8, p=1).derive(passphrase.encode()))


def nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


class SealedWriter(io.RawIOBase):
    """Encrypts what is written to it into another file, which stays open."""

    def __init__(self, target: IO[bytes], passphrase: str) -> None:
        salt = secrets.token_bytes(SALT_BYTES)
        self._target, self._key = target, key_from(passphrase, salt)
        self._number, self._held = 0, bytearray()
        target.write(MAGIC + salt)

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._held += data
        while len(self._held) > BLOCK_BYTES:  # the last block is only known at the end, so one is always held
            self._seal(bytes(self._held[:BLOCK_BYTES]), is_last=False)
            del self._held[:BLOCK_BYTES]
        return len(data)

    def finish(self) -> None:
        """Write the last block. A file that ends without it is refused when it is read."""
        self._seal(bytes(self._held), is_last=True)
        self._held.clear()

    def _seal(self, block: bytes, *, is_last: bool) -> None:
        sealed = self._key.encrypt(nonce(self._number, is_last), block, MAGIC)
        self._target.write(len(sealed).to_bytes(4, "big") + sealed)
        self._number += 1


class SealedReader(io.RawIOBase):
    """Decrypts what a SealedWriter wrote; to be opened after its first line (``MAGIC``) has been read."""

    def __init__(self, source: IO[bytes], passphrase: str) -> None:
        salt = source.read(SALT_BYTES)
        self._source, self._key = source, key_from(passphrase, salt)
        self._number, self._held, self._is_over = 0, b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._held and not self._is_over:
            self._held = self._open_block()
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size

    def _open_block(self) -> bytes:
        size = int.from_bytes(self._source.read(4), "big")
        if not TAG_BYTES <= size <= BLOCK_BYTES + TAG_BYTES:
            raise SealBroken("the file ends too early, or was changed")
        sealed = self._source.read(size)
        if len(sealed) < size:  # a last block would open all the same
            raise SealBroken("the file ends too early, or was changed")
        for is_last in (False, True):
            try:
                block = self._key.decrypt(nonce(self._number, is_last), sealed, MAGIC)
            except InvalidTag:
                continue
            self._number, self._is_over = self._number + 1, is_last
            if is_last and self._source.read(1):
                raise SealBroken("something was added behind the end of the file")
            return block
        if self._number == 0:
            raise SealBroken("the passphrase is another one, or the file was changed")
        raise SealBroken(f"block {self._number + 1} was changed")
