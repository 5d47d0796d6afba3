"""Why this car: the terms of a score -> what one sentence for a buyer says, or a table for an operator.

Both read the same terms. A buyer reads what makes the car stand out from the average one on sale, and only what
speaks for it; an operator sees everything, adding up to the score. What is said to a buyer is decided here, as a
``Reason`` without words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from catalog import attributes
from catalog.attributes import gettext_noop
from recommendations.engine.reason import Facts, Kind, Reason, budget_of
from recommendations.engine.score_terms import SCORE_TERMS

Terms = Mapping[str, float]

NOTHING: Mapping[str, Any] = {}
MOST_POINTS = 3  # of one sentence
MOST_TAGS = 2
WORTH_SAYING = 0.25  # of the strongest point; less is noise
ROUNDING = 1e-6  # a remainder of a score below this is none: vectors are in single precision

SELLERS = ("dealer", "private")
SILENT = "other"  # the value of any category that is not worth saying
# Fields a reason may name
CATEGORIES = ("make", "model", *(category.name for category in attributes.CATEGORIES), "seller")

SIMILAR_BUYERS, CONGESTION, BASE = "similar buyers", "crowding", "base"
UTILITY_CURVE = "utility curve"  # what utility adds beyond its weight, which no feature of the car has a share in
LABELS = {
    "consumption": gettext_noop("Fuel consumption"), "engine": gettext_noop("Engine size"),
    "seller": gettext_noop("Kind of seller"),
    "title": gettext_noop("Words of the title"), SIMILAR_BUYERS: gettext_noop("What similar buyers like"),
    **{term.name: term.label for term in SCORE_TERMS},
    CONGESTION: gettext_noop("Buyers interested already"), BASE: gettext_noop("Base, the same for every car"),
    UTILITY_CURVE: gettext_noop("Utility, beyond its weight"),
}  # fmt: skip


def operator_breakdown(terms: Terms, score: float) -> list[tuple[str, float]]:
    """The terms of a score under readable labels, the largest first; the values add up to the score within 1e-6.

    Terms of exactly 0 are left out. What the terms do not explain is not hidden among them but has a line of its own.
    """
    lines = [(LABELS.get(name, name[:1].upper() + name[1:]), float(value)) for name, value in terms.items() if value]
    remainder = float(score) - sum(value for _, value in lines)
    if abs(remainder) > ROUNDING:
        lines.append((gettext_noop("Not accounted for"), remainder))
    return sorted(lines, key=lambda line: -abs(line[1]))


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
            ``has_history`` (whether the buyer looked at any car; left out, it is taken for true), ``budget``
            (``Money``: the most that the buyer said or searched for, where this car costs no more), ``is_wished``
            (whether it satisfies anything that the buyer asked for; None where they asked for nothing), ``is_saved``
            (whether one of their saved searches finds it), and ``evidence``: field -> what the buyer did with cars of
            the same value (a kind of reason, such as ``opened``). To a known buyer only fields with evidence are named.
        of_the_source: What the way it was found says about it; None where that says nothing.
        typical: Medians of the live listings, by column: what "low mileage" means.
        is_personal: Whether the taste is the buyer's own; a cold buyer reads about other buyers instead.
    """
    points = strong_points(_claimable(terms, facts, is_personal), baseline, facts, typical)
    if of_the_source:
        return of_the_source
    if points and (of_the_market := _of_the_market(points[0], facts, is_personal)):
        return of_the_market
    named = [point for point in points if point not in NAMES_NO_FIELD]
    asides = tuple(point for point in points if point in ASIDES)
    return replace(_of_the_car(named, facts, is_personal), asides=asides)


def _claimable(terms: Terms, facts: Facts, is_personal: bool) -> Terms:
    """The terms that a sentence may name to this buyer: those with evidence, and what is true for every buyer."""
    claimed = {*_evidence(facts), *(("price",) if facts.get("budget") else ())} if is_personal else set(CATEGORIES)
    return {
        name: value
        for name, value in terms.items()
        if name in claimed or name in NAMES_NO_FIELD or name in ASIDES or name == "tags"
    }


