"""Names of models in Cyrillic letters -> how they sound in Latin ones, by which known models are found; no database.

``Гранта`` is the Granta, ``Октавия`` the Octavia: both are brought to one spelling of their sounds, so that no list of
foreign names is needed.
"""

from __future__ import annotations

import re
import unicodedata

_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_LATIN = str.maketrans({
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "д": "d", "е": "e", "ё": "e", "є": "e", "ж": "j", "з": "z",
    "и": "i", "і": "i", "ї": "i", "й": "i", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r",
    "с": "s", "т": "t", "у": "u", "ф": "f", "х": "h", "ц": "s", "ч": "ch", "ш": "sh", "щ": "sh", "ъ": "", "ы": "i",
    "ь": "", "э": "e", "ю": "u", "я": "a",
})  # fmt: skip
_SOUNDS = (  # of Latin letters, in this order
    (re.compile(r"[^a-z0-9]"), ""),
    (re.compile(r"dj|dg"), "j"), (re.compile(r"ph"), "f"), (re.compile(r"ou"), "u"), (re.compile(r"x"), "ks"),
    (re.compile(r"c(?=[eiy])"), "s"), (re.compile(r"ck|[cq]"), "k"), (re.compile(r"w"), "v"),
    (re.compile(r"[yj]"), "i"),
    (re.compile(r"h"), ""), (re.compile(r"(.)\1+"), r"\1"), (re.compile(r"(?<=..)e$"), ""),
)  # fmt: skip
SHORTEST_SOUND = 3  # letters, of shorter names too many sound alike


def is_cyrillic(text: str) -> bool:
    return not text.isascii() and bool(_CYRILLIC.search(text))


def in_latin(text: str) -> str:
    """``5 серии`` -> ``5 serii``, ``Камри`` -> ``kamri``."""
    # Й and Ё are one letter each here, not a letter and an accent.
    return unicodedata.normalize("NFC", text).casefold().translate(_LATIN)


def sound_of(text: str) -> str:
    """What names in either script are compared by: ``Камри`` and ``Camry`` -> ``kamri``; '' where it is too short."""
    sound = in_latin(text)
    for pattern, letters in _SOUNDS:
        sound = pattern.sub(letters, sound)
    return sound if len(sound) >= SHORTEST_SOUND else ""
