"""Text in UTF-8 that was read as Windows-1252 and written in UTF-8 again: ``CitroÃ«n`` for Citroën.

The codec ``utf-8-twice`` reverses that. Letters that were encoded once, or that Windows-1252 does not have, stay as
they are, since real files hold both.
"""

from __future__ import annotations

import codecs
import re

NAME = "utf-8-twice"
FEWEST = 2  # pairs; one alone may be meant
# The first byte of two in UTF-8 as Windows-1252 shows it, and the second; Latin, Greek and Cyrillic letters begin so.
_PAIR = re.compile("[ÂÃÄÅÎÏÐÑ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")
_OTHER = re.compile("[^\x00-\x7f\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]")


def is_encoded_twice(text: str) -> bool:
    """Whether most of a text's letters beyond ASCII are such pairs."""
    n_pairs = len(_PAIR.findall(text))
    return n_pairs >= FEWEST and n_pairs > len(_OTHER.findall(_PAIR.sub("", text)))


def _byte_of(letter: str) -> bytes:
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:  # a byte that Windows-1252 leaves open, or a letter that was encoded once
        return bytes([ord(letter)]) if letter < "\u0100" else letter.encode()


class _Decoder(codecs.IncrementalDecoder):
    def __init__(self, errors: str = "strict") -> None:
        super().__init__(errors)
        self._outer = codecs.getincrementaldecoder("utf-8-sig")("forecourt.windows")
        self._inner = codecs.getincrementaldecoder("utf-8")("forecourt.windows")

    def decode(self, data: bytes, final: bool = False) -> str:  # type: ignore[override]
        text = self._outer.decode(data, final)
        return self._inner.decode(text.encode() if text.isascii() else b"".join(map(_byte_of, text)), final)

    def reset(self) -> None:
        self._outer.reset()
        self._inner.reset()


def _decode(data: bytes, errors: str = "strict") -> tuple[str, int]:
    return _Decoder(errors).decode(bytes(data), final=True), len(data)


def _found(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != NAME:
        return None
    return codecs.CodecInfo(codecs.utf_8_encode, _decode, incrementaldecoder=_Decoder, name=NAME)  # type: ignore[arg-type]  # typeshed's Buffer has no name before Python 3.12


codecs.register(_found)
