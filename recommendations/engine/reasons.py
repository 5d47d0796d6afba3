"""Why this car: the terms of a score -> one sentence for a buyer, or a table for an operator.

Both read the same terms. A buyer reads what makes the car stand out from the average one on sale, and only what
speaks for it; an operator sees everything, adding up to the score.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Terms = Mapping[str, float]
Facts = Mapping[str, Any]

NOTHING: Mapping[str, Any] = {}
MOST_POINTS = 3  # of one sentence
WORTH_SAYING = 0.25  # of the strongest point; less is noise
ROUNDING = 1e-9  # a remainder of a score below this is none
LOW_MILEAGE_KM = 50_000.0  # where no typical value is given
NEARBY_KM = 50.0
RECENT_DAYS = 7.0

BODIES = {
    "hatchback": ("hatchback", "hatchbacks"), "saloon": ("saloon", "saloons"), "estate": ("estate", "estates"),
    "suv": ("SUV", "SUVs"), "coupe": ("coupé", "coupés"), "convertible": ("convertible", "convertibles"),
    "mpv": ("MPV", "MPVs"), "pickup": ("pickup", "pickups"), "van": ("van", "vans"),
}  # fmt: skip
ADJECTIVES = {  # where the stored word is not the spoken one; an empty one is not worth saying
    "drive": {"all": "four-wheel-drive", "front": "front-wheel-drive", "rear": "rear-wheel-drive"},
    "gearbox": {"semi_automatic": "semi-automatic"},
    "fuel": {"plugin_hybrid": "plug-in hybrid", "lpg": "LPG", "cng": "CNG", "other": ""},
    "colour": {"other": ""},
}
ADJECTIVE_ORDER = ("colour", "drive", "gearbox", "fuel")
CATEGORIES = ("make", "model", "body", *ADJECTIVE_ORDER, "seller")  # fields a reason may name
SELLERS = {"dealer": ("a dealer", "dealers"), "private": ("a private seller", "private sellers")}
CURRENCY_SIGNS = {"GBP": "£", "EUR": "€", "USD": "$"}
SPOKEN_AS_WORDS = {"KIA", "RAM", "MAN", "DAF", "GAZ"}  # among capitals of at most three letters

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
    lines = [(LABELS.get(name, name.capitalize()), float(value)) for name, value in terms.items() if value]
    remainder = float(score) - sum(value for _, value in lines)
    if abs(remainder) > ROUNDING:
        lines.append(("Not accounted for", remainder))
    return sorted(lines, key=lambda line: -abs(line[1]))


def reason_for(
    terms: Terms,
    baseline: Terms,
    *,
    source: str,
    facts: Facts,
    typical: Mapping[str, float] = NOTHING,
    is_personal: bool = True,
) -> str:
    """One sentence for the buyer.

    Args:
        terms: What each field adds to the score of this car for this buyer, as from ``Ranker.breakdown``.
        baseline: The same for the average live listing; a term it lacks is 0 there. A field is mentioned only when it
            adds something, and more than it does for the average car.
        source: Where the candidate came from: "taste", "content", "collaborative", "neighbours", "trending", "fresh",
            "new arrivals", "exploration", "promoted", "similar", "saved search", "price drop", "newest". Any other
            counts as "taste".
        facts: What a card shows of the listing, whatever is known: make and model by name; body, fuel, gearbox,
            drive, colour and seller_kind as stored; year, price, currency, mileage_km, power_kw, engine_l,
            consumption_l_100km, tags. Also ``days_on_sale``, ``price_drop`` (an amount), ``is_below_market``
            (whether the price lies below the range of such cars), ``distance_km``, ``has_history`` (whether the buyer
            looked at any car; left out, it is taken for true), ``budget`` (the most that the buyer said or searched
            for, where this car costs no more), and ``evidence``: field -> what the buyer did with cars of the same
            value (a key of ``DONE``). To a known buyer only fields with evidence are named.
        typical: Usual mileage_km, power_kw and consumption_l_100km among live listings: what "low mileage" means.
        is_personal: Whether the taste is the buyer's own; a cold buyer reads about other buyers instead.

    Returns:
        A sentence with its full stop, never empty.
    """
    points = strong_points(_claimable(terms, facts, is_personal), baseline, facts, typical)
    sentence = _of_the_source(source, points, facts, is_personal)
    if sentence is None and points and points[0] in OF_THE_MARKET:
        sentence = OF_THE_MARKET[points[0]](facts, is_personal)
    if sentence is None:
        sentence = _of_the_car([point for point in points if point not in OF_THE_MARKET], facts, is_personal)
        sentence = ", ".join([sentence, *(ASIDES[point] for point in points if point in ASIDES)])
    return f"{sentence}."


def _claimable(terms: Terms, facts: Facts, is_personal: bool) -> Terms:
    """The terms that a sentence may name to this buyer: those with evidence, and what is true for every buyer."""
    claimed = {*_evidence(facts), *(("price",) if facts.get("budget") else ())} if is_personal else set(CATEGORIES)
    return {
        name: value
        for name, value in terms.items()
        if name in claimed or name in OF_THE_MARKET or name in ASIDES or name == "tags"
    }


def strong_points(terms: Terms, baseline: Terms, facts: Facts, typical: Mapping[str, float]) -> list[str]:
    """Fields that lift this car above the average one and can be put into words, the strongest first, at most three."""
    lifts = {name: value - baseline.get(name, 0.0) for name, value in terms.items() if value > 0}
    sayable = [name for name, lift in lifts.items() if lift > 0 and _is_claimable(name, facts, typical)]
    sayable.sort(key=lambda name: -lifts[name])
    return [name for name in sayable[:MOST_POINTS] if lifts[name] >= WORTH_SAYING * lifts[sayable[0]]]


# --- Sentences -------------------------------------------------------------------------------------------------------


def _of_the_source(source: str, points: Sequence[str], facts: Facts, is_personal: bool) -> str | None:
    """What the way a candidate was found says about it; None where that says nothing."""
    match source:
        case "similar":
            return "Much like the car you are looking at"
        case "saved search":
            return "Matches one of your saved searches"
        case "price drop" if facts.get("price_drop"):
            return "Its price has just fallen"
        case "trending":
            return f"Popular with buyers right now{_within_budget(facts, is_personal)}"
        case "fresh" | "newest" | "new arrivals":
            return f"{_newness(facts)}{_within_budget(facts, is_personal)}"
        case "promoted":
            return f"Promoted by its seller{_within_budget(facts, is_personal)}"
        case "neighbours" if is_personal:
            return _of_similar_buyers(is_personal)
        case "exploration":
            return "Something a little different from what you have seen" if is_personal else "Something different"
    return None


def _within_budget(facts: Facts, is_personal: bool) -> str:
    return f" and within your budget of {_money(facts['budget'], facts)}" if is_personal and facts.get("budget") else ""


def _newness(facts: Facts) -> str:
    days = facts.get("days_on_sale")
    if days is None or days > 30:
        return "One of the newest"
    return "New today" if days < 1 else "New this week" if days <= 7 else "New this month"


def _of_similar_buyers(is_personal: bool) -> str:
    if is_personal:
        return "Buyers of what you looked at also look at cars like this"
    return "Many buyers look at cars like this"


OF_THE_MARKET: Mapping[str, Callable[[Facts, bool], str]] = {  # what is said when it matters most
    SIMILAR_BUYERS: lambda facts, is_personal: _of_similar_buyers(is_personal),
    ARCHETYPE: lambda facts, is_personal: _of_similar_buyers(True),
    DEMAND: lambda facts, is_personal: "Popular with buyers right now",
    FRESHNESS: lambda facts, is_personal: _newness(facts),
    DEAL: lambda facts, is_personal: "Priced below what such cars usually cost",
    DISTANCE: lambda facts, is_personal: "Close to you",
}
ASIDES: Mapping[str, str] = {  # what is said besides, when it matters: of the car, not of the buyer
    "mileage": "with low mileage",
    "power": "with plenty of power",
    "consumption": "with low fuel consumption",
    DEAL: "priced below what such cars usually cost",
    DISTANCE: "close to you",
}
DONE = {  # how the evidence of one field is said: of a make or model, and of any other field
    "contacted": ("like those you contacted the seller of", "Because you contacted sellers of"),
    "liked": ("like those you liked", "Because you liked"),
    "opened": ("like those you opened", "Because you opened"),
    "searched": ("as you searched for", "Because you searched for"),
    "set": ("as you said you look for", "Because you said you look for"),
}


def _of_the_buyer(points: Sequence[str], facts: Facts) -> str:
    """The strongest field of this car for which the buyer's own log has evidence; one field, so that it is exact."""
    for point in points:
        if point == "price" and facts.get("budget"):
            return f"Within your budget of {_money(facts['budget'], facts)}"
        if done := _evidence(facts).get(point):
            return _done(point, done, facts)
    return "A good match overall for what you look for"


