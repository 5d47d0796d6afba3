"""Why this car: the terms of a score -> what one sentence for a buyer says, or a table for an operator.

Both read the same terms. A buyer reads what makes the car stand out from the average one on sale, and only what
speaks for it; an operator sees everything, adding up to the score. What is said to a buyer is decided here, as a
``Reason`` without words; ``serving.wording`` says it in the language of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from catalog import attributes

Terms = Mapping[str, float]
Facts = Mapping[str, Any]

NOTHING: Mapping[str, Any] = {}
MOST_POINTS = 3  # of one sentence
MOST_TAGS = 2
WORTH_SAYING = 0.25  # of the strongest point; less is noise
ROUNDING = 1e-9  # a remainder of a score below this is none
NEARBY_KM = 50.0
RECENT_DAYS = 7.0
MONTH_DAYS = 30.0

SELLERS = ("dealer", "private")
SILENT = "other"  # the value of any category that is not worth saying
# Fields a reason may name
CATEGORIES = ("make", "model", *(category.name for category in attributes.CATEGORIES), "seller")

SIMILAR_BUYERS, ARCHETYPE, DEMAND = "similar buyers", "archetype", "demand"
FRESHNESS, DEAL, DISTANCE, CONGESTION, BASE = "freshness", "deal", "distance", "crowding", "base"
LABELS = {
    "mileage": "Mileage", "consumption": "Fuel consumption", "engine": "Engine size", "seller": "Kind of seller",
    "title": "Words of the title", SIMILAR_BUYERS: "What similar buyers like", DEMAND: "Recent demand",
    ARCHETYPE: "Cars like those looked at lately", FRESHNESS: "How new the advert is",
    DEAL: "Price against that of similar cars", DISTANCE: "Distance", CONGESTION: "Buyers interested already",
    BASE: "Base, the same for every car",
}  # fmt: skip


def operator_breakdown(terms: Terms, score: float) -> list[tuple[str, float]]:
    """The terms of a score under readable labels, the largest first; the values add up to the score within 1e-6.

    Terms of exactly 0 are left out. What the terms do not explain is not hidden among them but has a line of its own.
    """
    lines = [(LABELS.get(name, name[:1].upper() + name[1:]), float(value)) for name, value in terms.items() if value]
    remainder = float(score) - sum(value for _, value in lines)
    if abs(remainder) > ROUNDING:
        lines.append(("Not accounted for", remainder))
    return sorted(lines, key=lambda line: -abs(line[1]))


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


DONE = (Kind.OPENED, Kind.SEARCHED, Kind.SET, Kind.LIKED, Kind.CONTACTED)  # what evidence may say


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
        field: The field of the car that it names, of ``CATEGORIES``; '' where it names none.
        value: The car's value of that field: as stored, in small letters; of a make or model the name, a model's with
            its make.
        tags: What the car is tagged with, at most two, for ``LIKES_TAGS`` and ``MANY_LIKE_TAGS``.
        budget: The most that the buyer would pay, where the sentence says that the car costs no more.
        asides: What is said besides: keys of ``ASIDES``, the strongest first.
        says: A statement of the source's or term's own, in place of the kind's: in English, marked for translation.
    """

    kind: Kind
    field: str = ""
    value: str = ""
    tags: tuple[str, ...] = ()
    budget: Money | None = None
    asides: tuple[str, ...] = ()
    says: str = ""


def reason_for(
    terms: Terms,
    baseline: Terms,
    *,
    facts: Facts,
    of_the_source: Reason | None = None,
    typical: Mapping[str, float] = NOTHING,
    is_personal: bool = True,
) -> Reason:
    """What one sentence says to the buyer.

    Args:
        terms: What each field adds to the score of this car for this buyer, as from ``Ranker.breakdown``.
        baseline: The same for the average live listing; a term it lacks is 0 there. A field is mentioned only when it
            adds something, and more than it does for the average car.
        facts: What a card shows of the listing, whatever is known: make and model by name; seller_kind, year, price,
            currency, tags and the columns of ``catalog.attributes`` as stored. Also ``days_on_sale``, ``price_drop``
            (an amount), ``is_below_market`` (whether the price lies below the range of such cars), ``distance_km``,
            ``has_history`` (whether the buyer looked at any car; left out, it is taken for true), ``budget`` (the most
            that the buyer said or searched for, where this car costs no more), and ``evidence``: field -> what the
            buyer did with cars of the same value (a value of ``DONE``). To a known buyer only fields with evidence are
            named.
        of_the_source: What the way it was found says about it; None where that says nothing.
        typical: Medians of the live listings, by column: what "low mileage" means.
        is_personal: Whether the taste is the buyer's own; a cold buyer reads about other buyers instead.
    """
    points = strong_points(_claimable(terms, facts, is_personal), baseline, facts, typical)
    if of_the_source:
        return of_the_source
    if points and points[0] in OF_THE_MARKET:
        return OF_THE_MARKET[points[0]](facts, is_personal)
    named = [point for point in points if point not in OF_THE_MARKET]
    asides = tuple(point for point in points if point in ASIDES)
    return replace(_of_the_car(named, facts, is_personal), asides=asides)


def _claimable(terms: Terms, facts: Facts, is_personal: bool) -> Terms:
    """The terms that a sentence may name to this buyer: those with evidence, and what is true for every buyer."""
    claimed = {*_evidence(facts), *(("price",) if facts.get("budget") else ())} if is_personal else set(CATEGORIES)
    return {
        name: value
        for name, value in terms.items()
        if name in claimed or name in OF_THE_MARKET or name in ASIDES or name == "tags"
    }


