"""Why this car: the terms of a score -> one sentence for a buyer, or a table for an operator.

Both read the same terms. A buyer is told what makes the car stand out from the average one on sale, and only what
speaks for it; an operator sees everything, adding up to the score.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Terms = Mapping[str, float]
Facts = Mapping[str, Any]

NOTHING: Mapping[str, Any] = {}
MOST_POINTS = 3  # of one sentence
WORTH_SAYING = 0.25  # of the strongest point; less is noise
ROUNDING = 1e-9  # a remainder of a score below this is none
LOW_MILEAGE_KM = 50_000.0  # where nobody says what is typical
A_DEAL = 0.05  # as a share of the price; below that it is what such cars cost
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
SELLERS = {"dealer": ("a dealer", "dealers"), "private": ("a private seller", "private sellers")}
CURRENCY_SIGNS = {"GBP": "£", "EUR": "€", "USD": "$"}
SPOKEN_AS_WORDS = {"KIA", "RAM", "MAN", "DAF", "GAZ"}  # among capitals of at most three letters

SIMILAR_BUYERS, ARCHETYPE, DEMAND = "similar buyers", "archetype", "demand"
FRESHNESS, DEAL, DISTANCE, CROWDING, BASE = "freshness", "deal", "distance", "crowding", "base"
LABELS = {
    "mileage": "Mileage", "consumption": "Fuel consumption", "engine": "Engine size", "seller": "Kind of seller",
    "title": "Words of the title", SIMILAR_BUYERS: "What similar buyers like", DEMAND: "Recent demand",
    ARCHETYPE: "Cars like those looked at lately", FRESHNESS: "How new the advert is",
    DEAL: "Price against that of similar cars", DISTANCE: "Distance", CROWDING: "Buyers interested already",
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


def tell_reason(
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
            consumption_l_100km, tags. Also ``days_on_sale``, ``price_drop`` (an amount), ``deal`` (log of the usual
            price over this one), ``distance_km``, and ``is_opened_make``: whether the buyer has opened cars of this
            make, which may then be said.
        typical: Usual mileage_km, power_kw and consumption_l_100km among live listings: what "low mileage" means.
        is_personal: Whether the taste is the buyer's own; a stranger is told of other buyers instead.

    Returns:
        A sentence with its full stop, never empty.
    """
    points = strong_points(terms, baseline, facts, typical)
    told = _of_the_source(source, points, facts, is_personal)
    if told is None and points and points[0] in OF_THE_MARKET:
        told = OF_THE_MARKET[points[0]](facts, is_personal)
    if told is None:
        told = _of_the_car([point for point in points if point not in OF_THE_MARKET], facts, is_personal)
        told = ", ".join([told, *(ASIDES[point](facts) for point in points if point in ASIDES)])
    return f"{told}."


def strong_points(terms: Terms, baseline: Terms, facts: Facts, typical: Mapping[str, float]) -> list[str]:
    """Fields that lift this car above the average one and can be put into words, the strongest first, at most three."""
    lifts = {name: value - baseline.get(name, 0.0) for name, value in terms.items() if value > 0}
    sayable = [name for name, lift in lifts.items() if lift > 0 and _is_sayable(name, facts, typical)]
    sayable.sort(key=lambda name: -lifts[name])
    return [name for name in sayable[:MOST_POINTS] if lifts[name] >= WORTH_SAYING * lifts[sayable[0]]]


# --- Sentences -------------------------------------------------------------------------------------------------------


def _of_the_source(source: str, points: Sequence[str], facts: Facts, is_personal: bool) -> str | None:
    """What the way a candidate was found says about it; None where that says nothing."""
    within_budget = " and within your budget" if is_personal and "price" in points else ""
    match source:
        case "similar":
            return "Much like the car you are looking at"
        case "saved search":
            return "Matches one of your saved searches"
        case "price drop" if facts.get("price_drop"):
            return f"Its price has just fallen by {_money(facts['price_drop'], facts)}"
        case "trending":
            return f"Popular with buyers right now{within_budget}"
        case "fresh" | "newest" | "new arrivals":
            return f"{_newness(facts)}{within_budget}"
        case "promoted":
            return f"Promoted by its seller{within_budget}"
        case "neighbours" | "collaborative":
            return _of_similar_buyers(is_personal)
        case "exploration":
            return "Something a little different from what you have seen" if is_personal else "Something different"
    return None


def _newness(facts: Facts) -> str:
    days = facts.get("days_on_sale")
    if days is None or days > 30:
        return "One of the newest"
    return "New today" if days < 1 else "New this week" if days <= 7 else "New this month"


def _of_similar_buyers(is_personal: bool) -> str:
    return (
        "Buyers with a taste like yours look at cars like this" if is_personal else "Many buyers look at cars like this"
    )


def _saving(facts: Facts) -> str:
    return f"{100 * (1 - math.exp(-facts[DEAL])):.0f} % below similar cars"