def _done(point: str, done: str, facts: Facts) -> str:
    of_make, of_other = DONE[done]
    if point in ("make", "model"):
        name = with_article(_name(facts, with_model=point == "model"), capital=True)
        return f"{name} {of_make}" if of_make.startswith("like") else f"{name}, {of_make}"
    return f"{of_other} {_plural(point, facts)}"


def _plural(point: str, facts: Facts) -> str:
    """Cars that have this car's value of one field: "estates", "diesel cars", "cars sold by dealers"."""
    if point == "body":
        return BODIES[facts["body"]][1]
    return (
        f"cars sold by {SELLERS[facts['seller_kind']][1]}" if point == "seller" else f"{_adjective(point, facts)} cars"
    )


def _evidence(facts: Facts) -> Mapping[str, str]:
    return facts.get("evidence") or {}


def _of_the_car(points: Sequence[str], facts: Facts, is_personal: bool) -> str:
    if "tags" in points and not _noun_known(facts):
        return f"Because {'you like' if is_personal else 'many like'} {_listed(sorted(facts['tags'])[:2])}"
    if is_personal:
        return _of_the_buyer(points, facts)
    for point in points:
        if point in ("make", "model"):
            name = with_article(_name(facts, with_model=point == "model"), capital=True)
            return f"{name} like those many buyers look for"
        if point in CATEGORIES:
            return f"Because many buyers look for {_plural(point, facts)}"
    return "The kind of car many buyers look for"


