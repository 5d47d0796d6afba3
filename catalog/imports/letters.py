"""Guess the encoding of a text without a byte order mark, by the letters it would contain; no database.

A byte above 127 is a different letter in each encoding, so the text is decoded by each candidate and its letters are
compared with the alphabets of the languages it is used for: ``bia³y`` is no word, ``biały`` is Polish. Where no
alphabet explains the text, charset-normalizer decides: Chinese, Japanese and Korean, and rarer encodings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from charset_normalizer import from_bytes

SAMPLE_CHARACTERS = 20_000  # of the lines that hold other letters than ASCII's
ENOUGH = 0.85  # share of the letters that an alphabet must explain; names may be of other languages
CLEAR_LEAD = 0.01  # lead that a candidate needs over those before it

_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяё"
_GREEK = "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώςϊϋΐΰ"
_WESTERN = ("äöüß", "àâæçéèêëîïôœùûüÿ", "áéíóúüñ", "ãõçáéíóúâêôàü", "àèéìíòóù", "åäöæøéü", "éëïóöüèê")
_CENTRAL = ("ąćęłńóśźż", "áčďéěíňóřšťúůýžľĺŕôä", "áéíóöőúüű", "ăâîşţ", "čćđšž")
_TURKISH = ("çğıöşüâîİ",)
_BALTIC = ("ąčęėįšųūž", "āčēģīķļņšūž", "äöõüšž")
_RUSSIAN = (_CYRILLIC, "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "абвгдђежзијклљмнњопрстћуфхцчџш")


@dataclass(frozen=True)
class _Candidate:
    codec: str
    alphabets: tuple[str, ...]


_CANDIDATES = (  # most common first; a later one must explain more
    _Candidate("cp1252", _WESTERN),
    _Candidate("cp1250", _CENTRAL),
    _Candidate("cp1251", _RUSSIAN),
    _Candidate("cp1253", (_GREEK,)),
    _Candidate("cp1254", _TURKISH),
    _Candidate("iso8859-2", _CENTRAL),
    _Candidate("cp1257", _BALTIC),
    _Candidate("koi8-r", (_CYRILLIC,)),
    _Candidate("iso8859-5", _RUSSIAN),
    _Candidate("cp866", (_CYRILLIC,)),
    _Candidate("iso8859-7", (_GREEK,)),
    _Candidate("cp852", _CENTRAL),
    _Candidate("mac-roman", _WESTERN),
    _Candidate("cp850", _WESTERN),
)
_WORD = re.compile(r"[^\W\d_]+")
_SIGNS = frozenset("£€§°²³½¼¾«»„“”’‘–—…•·®©™ªº\u00a0\u00ad×±µ№¨´")
_SIGNS_IN_A_WORD = frozenset("’‘–—­\u00a0•·")
_HIGH_LINE = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
_CODEC_NAMES = {"gb2312": "gb18030", "gbk": "gb18030"}


def guess_encoding(content: bytes) -> str:
    """Return the most likely Python codec of ``content``, which is not UTF-8 and has no mark; ``cp1252`` if unsure."""
    sample = _lines_with_letters(content)
    best, best_share = "cp1252", 0.0
    for candidate in _CANDIDATES:
        share = _explained(sample, candidate)
        if share > best_share + CLEAR_LEAD:
            best, best_share = candidate.codec, share
    return best if best_share >= ENOUGH else _second_opinion(content, best)


def _lines_with_letters(content: bytes) -> bytes:
    """Return the lines with a byte above 127."""
    lines: list[bytes] = []
    n_bytes = 0
    for match in _HIGH_LINE.finditer(content):
        lines.append(match[0])
        n_bytes += len(match[0])
        if n_bytes > SAMPLE_CHARACTERS:
            break
    return b"\n".join(lines)


def _explained(sample: bytes, candidate: _Candidate) -> float:
    """Return the share (0 to 1) of the characters beyond ASCII that are letters of one alphabet, or signs outside a
    word."""
    text = sample.decode(candidate.codec, "replace")
    high = [character for character in text if character > "\x7f"]
    if not high:
        return 0.0
    n_signs = sum(_is_sign_in_place(text, index) for index, letter in enumerate(text) if letter in _SIGNS)
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    n_letters = max(_letters_of(alphabet, words) for alphabet in candidate.alphabets)
    return (n_signs + n_letters) / len(high)


def _is_sign_in_place(text: str, index: int) -> bool:
    """Whether a sign is not between two letters, as ``³`` is in ``bia³y``."""
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    return text[index] in _SIGNS_IN_A_WORD or not (before.isalpha() and after.isalpha())


def _letters_of(alphabet: str, words: Iterable[str]) -> int:
    known = frozenset(alphabet + alphabet.upper())
    is_latin = alphabet[0] < "\u0370"
    return sum(
        sum(letter in known for letter in word if letter > "\x7f")
        for word in words
        if _is_written_normally(word) and (is_latin or not any(letter.isascii() for letter in word))
    )


def _is_written_normally(word: str) -> bool:
    """Whether a word is longer than a letter, and in lower case, capitals, or capitalised."""
    return len(word) > 1 and (word[1:].islower() or word.isupper())


def _second_opinion(content: bytes, fallback: str) -> str:
    found = from_bytes(content[:65536]).best()
    if found is None or found.encoding in ("ascii", "utf_8"):
        return fallback
    return _CODEC_NAMES.get(found.encoding, found.encoding)