def _nearness(facts: Facts) -> str:
    kilometres = round(facts["distance_km"])
    return f"{max(kilometres, 1)} km from you"


OF_THE_MARKET: Mapping[str, Callable[[Facts, bool], str]] = {  # what is said when it matters most
    SIMILAR_BUYERS: lambda facts, is_personal: _of_similar_buyers(is_personal),
    ARCHETYPE: lambda facts, is_personal: "Buyers of what you looked at also look at cars like this",
    DEMAND: lambda facts, is_personal: "Popular with buyers right now",
    FRESHNESS: lambda facts, is_personal: _newness(facts),
    DEAL: lambda facts, is_personal: f"Priced {_saving(facts)}",
    DISTANCE: lambda facts, is_personal: f"Only {_nearness(facts)}",
}
ASIDES: Mapping[str, Callable[[Facts], str]] = {  # what is said besides, when it matters
    DEAL: lambda facts: f"priced {_saving(facts)}",
    DISTANCE: lambda facts: f"only {_nearness(facts)}",
}


def _of_the_car(points: Sequence[str], facts: Facts, is_personal: bool) -> str:
    if not points:
        return "A good match overall for what you look for" if is_personal else "The kind of car many buyers look for"
    if list(points) == ["tags"] and not _noun_known(facts):
        return f"Because {'you like' if is_personal else 'many like'} {_listed(sorted(facts['tags'])[:2])}"
    if "make" in points or "model" in points:
        return _of_this_make(points, facts, is_personal)
    who = "you look" if is_personal else "many buyers look"
    plural = BODIES[facts["body"]][1] if "body" in points else "cars"
    return _joined(f"Because {who} for", *_adjectives(points, facts), plural, *_after(points, facts, plural=True))


def _of_this_make(points: Sequence[str], facts: Facts, is_personal: bool) -> str:
    """ "A Skoda like those you opened, with low mileage"."""
    body = BODIES[facts["body"]][0] if "body" in points else ""
    noun = _joined(*_adjectives(points, facts), _name(facts, with_model="model" in points), body)
    place = _after([point for point in points if point not in WITH], facts, plural=False)
    extras = _after([point for point in points if point in WITH], facts, plural=False)
    liked = "like those you opened" if facts.get("is_opened_make") else "like those you go for"
    if not is_personal:
        liked = "like those many buyers look for"
    sentence = _joined(with_article(noun, capital=True), *place)
    sentence += f", {liked}" if place else f" {liked}"
    return f"{sentence}, {_joined(*extras)}" if extras else sentence


def _adjectives(points: Sequence[str], facts: Facts) -> list[str]:
    return [_adjective(name, facts) for name in ADJECTIVE_ORDER if name in points]


def _after(points: Sequence[str], facts: Facts, *, plural: bool) -> list[str]:
    """What follows the noun: where it is from, what it costs, what it has."""
    phrases = []
    if "age" in points:
        phrases.append(f"from around {int(facts['year'])}" if plural else f"from {int(facts['year'])}")
    if "seller" in points:
        phrases.append(f"sold by {SELLERS[facts['seller_kind']][plural]}")
    if "price" in points:
        phrases.append(f"around {_money(_round_price(facts['price']), facts)}")
    if having := [phrase(facts) for name, phrase in WITH.items() if name in points]:
        phrases.append(f"with {_listed(having)}")
    return phrases


WITH = {  # what a car comes "with"
    "mileage": lambda facts: "low mileage",
    "power": lambda facts: "plenty of power",
    "engine": lambda facts: with_article(f"{facts['engine_l']:.1f}-litre engine"),
    "consumption": lambda facts: "low fuel consumption",
    "tags": lambda facts: "extras you look for",
}


# --- Words -----------------------------------------------------------------------------------------------------------


def _is_sayable(name: str, facts: Facts, typical: Mapping[str, float]) -> bool:
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
        "age": lambda: bool(known("year")),
        "engine": lambda: (known("engine_l") or 0) > 0,
        "tags": lambda: bool(known("tags")),
        "mileage": lambda: _below(known("mileage_km"), 0.8 * typical.get("mileage_km", LOW_MILEAGE_KM / 0.8)),
        "consumption": lambda: _below(known("consumption_l_100km"), 0.9 * typical.get("consumption_l_100km", 0.0)),
        "power": lambda: (known("power_kw") or 0) > 1.1 * typical.get("power_kw", float("inf")),
        SIMILAR_BUYERS: lambda: True,
        ARCHETYPE: lambda: True,
        DEMAND: lambda: True,
        FRESHNESS: lambda: _below(known("days_on_sale"), RECENT_DAYS),
        DEAL: lambda: (known(DEAL) or 0.0) > A_DEAL,  # nan is no deal either
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


def _round_price(price: float) -> float:
    """As people say it: to the next 500, for cheap things to the next 100, 10 or 1."""
    price = float(price)
    step = 500 if price >= 5_000 else 100 if price >= 500 else 10 if price >= 50 else 1
    return round(price / step) * step


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