def strong_points(terms: Terms, baseline: Terms, facts: Facts, typical: Mapping[str, float]) -> list[str]:
    """Fields that lift this car above the average one and are worth saying, the strongest first, at most three."""
    lifts = {name: value - baseline.get(name, 0.0) for name, value in terms.items() if value > 0}
    sayable = [name for name, lift in lifts.items() if lift > 0 and _is_claimable(name, facts, typical)]
    sayable.sort(key=lambda name: -lifts[name])
    return [name for name in sayable[:MOST_POINTS] if lifts[name] >= WORTH_SAYING * lifts[sayable[0]]]


# --- What is said ----------------------------------------------------------------------------------------------------


def budget_in(facts: Facts, is_personal: bool) -> Money | None:
    """The buyer's budget, where the car is within it and the list is their own."""
    return _budget(facts) if is_personal else None


def newness_of(facts: Facts, is_personal: bool) -> Reason:
    """How new the advert is, and that it is within the buyer's budget."""
    return Reason(_newness(facts), budget=budget_in(facts, is_personal))


def _budget(facts: Facts) -> Money | None:
    return Money(float(facts["budget"]), facts.get("currency") or "") if facts.get("budget") else None


def _newness(facts: Facts) -> Kind:
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


OF_THE_MARKET: Mapping[str, Callable[[Facts, bool], Reason]] = {  # what is said when it matters most
    SIMILAR_BUYERS: lambda facts, is_personal: Reason(Kind.LIKE_MINDED if is_personal else Kind.MANY_LOOK),
    ARCHETYPE: lambda facts, is_personal: Reason(Kind.LIKE_MINDED),
    DEMAND: lambda facts, is_personal: Reason(Kind.POPULAR),
    FRESHNESS: lambda facts, is_personal: Reason(_newness(facts)),
    DEAL: lambda facts, is_personal: Reason(Kind.BELOW_MARKET),
    DISTANCE: lambda facts, is_personal: Reason(Kind.NEARBY),
}
NUMBERS = {number.name: number for number in attributes.NUMBERS if number.aside}
ASIDES = (*NUMBERS, DEAL, DISTANCE)  # what is said besides: of the car, not of the buyer


def _of_the_buyer(points: Sequence[str], facts: Facts) -> Reason:
    """The strongest field of this car for which the buyer's own log has evidence; one field, so that it is exact."""
    for point in points:
        if point == "price" and (budget := _budget(facts)):
            return Reason(Kind.WITHIN_BUDGET, budget=budget)
        if done := _evidence(facts).get(point):
            return Reason(Kind(done), point, _value(point, facts))
    return Reason(Kind.MATCH)


def _of_the_car(points: Sequence[str], facts: Facts, is_personal: bool) -> Reason:
    if "tags" in points and not _noun_known(facts):
        tags = tuple(sorted(facts["tags"])[:MOST_TAGS])
        return Reason(Kind.LIKES_TAGS if is_personal else Kind.MANY_LIKE_TAGS, tags=tags)
    if is_personal:
        return _of_the_buyer(points, facts)
    for point in points:
        if point in CATEGORIES:
            return Reason(Kind.MANY_LOOK_FOR, point, _value(point, facts))
    return Reason(Kind.USUAL)


def _value(point: str, facts: Facts) -> str:
    """The car's value of one field, as ``Reason`` has it."""
    if point in ("make", "model"):
        return _name(facts, with_model=point == "model")
    return str(facts["seller_kind"]) if point == "seller" else _plain_value(point, facts)


def _evidence(facts: Facts) -> Mapping[str, str]:
    return facts.get("evidence") or {}


# --- What may be said ------------------------------------------------------------------------------------------------


def _is_claimable(name: str, facts: Facts, typical: Mapping[str, float]) -> bool:
    """Whether the facts hold something to say of a field, and something true: a mileage is only called low if it is."""
    known = facts.get
    attribute = attributes.BY_NAME.get(name)
    if isinstance(attribute, attributes.Category):
        return bool(_plain_value(name, facts))
    if isinstance(attribute, attributes.Number):
        median = typical.get(attribute.column)
        return attribute.aside is not None and attribute.aside.holds(known(attribute.column), median)
    checks = {
        "make": lambda: bool(known("make")),
        "model": lambda: bool(known("model")),
        "seller": lambda: known("seller_kind") in SELLERS,
        "price": lambda: (known("price") or 0) > 0,
        "tags": lambda: bool(known("tags")),
        SIMILAR_BUYERS: lambda: known("has_history") is not False,
        ARCHETYPE: lambda: known("has_history") is not False,
        DEMAND: lambda: True,
        FRESHNESS: lambda: _below(known("days_on_sale"), RECENT_DAYS),
        DEAL: lambda: bool(known("is_below_market")),
        DISTANCE: lambda: _below(known("distance_km"), NEARBY_KM),
    }
    return name in checks and checks[name]()


def _below(value: float | None, bound: float) -> bool:
    return value is not None and value < bound


def _noun_known(facts: Facts) -> bool:
    return any(facts.get(name) for name in ("make", "model", "body", "price"))


def _name(facts: Facts, *, with_model: bool) -> str:
    make, model = facts.get("make") or "", (facts.get("model") or "") if with_model else ""
    return model if make and model.casefold().startswith(make.casefold()) else _joined(make, model)


def _plain_value(name: str, facts: Facts) -> str:
    """The value of an attribute in small letters; '' where it is unknown or not worth saying."""
    category = attributes.BY_NAME[name]
    value = str(facts.get(category.column) or "").strip().lower()
    if value == SILENT or not isinstance(category, attributes.Category):
        return ""
    return value if category.says_others or value in category.phrases else ""


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)
