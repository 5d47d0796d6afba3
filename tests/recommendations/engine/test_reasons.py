"""Reasons: what a buyer reads and what an operator reads, from the same terms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.engine.encoder import ListingTable, fit_encoder
from recommendations.engine.reasons import operator_breakdown, strong_points, tell_reason, with_article

CAR = {
    "make": "Skoda", "model": "Octavia", "body": "estate", "fuel": "diesel", "gearbox": "automatic", "drive": "front",
    "colour": "blue", "seller_kind": "dealer", "year": 2018, "price": 11_990, "currency": "GBP", "mileage_km": 40_000,
    "power_kw": 110, "engine_l": 2.0, "consumption_l_100km": 4.8, "tags": ["tow bar"], "days_on_sale": 3,
}  # fmt: skip


def reason(terms, baseline=None, source="taste", car=CAR, **options):
    return tell_reason(terms, baseline or {}, source=source, facts=car, **options)


# --- Sentences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        (
            {"body": 1.0, "gearbox": 0.8, "price": 0.9},
            "Because you look for automatic estates around £12,000.",
        ),
        ({"price": 1.0}, "Because you look for cars around £12,000."),
        ({"fuel": 1.0, "colour": 0.9}, "Because you look for blue diesel cars."),
        ({"mileage": 1.0}, "Because you look for cars with low mileage."),
        ({"mileage": 1.0, "engine": 0.5}, "Because you look for cars with low mileage and a 2.0-litre engine."),
        ({"age": 1.0, "drive": 0.5}, "Because you look for front-wheel-drive cars from around 2018."),
        ({"seller": 1.0}, "Because you look for cars sold by dealers."),
        ({"make": 1.0}, "A Skoda like those you go for."),
        ({"make": 1.0, "mileage": 0.5}, "A Skoda like those you go for, with low mileage."),
        ({"model": 1.0, "gearbox": 0.5}, "An automatic Skoda Octavia like those you go for."),
        (
            {"make": 1.0, "price": 0.5, "tags": 0.4},
            "A Skoda around £12,000, like those you go for, with extras you look for.",
        ),
        ({"make": 1.0, "body": 0.5, "age": 0.4}, "A Skoda estate from 2018, like those you go for."),
        ({"similar buyers": 1.0, "price": 0.5}, "Buyers with a taste like yours look at cars like this."),
        ({"demand": 1.0, "price": 0.5}, "Popular with buyers right now."),
        ({"price": 1.0, "demand": 0.9}, "Because you look for cars around £12,000."),
        ({}, "A good match overall for what you look for."),
        ({"title": 1.0}, "A good match overall for what you look for."),
    ],
)  # fmt: skip
def test_the_strongest_points_make_the_sentence(terms, sentence):
    assert reason(terms) == sentence


@pytest.mark.parametrize(
    ("terms", "known", "sentence"),
    [
        ({"deal": 1.0}, {"deal": 0.1278}, "Priced 12 % below similar cars."),
        ({"body": 1.0, "deal": 0.5}, {"deal": 0.1278}, "Because you look for estates, priced 12 % below similar cars."),
        ({"deal": 1.0, "body": 0.9}, {"deal": 0.01}, "Because you look for estates."),  # no saving worth the word
        ({"deal": 1.0, "body": 0.9}, {"deal": np.nan}, "Because you look for estates."),
        ({"distance": 1.0}, {"distance_km": 12.4}, "Only 12 km from you."),
        ({"body": 1.0, "distance": 0.5}, {"distance_km": 0.2}, "Because you look for estates, only 1 km from you."),
        ({"distance": 1.0, "body": 0.9}, {"distance_km": 80.0}, "Because you look for estates."),
        ({"freshness": 1.0}, {"days_on_sale": 3}, "New this week."),
        ({"freshness": 1.0, "body": 0.9}, {"days_on_sale": 30}, "Because you look for estates."),
        ({"archetype": 1.0}, {}, "Buyers of what you looked at also look at cars like this."),
        ({"base": 9.0, "crowding": -1.0, "body": 1.0}, {}, "Because you look for estates."),
    ],
)  # fmt: skip
def test_the_market_speaks_where_it_matters_and_where_it_is_true(terms, known, sentence):
    assert reason(terms, car=CAR | known) == sentence


def test_a_make_that_was_opened_is_said_to_have_been():
    opened = CAR | {"is_opened_make": True}
    assert reason({"make": 1.0, "mileage": 0.5}, car=opened) == "A Skoda like those you opened, with low mileage."


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("trending", "Popular with buyers right now and within your budget."),
        ("fresh", "New this week and within your budget."),
        ("neighbours", "Buyers with a taste like yours look at cars like this."),
        ("collaborative", "Buyers with a taste like yours look at cars like this."),
        ("exploration", "Something a little different from what you have seen."),
        ("similar", "Much like the car you are looking at."),
        ("saved search", "Matches one of your saved searches."),
        ("price drop", "Its price has just fallen by £750."),
        ("content", "Because you look for cars around £12,000."),
        ("new arrivals", "New this week and within your budget."),
        ("promoted", "Promoted by its seller and within your budget."),
    ],
)
def test_a_source_speaks_for_itself(source, sentence):
    assert reason({"price": 1.0}, source=source, car=CAR | {"price_drop": 750}) == sentence


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


def test_a_budget_is_not_claimed_where_the_price_speaks_against_the_car():
    assert reason({"price": -1.0, "make": 1.0}, source="trending") == "Popular with buyers right now."


def test_a_fall_in_price_nobody_knows_is_not_claimed():
    assert reason({"price": 1.0}, source="price drop") == "Because you look for cars around £12,000."


@pytest.mark.parametrize(
    ("terms", "source", "sentence"),
    [
        ({"body": 1.0, "price": 0.5}, "taste", "Because many buyers look for estates around £12,000."),
        ({"make": 1.0}, "taste", "A Skoda like those many buyers look for."),
        ({}, "taste", "The kind of car many buyers look for."),
        ({"price": 1.0}, "fresh", "New this week."),
        ({"similar buyers": 1.0}, "taste", "Many buyers look at cars like this."),
    ],
)
def test_a_stranger_is_told_nothing_about_themselves(terms, source, sentence):
    assert reason(terms, source=source, is_personal=False) == sentence


def test_a_film_is_explained_by_its_genres():
    assert reason({"tags": 1.0}, car={"tags": ("drama", "crime")}) == "Because you like crime and drama."


# --- What is not said ------------------------------------------------------------------------------------------------


def test_what_counts_against_the_car_is_not_mentioned():
    assert reason({"body": 0.5, "make": -2.0, "price": -0.1}) == "Because you look for estates."


def test_what_the_average_car_has_too_is_not_a_reason():
    terms, average = {"price": 1.0, "body": 0.6}, {"price": 1.1, "body": 0.0}
    assert reason(terms, average) == "Because you look for estates."


def test_less_bad_than_average_is_still_not_a_reason():
    assert strong_points({"price": -0.5, "body": 0.2}, {"price": -2.0}, CAR, {}) == ["body"]


def test_weak_points_are_left_out_beside_a_strong_one():
    assert strong_points({"price": 1.0, "body": 0.3, "fuel": 0.2}, {}, CAR, {}) == ["price", "body"]


def test_at_most_three_points_are_made():
    assert strong_points({"price": 1.0, "body": 0.9, "fuel": 0.8, "colour": 0.7}, {}, CAR, {}) == [
        "price",
        "body",
        "fuel",
    ]


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
        told = reason({point: 1.0}, car=CAR | {fact: value}, typical={fact: usual})
        assert (phrase in told) is said


@pytest.mark.parametrize(
    "point", ["make", "model", "body", "fuel", "price", "mileage", "age", "seller", "tags", "engine", "power"]
)
@pytest.mark.parametrize("missing", [{}, dict.fromkeys(CAR), {"body": "", "fuel": "", "colour": "", "tags": ()}])
def test_missing_facts_are_passed_over(point, missing):
    assert reason({point: 1.0}, car=missing) == "A good match overall for what you look for."


@pytest.mark.parametrize("value", ["other", ""])
def test_a_category_that_says_nothing_is_passed_over(value):
    car = CAR | {"body": value, "fuel": value, "colour": value}
    assert (
        reason({"body": 1.0, "fuel": 1.0, "colour": 1.0, "price": 0.5}, car=car)
        == "Because you look for cars around £12,000."
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
    assert with_article(phrase.split(" ", 1)[1]) == phrase


@pytest.mark.parametrize(
    ("body", "plural"), [("suv", "SUVs"), ("coupe", "coupés"), ("mpv", "MPVs"), ("pickup", "pickups"), ("van", "vans")]
)
def test_bodies_have_their_plural(body, plural):
    assert reason({"body": 1.0}, car=CAR | {"body": body}) == f"Because you look for {plural}."


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
    assert reason({field: 1.0}, car=CAR | {field: value}) == f"Because you look for {spoken} cars."


@pytest.mark.parametrize(
    ("price", "currency", "said"),
    [(11_990, "GBP", "£12,000"), (5_240, "EUR", "€5,000"), (1_949, "USD", "$1,900"), (8_400, "CHF", "CHF 8,500"),
     (130, "", "130"), (3, "GBP", "£3")],
)  # fmt: skip
def test_prices_are_rounded_as_people_say_them(price, currency, said):
    told = reason({"price": 1.0}, car=CAR | {"price": price, "currency": currency})
    assert told == f"Because you look for cars around {said}."


def test_a_model_named_with_its_make_is_not_named_twice():
    assert (
        reason({"model": 1.0}, car={"make": "BMW", "model": "BMW 3 Series"}) == "A BMW 3 Series like those you go for."
    )


# --- Operators -------------------------------------------------------------------------------------------------------


def test_an_operator_sees_every_term_and_the_largest_first():
    lines = operator_breakdown({"price": 0.5, "make": -1.0, "tags": 0.0, "demand": 0.25}, -0.25)
    assert lines == [("Make", -1.0), ("Price", 0.5), ("Recent demand", 0.25)]


def test_what_no_term_explains_has_a_line_of_its_own():
    assert ("Not accounted for", 0.5) in operator_breakdown({"price": 0.5}, 1.0)


terms_of_a_score = st.dictionaries(
    st.sampled_from(["price", "make", "model", "body", "age", "similar buyers", "demand", "title", "freshness"]),
    st.floats(-50, 50),
)


@given(terms_of_a_score, st.floats(-100, 100))
def test_the_lines_add_up_to_the_score(terms, score):
    assert sum(value for _, value in operator_breakdown(terms, score)) == pytest.approx(score, abs=1e-6)


@given(
    terms_of_a_score,
    terms_of_a_score,
    st.sampled_from(["taste", "fresh", "trending", "newest", "unheard of"]),
    st.booleans(),
)
def test_there_is_always_one_whole_sentence(terms, baseline, source, is_personal):
    told = reason(terms, baseline, source, is_personal=is_personal)
    assert told[0].isupper()
    assert told.endswith(".")
    assert "  " not in told


def test_a_reason_comes_from_the_same_numbers_as_the_score():
    cars = [{"body": body, "price": price} for body in ("estate", "suv") for price in (5_000, 12_000, 30_000)] * 20
    table = ListingTable.from_rows(cars)
    encoder = fit_encoder(table)
    vectors = encoder.encode(table).astype(float)
    wanted = 2.0 * (table.body == "estate") - 3 * np.abs(np.log(table.price / 12_000))
    weights = np.linalg.lstsq(vectors, wanted - wanted.mean(), rcond=None)[0]
    split = encoder.contributions(weights, table)
    terms = dict(zip(split.names, split.values[1].tolist(), strict=True))
    facts = cars[1] | {"currency": "GBP"}
    assert reason(terms, car=facts) == "Because you look for estates around £12,000."
    assert sum(value for _, value in operator_breakdown(terms, vectors[1] @ weights)) == pytest.approx(
        vectors[1] @ weights
    )