# --- Words -----------------------------------------------------------------------------------------------------------


def _is_claimable(name: str, facts: Facts, typical: Mapping[str, float]) -> bool:
    """Whether the facts give words for a field, and words that are true: a mileage is only called low if it is."""
    known = facts.get
    if name in ADJECTIVE_ORDER:
        return bool(_adjective(name, facts))
    checks = {
        "make": lambda: bool(known("make")),
        "model": lambda: bool(known("model")),
        "body": lambda: known("body") in BODIES,
        "seller": lambda: known("seller_kind") in SELLERS,
        "price": lambda: (known("price") or 0) > 0,
        "tags": lambda: bool(known("tags")),
        "mileage": lambda: _below(known("mileage_km"), 0.8 * typical.get("mileage_km", LOW_MILEAGE_KM / 0.8)),
        "consumption": lambda: _below(known("consumption_l_100km"), 0.9 * typical.get("consumption_l_100km", 0.0)),
        "power": lambda: (known("power_kw") or 0) > 1.1 * typical.get("power_kw", float("inf")),
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


def _adjective(name: str, facts: Facts) -> str:
    value = str(facts.get(name) or "").strip().lower()
    return ADJECTIVES.get(name, {}).get(value, value.replace("_", " "))


def _money(amount: float, facts: Facts) -> str:
    currency = facts.get("currency") or ""
    sign = CURRENCY_SIGNS.get(currency, f"{currency} " if currency else "")
    return f"{sign}{float(amount):,.0f}"


def _joined(*words: str) -> str:
    return " ".join(word for word in words if word)


def _listed(things: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)


def with_article(phrase: str, *, capital: bool = False) -> str:
    """ "a" or "an" before it, by sound: an automatic, an SUV, an MG, an 8-seater, a BMW, a SEAT, a Unimog."""
    article = "an" if _begins_with_vowel_sound(phrase.split()[0]) else "a"
    return f"{article.capitalize() if capital else article} {phrase}"


def _begins_with_vowel_sound(word: str) -> bool:
    start = re.match(r"\d+|[^\W\d_]*", word)
    letters = start.group() if start else ""
    if letters[:1].isdigit():
        return letters[0] == "8" or letters in ("11", "18")
    if len(letters) == 1 or _is_spelled_out(letters):
        return letters[0].upper() in "AEFHILMNORSX"
    if letters.casefold().startswith(("uni", "use", "util", "eu", "one")):
        return False
    return letters[:1].casefold() in tuple("aeiouáéíóúåäöü")


def _is_spelled_out(word: str) -> bool:
    """MG and SUV are, SEAT and MINI are not."""
    return word.isupper() and len(word) <= 3 and word not in SPOKEN_AS_WORDS
