"""Reasons: what is said to a buyer and what an operator reads, from the same terms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommendations.engine.encoder import ListingTable, fit_encoder
from recommendations.engine.reason import Kind, Money, Reason
from recommendations.engine.reasons import operator_breakdown, reason_for, strong_points
from recommendations.serving.sources import reason_of_source

CAR = {
    "make": "Skoda", "model": "Octavia", "body": "estate", "fuel": "diesel", "gearbox": "automatic", "drive": "front",
    "colour": "blue", "seller_kind": "dealer", "year": 2018, "price": 11_990, "currency": "GBP", "mileage_km": 40_000,
    "power_kw": 110, "engine_l": 2.0, "consumption_l_100km": 4.8, "tags": ["tow bar"], "days_on_sale": 3,
}  # fmt: skip


SEEN = dict.fromkeys(("make", "model", "body", "fuel", "gearbox", "drive", "colour", "seller"), "opened")
KNOWN = CAR | {"evidence": SEEN, "budget": Money(12_500.0, "GBP")}


def reason(terms, baseline=None, source="taste", car=CAR, **options):
    said = reason_of_source(source, car, options.get("is_personal", True))
    return reason_for(terms, baseline or {}, facts=car, of_the_source=said, **options)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"body": 1.0}, Reason(Kind.OPENED, "body", "estate")),
        ({"drive": 1.0}, Reason(Kind.OPENED, "drive", "front")),
        ({"seller": 1.0}, Reason(Kind.OPENED, "seller", "dealer")),
        ({"make": 1.0, "mileage": 0.5}, Reason(Kind.OPENED, "make", "Skoda", asides=("mileage",))),
        ({"model": 1.0}, Reason(Kind.OPENED, "model", "Skoda Octavia")),
        ({"price": 1.0}, Reason(Kind.WITHIN_BUDGET, budget=Money(12_500.0, "GBP"))),
        ({}, Reason(Kind.MATCH)),
    ],
)
def test_a_reason_holds_what_is_said_without_words(terms, said):
    assert reason(terms, car=KNOWN) == said


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({}, Reason(Kind.MATCH)),
        ({"evidence": {"body": "opened", "fuel": "set"}, "is_saved": True}, Reason(Kind.SET, "fuel", "diesel")),
        ({"is_saved": True, "budget": Money(12_500.0, "GBP")}, Reason(Kind.SAVED_SEARCH)),
        ({"is_wished": True, "has_history": False}, Reason(Kind.MATCH)),
        ({"is_wished": False, "has_history": True}, Reason(Kind.MATCH)),
        ({"is_wished": False, "has_history": False}, Reason(Kind.USUAL)),
    ],
)
def test_where_no_field_stands_out_what_was_asked_for_does(known, said):
    assert reason({}, car=CAR | known) == said


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


def test_a_reason_comes_from_the_same_numbers_as_the_score():
    cars = [{"body": body, "price": price} for body in ("estate", "suv") for price in (5_000, 12_000, 30_000)] * 20
    table = ListingTable.from_rows(cars)
    encoder = fit_encoder(table)
    vectors = encoder.encode(table).astype(float)
    wanted = 2.0 * (table.body == "estate") - 3 * np.abs(np.log(table.price / 12_000))
    weights = np.linalg.lstsq(vectors, wanted - wanted.mean(), rcond=None)[0]
    split = encoder.contributions(weights, table)
    terms = dict(zip(split.names, split.values[1].tolist(), strict=True))
    facts = cars[1] | {"currency": "GBP", "evidence": {"body": "opened"}}
    assert reason(terms, car=facts) == Reason(Kind.OPENED, "body", "estate")
    assert sum(value for _, value in operator_breakdown(terms, vectors[1] @ weights)) == pytest.approx(
        vectors[1] @ weights
    )