def strong_points(terms: Terms, baseline: Terms, facts: Facts, typical: Mapping[str, float]) -> list[str]:
    """Fields that lift this car above the average one and are worth saying, the strongest first, at most three."""
    lifts = {name: value - baseline.get(name, 0.0) for name, value in terms.items() if value > 0}
    sayable = [name for name, lift in lifts.items() if lift > 0 and _is_claimable(name, facts, typical)]
    sayable.sort(key=lambda name: -lifts[name])
    return [name for name in sayable[:MOST_POINTS] if lifts[name] >= WORTH_SAYING * lifts[sayable[0]]]


# --- What is said ----------------------------------------------------------------------------------------------------


SAID_OF_TERMS = {term.name: term for term in SCORE_TERMS if term.reason}
NUMBERS = {number.name: number for number in attributes.NUMBERS if number.aside}
# What is said besides: of the car, not of the buyer
ASIDES = (*NUMBERS, *(term.name for term in SCORE_TERMS if term.aside))


NAMES_NO_FIELD = {SIMILAR_BUYERS, *SAID_OF_TERMS}


def _of_the_market(point: str, facts: Facts, is_personal: bool) -> Reason | None:
    """The reason for a list item on which a term has the largest effect; None for a field of the car."""
    if point == SIMILAR_BUYERS:
        return Reason(Kind.LIKE_MINDED if is_personal else Kind.MANY_LOOK)
    term = SAID_OF_TERMS.get(point)
    return term.reason(facts, is_personal) if term and term.reason else None


def _of_the_buyer(points: Sequence[str], facts: Facts) -> Reason:
    """The strongest field of this car for which the buyer's own log has evidence; one field, so that it is exact."""
    for point in points:
        if point == "price" and (budget := budget_of(facts)):
            return Reason(Kind.WITHIN_BUDGET, budget=budget)
        if done := _evidence(facts).get(point):
            return Reason(Kind(done), point, _value(point, facts))
    return _of_the_wishes(facts)


def _of_the_wishes(facts: Facts) -> Reason:
    """What is said where no field stands out: an answer that the car satisfies, however little it adds to the score.

    A car that satisfies nothing of what was asked for is no match, for a buyer who did nothing else.
    """
    for name, done in _evidence(facts).items():
        if done == Kind.SET and _value(name, facts):
            return Reason(Kind.SET, name, _value(name, facts))
    if facts.get("is_saved"):
        return Reason(Kind.SAVED_SEARCH)
    is_match = facts.get("is_wished") is not False or facts.get("has_history") is not False
    return Reason(Kind.MATCH if is_match else Kind.USUAL)


def _of_the_car(points: Sequence[str], facts: Facts, is_personal: bool) -> Reason:
    if "tags" in points and not _noun_known(facts):
        tags = tuple(sorted(facts["tags"])[:MOST_TAGS])
        return Reason(Kind.LIKES_TAGS if is_personal else Kind.MANY_LIKE_TAGS, tags=tags)
    if is_personal:
        return _of_the_buyer(points, facts)
    if facts.get("is_saved"):
        return Reason(Kind.SAVED_SEARCH)
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
    if name in SAID_OF_TERMS:
        return SAID_OF_TERMS[name].may_be_said(facts)
    checks: dict[str, Callable[[], bool]] = {
        "make": lambda: bool(known("make")),
        "model": lambda: bool(known("model")),
        "seller": lambda: known("seller_kind") in SELLERS,
        "price": lambda: (known("price") or 0) > 0,
        "tags": lambda: bool(known("tags")),
        SIMILAR_BUYERS: lambda: known("has_history") is not False,
    }
    return name in checks and checks[name]()


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
