"""The content of a reason, without words; ``serving.wording`` writes it in the language of the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Facts = Mapping[str, Any]

RECENT_DAYS = 7.0
MONTH_DAYS = 30.0


class Kind(StrEnum):
    """What a reason says of the car. What a name means in words stands in ``serving.wording``."""

    SIMILAR = "similar"  # to the car that is looked at
    SAVED_SEARCH = "saved search"
    PRICE_DROP = "price drop"
    POPULAR = "popular"
    NEW_TODAY = "new today"
    NEW_THIS_WEEK = "new this week"
    NEW_THIS_MONTH = "new this month"
    NEWEST = "newest"
    PROMOTED = "promoted"
    LIKE_MINDED = "like-minded"  # buyers of what this buyer looked at also look at such cars
    MANY_LOOK = "many look"  # at such cars
    A_LITTLE_DIFFERENT = "a little different"  # from what this buyer has seen
    DIFFERENT = "different"
    BELOW_MARKET = "below market"
    NEARBY = "nearby"
    WITHIN_BUDGET = "within budget"
    OPENED = "opened"  # these five: what this buyer did with cars of the same value of the field
    SEARCHED = "searched"
    SET = "set"  # in the questionnaire
    LIKED = "liked"
    CONTACTED = "contacted"
    LIKES_TAGS = "likes tags"
    MANY_LIKE_TAGS = "many like tags"
    MANY_LOOK_FOR = "many look for"  # cars of the same value of the field
    MATCH = "match"  # overall, with what this buyer looks for
    USUAL = "usual"  # the kind of car that many look for


@dataclass(frozen=True)
class Money:
    """An amount in a currency (a code of three letters, '' where it is unknown)."""

    amount: float
    currency: str = ""


@dataclass(frozen=True)
class Reason:
    """What one sentence for a buyer says.

    Attributes:
        kind: Which sentence it is.
        field: The field of the car that it names, of ``reasons.CATEGORIES``; '' where it names none.
        value: The car's value of that field: as stored, in small letters; of a make or model the name, a model's with
            its make.
        tags: What the car is tagged with, at most two, for ``LIKES_TAGS`` and ``MANY_LIKE_TAGS``.
        budget: The most that the buyer would pay, where the sentence says that the car costs no more.
        asides: What is said besides: of ``reasons.ASIDES``, the strongest first.
        says: A statement of the source's or term's own, in place of the kind's: in English, marked for translation.
    """

    kind: Kind
    field: str = ""
    value: str = ""
    tags: tuple[str, ...] = ()
    budget: Money | None = None
    asides: tuple[str, ...] = ()
    says: str = ""


def budget_in(facts: Facts, is_personal: bool) -> Money | None:
    """The buyer's budget, where the car is within it and the list is their own."""
    return budget_of(facts) if is_personal else None


def newness_of(facts: Facts, is_personal: bool) -> Reason:
    """How new the advert is, and that it is within the buyer's budget."""
    return Reason(newness(facts), budget=budget_in(facts, is_personal))


def budget_of(facts: Facts) -> Money | None:
    """The most that the buyer would pay, where this car costs no more."""
    return facts.get("budget") or None


def newness(facts: Facts) -> Kind:
    """How new the advert is, as far as it is worth a sentence of its own."""
    days = facts.get("days_on_sale")
    if days is None or days > MONTH_DAYS:
        return Kind.NEWEST
    return Kind.NEW_TODAY if days < 1 else Kind.NEW_THIS_WEEK if days <= RECENT_DAYS else Kind.NEW_THIS_MONTH


def age_class(days_on_sale: float | None) -> int:
    """All that a reason asks of the days on sale: of two ages of one class the same is said."""
    if days_on_sale is None:
        return -1
    return (
        (days_on_sale >= 1) + (days_on_sale >= RECENT_DAYS) + (days_on_sale > RECENT_DAYS) + (days_on_sale > MONTH_DAYS)
    )
