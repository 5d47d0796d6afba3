"""Letters without their marks, so that “citroen” finds a Citroën; the same in Python and in PostgreSQL.

PostgreSQL's ``unaccent`` would do, but a generated column takes immutable functions only, and it is none.
"""

from __future__ import annotations

import unicodedata

from django.db.models import Expression, F, Func, TextField, Value

WITHOUT_DECOMPOSITION = dict(zip("øØłŁđĐħĦıŧŦ", "oOlLdDhHitT", strict=True))
LATIN = range(0x00C0, 0x0250)  # Latin-1 Supplement, Extended-A and -B


def _base(letter: str) -> str:
    """The plain letter under the marks; the letter itself where it has none, or is two letters in one."""
    bare = "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))
    return bare if len(bare) == 1 and bare.isascii() and bare.isalpha() else letter


FOLDS = {chr(code): _base(chr(code)) for code in LATIN if _base(chr(code)) != chr(code)} | WITHOUT_DECOMPOSITION
MARKED, PLAIN = "".join(FOLDS), "".join(FOLDS.values())
_TABLE = str.maketrans(FOLDS)


def fold(text: str) -> str:
    """The text with plain letters; combining marks that stand by themselves are joined to their letters first."""
    return unicodedata.normalize("NFC", text).translate(_TABLE)


def words_of(column: str) -> Expression:
    """The texts of an array column as one text, in PostgreSQL; a function of migration 0010."""
    return Func(F(column), function="catalog_words_of", output_field=TextField())


def folded(column: str | Expression) -> Expression:
    """The same of a column, in PostgreSQL."""
    return Func(
        F(column) if isinstance(column, str) else column,
        Value(MARKED),
        Value(PLAIN),
        function="translate",
        output_field=TextField(),
    )
