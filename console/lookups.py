"""How a search box compares: a word that was typed must begin a word of the column, wherever that stands."""

from __future__ import annotations

import re
from typing import Any

from django.db.models import CharField, Lookup, TextField


@CharField.register_lookup
@TextField.register_lookup
class BeginsWord(Lookup):
    """``name__begins_word="rover"`` finds “Land Rover” and “Rover”, in capitals or not, but not “Drover”.

    What begins with no letter and no digit is found anywhere.
    """

    lookup_name = "begins_word"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        column, parameters = self.process_lhs(compiler, connection)
        typed = str(self.rhs).replace("\0", "").encode(errors="ignore").decode()
        literal = re.sub(r"([^\w\s])", r"\\\1", typed)
        begins = r"\m" if re.match(r"\w", typed) else ""
        return f"{column}::text ~* %s", [*parameters, begins + literal]
