"""How search boxes find the rows of a person: by all words of the name in any order, or what they are known by."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from accounts.models import User

WORDS_SEARCHED = 20  # of a search; each is one more condition
PEOPLE_FOUND = 200  # who else is called so is found by more words
OF_A_PERSON = "Words of the name, in any order, or the beginning of the email"
OF_A_BUYER = "Words of the buyer's name, in any order; email, client system's id or visitor key, from its beginning"


def person_fields(path: str = "") -> list[str]:
    """Search fields of rows that lead to an account by ``path``, such as ``user__``."""
    return [f"{path}email__istartswith", f"{path}first_name__begins_word", f"{path}last_name__begins_word"]


def people_found(typed: str) -> QuerySet[User]:
    """Accounts in whose email, first or last name each word that was typed begins a word."""
    found = User.objects.all()
    for word in typed.split()[:WORDS_SEARCHED]:
        is_name = Q(first_name__begins_word=word) | Q(last_name__begins_word=word)
        found = found.filter(Q(email__startswith=word.lower()) | is_name)
    return found


def buyers_found(typed: str, path: str = "") -> Q:
    """Condition on rows that lead to a buyer by ``path``, such as ``buyer__``.

    Each alternative is answered by an index of its own, so the people are looked up first.
    """
    people = list(people_found(typed).values_list("pk", flat=True)[:PEOPLE_FOUND])
    begins = Q(**{f"{path}external_id__startswith": typed}) | Q(**{f"{path}visitor_key__startswith": typed})
    return begins | Q(**{f"{path}user_id__in": people})


class FindsBuyers:
    """For pages of rows with a buyer, who finds them, too; ``search_fields`` are those of the rows' own."""

    search_help_text: Any = OF_A_BUYER
    search_fields: Any = ["buyer__external_id__exact"]  # shows the search box

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        own, may_repeat = super().get_search_results(request, queryset, search_term)  # type: ignore[misc]
        if not (typed := search_term.replace("\0", "").strip()):
            return own, may_repeat
        return own | queryset.filter(buyers_found(typed, "buyer__")), may_repeat
