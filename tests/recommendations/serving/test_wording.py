"""What a buyer reads: reasons in words, the English ones here; tests/test_translations.py asks for the others."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.engine.reason import Money
from recommendations.engine.reasons import reason_for
from recommendations.serving.sources import reason_of_source
from recommendations.serving.wording import begins_with_vowel_sound, sentence

CAR = {
    "make": "Skoda", "model": "Octavia", "body": "estate", "fuel": "diesel", "gearbox": "automatic", "drive": "front",
    "colour": "blue", "seller_kind": "dealer", "year": 2018, "price": 11_990, "currency": "GBP", "mileage_km": 40_000,
    "power_kw": 110, "engine_l": 2.0, "consumption_l_100km": 4.8, "tags": ["tow bar"], "days_on_sale": 3,
}  # fmt: skip


def reason(terms, baseline=None, source="taste", car=CAR, **options):
    said = reason_of_source(source, car, options.get("is_personal", True))
    return sentence(reason_for(terms, baseline or {}, facts=car, of_the_source=said, **options))


# --- Sentences -------------------------------------------------------------------------------------------------------


SEEN = dict.fromkeys(("make", "model", "body", "fuel", "gearbox", "drive", "colour", "seller"), "opened")
KNOWN = CAR | {"evidence": SEEN, "budget": Money(12_500.0, "GBP")}


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        ({"body": 1.0, "gearbox": 0.8, "price": 0.9}, "Because you opened estates."),
        ({"gearbox": 1.0}, "Because you opened automatic cars."),
        ({"drive": 1.0, "age": 2.0}, "Because you opened front-wheel-drive cars."),
        ({"seller": 1.0}, "Because you opened cars sold by dealers."),
        ({"make": 1.0, "mileage": 0.5}, "A Skoda like those you opened, with low mileage."),
        ({"model": 1.0, "gearbox": 0.5}, "A Skoda Octavia like those you opened."),
        ({"price": 1.0, "body": 0.5}, "Within your budget of £12,500."),
        ({"demand": 1.0, "price": 0.5}, "Popular with buyers right now."),
        ({}, "A good match overall for what you look for."),
        ({"title": 1.0}, "A good match overall for what you look for."),
        ({"age": 1.0, "engine": 1.0}, "A good match overall for what you look for."),
    ],
)
def test_the_strongest_point_with_evidence_makes_the_sentence(terms, sentence):
    assert reason(terms, car=KNOWN) == sentence


@pytest.mark.parametrize(
    ("done", "of_make", "of_body"),
    [
        ("opened", "A Skoda like those you opened.", "Because you opened estates."),
        ("liked", "A Skoda like those you liked.", "Because you liked estates."),
        ("contacted", "A Skoda like those you contacted the seller of.", "Because you contacted sellers of estates."),
        ("searched", "A Skoda, as you searched for.", "Because you searched for estates."),
        ("set", "A Skoda, as you said you look for.", "Because you said you look for estates."),
    ],
)
def test_evidence_is_said_as_what_it_is(done, of_make, of_body):
    car = CAR | {"evidence": {"make": done, "body": done}}
    assert reason({"make": 1.0}, car=car) == of_make
    assert reason({"body": 1.0}, car=car) == of_body


@pytest.mark.parametrize("point", ["make", "model", "body", "fuel", "gearbox", "drive", "colour", "seller", "price"])
def test_without_evidence_nothing_is_said_of_a_buyer(point):
    assert reason({point: 1.0}) == "A good match overall for what you look for."


@pytest.mark.parametrize(
    ("terms", "known", "sentence"),
    [
        ({"deal": 1.0}, {"is_below_market": True}, "Priced below what such cars usually cost."),
        (
            {"body": 1.0, "deal": 0.5},
            {"is_below_market": True},
            "Because you opened estates, priced below what such cars usually cost.",
        ),
        ({"deal": 1.0, "body": 0.9}, {"is_below_market": False}, "Because you opened estates."),
        ({"deal": 1.0, "body": 0.9}, {}, "Because you opened estates."),
        ({"distance": 1.0}, {"distance_km": 12.4}, "Close to you."),
        ({"body": 1.0, "distance": 0.5}, {"distance_km": 0.2}, "Because you opened estates, close to you."),
        ({"distance": 1.0, "body": 0.9}, {"distance_km": 80.0}, "Because you opened estates."),
        ({"freshness": 1.0}, {"days_on_sale": 3}, "New this week."),
        ({"freshness": 1.0, "body": 0.9}, {"days_on_sale": 30}, "Because you opened estates."),
        ({"archetype": 1.0}, {"has_history": True}, "Buyers of what you looked at also look at cars like this."),
        ({"similar buyers": 1.0}, {"has_history": False}, "A good match overall for what you look for."),
        ({"base": 9.0, "crowding": -1.0, "body": 1.0}, {}, "Because you opened estates."),
    ],
)
def test_the_market_is_a_reason_where_it_matters_and_where_it_is_true(terms, known, sentence):
    assert reason(terms, car=KNOWN | known) == sentence


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("trending", "Popular with buyers right now and within your budget of £12,500."),
        ("fresh", "New this week and within your budget of £12,500."),
        ("neighbours", "Buyers of what you looked at also look at cars like this."),
        ("exploration", "Something a little different from what you have seen."),
        ("similar", "Much like the car you are looking at."),
        ("saved search", "Matches one of your saved searches."),
        ("price drop", "Its price has just fallen."),
        ("content", "Within your budget of £12,500."),
        ("collaborative", "Within your budget of £12,500."),
        ("new arrivals", "New this week and within your budget of £12,500."),
        ("promoted", "Promoted by its seller and within your budget of £12,500."),
    ],
)
def test_a_source_has_a_reason_of_its_own(source, sentence):
    assert reason({"price": 1.0}, source=source, car=KNOWN | {"price_drop": 750}) == sentence


@pytest.mark.parametrize(
    ("days", "newness"),
    [
        (0, "New today"),
        (7, "New this week"),
        (20, "New this month"),
        (90, "One of the newest"),
        (None, "One of the newest"),
    ],
)
def test_new_is_only_as_new_as_it_is(days, newness):
    assert reason({}, source="fresh", car={"days_on_sale": days}) == f"{newness}."


def test_a_budget_that_the_buyer_never_set_is_not_claimed():
    assert reason({"price": 1.0}, source="trending") == "Popular with buyers right now."


def test_a_fall_in_price_that_is_unknown_is_not_claimed():
    assert reason({"price": 1.0}, source="price drop", car=KNOWN) == "Within your budget of £12,500."


@pytest.mark.parametrize(
    ("terms", "source", "sentence"),
    [
        ({"body": 1.0, "price": 0.5}, "taste", "Because many buyers look for estates."),
        ({"make": 1.0}, "taste", "A Skoda like those many buyers look for."),
        ({}, "taste", "The kind of car many buyers look for."),
        ({"price": 1.0}, "fresh", "New this week."),
        ({"similar buyers": 1.0}, "taste", "Many buyers look at cars like this."),
    ],
)
def test_a_cold_buyer_gets_a_reason_that_says_nothing_of_the_buyer(terms, source, sentence):
    assert reason(terms, source=source, is_personal=False, car=KNOWN) == sentence


def test_a_film_is_explained_by_its_genres():
    assert reason({"tags": 1.0}, car={"tags": ("drama", "crime")}) == "Because you like crime and drama."


@given(
    st.dictionaries(st.sampled_from([*SEEN, "price", "age", "mileage", "power", "engine", "consumption", "deal",
                                     "distance", "demand", "freshness", "archetype"]), st.floats(0.1, 5)),
    st.sampled_from(["taste", "fresh", "trending", "price drop", "neighbours", "promoted", "exploration"]),
    st.floats(500, 50_000), st.one_of(st.none(), st.floats(500, 50_000)), st.booleans(),
)  # fmt: skip
def test_the_only_number_of_a_reason_is_the_buyers_own(terms, source, price, budget, is_personal):
    plain = {"make": "Skoda", "model": "Octavia"}
    own = Money(budget, "GBP") if budget else None
    car = KNOWN | plain | {"price": price, "budget": own, "price_drop": 750, "distance_km": 12.3}
    said = reason(terms, source=source, car=car, is_personal=is_personal)
    assert re.findall(r"\d(?:[\d,]*\d)?", said) in ([], [f"{budget:,.0f}" if budget and is_personal else "none"])


# --- What is not said ------------------------------------------------------------------------------------------------


def test_what_counts_against_the_car_is_not_mentioned():
    assert reason({"body": 0.5, "make": -2.0, "price": -0.1}, car=KNOWN) == "Because you opened estates."


def test_what_the_average_car_has_too_is_not_a_reason():
    terms, average = {"price": 1.0, "body": 0.6}, {"price": 1.1, "body": 0.0}
    assert reason(terms, average, car=KNOWN) == "Because you opened estates."


def test_a_high_mileage_is_never_called_low():
    assert "mileage" not in reason({"mileage": 1.0}, car=CAR | {"mileage_km": 180_000})


@pytest.mark.parametrize(
    ("point", "fact", "value", "phrase"),
    [
        ("mileage", "mileage_km", 70_000, "low mileage"),
        ("power", "power_kw", 150, "plenty of power"),
        ("consumption", "consumption_l_100km", 4.0, "low fuel consumption"),
    ],
)
def test_low_and_plenty_are_against_the_usual(point, fact, value, phrase):
    for usual, said in ((value / 2 if point == "power" else value * 2, True), (value, False)):
        said_of_it = reason({point: 1.0}, car=CAR | {fact: value}, typical={fact: usual})
        assert (phrase in said_of_it) is said


@pytest.mark.parametrize(
    "point", ["make", "model", "body", "fuel", "price", "mileage", "age", "seller", "tags", "engine", "power"]
)
@pytest.mark.parametrize("missing", [{}, dict.fromkeys(CAR), {"body": "", "fuel": "", "colour": "", "tags": ()}])
def test_missing_facts_are_passed_over(point, missing):
    assert reason({point: 1.0}, car=missing) == "A good match overall for what you look for."


@pytest.mark.parametrize("value", ["other", ""])
def test_a_category_that_says_nothing_is_passed_over(value):
    car = KNOWN | {"body": value, "fuel": value, "colour": value}
    assert reason({"body": 1.0, "fuel": 1.0, "colour": 1.0, "drive": 0.5}, car=car) == (
        "Because you opened front-wheel-drive cars."
    )


# --- Words -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phrase",
    [
        "a Skoda", "an Audi", "an estate", "an automatic Golf", "an SUV", "an MPV", "an MG", "an LPG Focus", "a BMW",
        "a VW", "a SEAT", "a MINI", "a KIA", "a Unimog", "an Uno", "a Hyundai", "an 8-seater", "a 1.8-litre",
        "a 110", "an X5", "an i30", "a C-Class", "an S-Class", "an F-150", "a Škoda", "an Évasion", "a hybrid",
    ],
)  # fmt: skip
def test_articles_follow_the_sound(phrase):
    article, name = phrase.split(" ", 1)
    assert begins_with_vowel_sound(name) == (article == "an")


@pytest.mark.parametrize(
    ("body", "plural"), [("suv", "SUVs"), ("coupe", "coupés"), ("mpv", "MPVs"), ("pickup", "pickups"), ("van", "vans")]
)
def test_bodies_have_their_plural(body, plural):
    assert reason({"body": 1.0}, car=KNOWN | {"body": body}) == f"Because you opened {plural}."


@pytest.mark.parametrize(
    ("field", "value", "spoken"),
    [
        ("drive", "all", "four-wheel-drive"),
        ("gearbox", "semi_automatic", "semi-automatic"),
        ("fuel", "plugin_hybrid", "plug-in hybrid"),
        ("fuel", "lpg", "LPG"),
    ],
)
def test_stored_words_become_spoken_ones(field, value, spoken):
    assert reason({field: 1.0}, car=KNOWN | {field: value}) == f"Because you opened {spoken} cars."


@pytest.mark.parametrize(
    ("budget", "currency", "said"),
    [(12_000, "GBP", "£12,000"), (5_240.4, "EUR", "€5,240"), (8_400, "CHF", "CHF 8,400"), (130, "", "130")],
)
def test_a_budget_is_said_in_its_own_currency_whatever_the_car_is_advertised_in(budget, currency, said):
    car = CAR | {"budget": Money(budget, currency), "currency": "USD"}
    assert reason({"price": 1.0}, car=car) == f"Within your budget of {said}."


def test_a_model_named_with_its_make_is_not_named_twice():
    car = {"make": "BMW", "model": "BMW 3 Series", "evidence": {"model": "opened"}}
    assert reason({"model": 1.0}, car=car) == "A BMW 3 Series like those you opened."


terms_of_a_score = st.dictionaries(
    st.sampled_from(["price", "make", "model", "body", "age", "similar buyers", "demand", "title", "freshness"]),
    st.floats(-50, 50),
)


@given(
    terms_of_a_score,
    terms_of_a_score,
    st.sampled_from(["taste", "fresh", "trending", "newest", "unheard of"]),
    st.booleans(),
)
def test_there_is_always_one_whole_sentence(terms, baseline, source, is_personal):
    said = reason(terms, baseline, source, is_personal=is_personal)
    assert said[0].isupper()
    assert said.endswith(".")
    assert "  " not in said
