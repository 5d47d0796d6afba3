"""The encoder: what it keeps of a catalogue, and how a score comes apart again."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommendations.engine.encoder import Encoder, EncoderConfig, ListingTable, fit_encoder
from recommendations.simulation.market import build_market

OCTAVIA = {
    "make": "skoda", "model": "octavia", "body": "estate", "fuel": "diesel", "gearbox": "manual", "drive": "front",
    "colour": "blue", "seller_kind": "dealer", "year": 2018, "price": 12_000, "mileage_km": 60_000, "power_kw": 110,
    "engine_l": 2.0, "consumption_l_100km": 4.8, "title": "Skoda Octavia 2.0 TDI SE", "tags": ("tow bar",),
    "condition": "used", "damage": "none",
}  # fmt: skip


def market(n=400, seed=3):
    """Cars with everything known: two makes of two models each, prices that fall with age."""
    rng = np.random.default_rng(seed)
    models = [("skoda", "octavia"), ("skoda", "fabia"), ("ford", "focus"), ("ford", "galaxy")]
    rows = []
    for _ in range(n):
        make, model = models[rng.integers(4)]
        age = int(rng.integers(0, 15))
        rows.append(
            OCTAVIA
            | {
                "make": make, "model": model, "body": rng.choice(["estate", "hatchback"]),
                "fuel": rng.choice(["petrol", "diesel"]), "gearbox": rng.choice(["manual", "automatic"]),
                "colour": rng.choice(["blue", "red", "grey"]), "year": 2020 - age,
                "price": float(25_000 * 0.87**age * rng.lognormal(0, 0.3)),
                "mileage_km": float(age * 12_000 + rng.integers(0, 9_000)), "power_kw": float(rng.integers(50, 200)),
                "title": f"{make} {model} {rng.choice(['se', 'sport'])}",
                "tags": ("tow bar",) if rng.random() < 0.3 else (),
            }
        )  # fmt: skip
    return ListingTable.from_rows(rows)


MARKET = market()
ENCODER = fit_encoder(MARKET)
WEIGHTS = np.random.default_rng(8).normal(size=96)


def changed(**values):
    return ListingTable.from_rows([OCTAVIA | values])


def explained(utility, table=MARKET, encoder=ENCODER):
    """Share of the variance of a utility that the best linear score has (R squared)."""
    features = np.column_stack([encoder.encode(table).astype(float), np.ones(len(table))])
    found = features @ np.linalg.lstsq(features, utility, rcond=None)[0]
    return 1 - np.var(utility - found) / np.var(utility)


# Tables


def test_a_missing_key_is_unknown():
    table = ListingTable.from_rows([{"make": "skoda", "id": 7}, {"price": None, "tags": None}])
    assert table.make.tolist() == ["skoda", ""]
    assert np.isnan(table.price).all()
    assert table.tags.tolist() == [(), ()]


def test_columns_of_different_length_are_refused():
    columns = {field.name: getattr(MARKET, field.name) for field in fields(ListingTable)}
    with pytest.raises(ValueError, match="differ in length"):
        ListingTable(**(columns | {"price": np.zeros(3)}))


def test_rows_survive_being_taken_apart_and_put_together():
    halves = [MARKET.take(slice(0, 150)), MARKET.take(np.arange(150, 400))]
    np.testing.assert_array_equal(ListingTable.concatenate(halves).digests(), MARKET.digests())
    assert len(ListingTable.concatenate([])) == 0


@pytest.mark.parametrize("field", [field.name for field in fields(ListingTable)])
def test_the_digest_notices_a_change_in_every_field(field):
    value = OCTAVIA[field]
    other = (*value, "leather") if field == "tags" else f"{value}x" if isinstance(value, str) else value + 1
    before, after, unknown = (changed(**{field: it}).digests()[0] for it in (value, other, None))
    assert len({before, after, unknown}) == 3


def test_the_digest_ignores_the_order_of_tags_and_the_sign_of_zero():
    assert changed(tags=("a", "b"), price=0.0).digests() == changed(tags=("b", "a", "b"), price=-0.0).digests()


def test_the_digest_keeps_neighbouring_fields_apart():
    assert changed(make="ab", model="c").digests() != changed(make="a", model="bc").digests()


def test_the_digest_is_the_same_in_another_process():
    script = (
        "import json, sys; from recommendations.engine.encoder import ListingTable;"
        "print(ListingTable.from_rows([json.loads(sys.argv[1])]).digests()[0])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, json.dumps(OCTAVIA)], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) == changed().digests()[0]


def test_a_table_without_rows_has_no_digests():
    assert ListingTable.from_rows([]).digests().shape == (0,)


# What a linear score can say


def test_cheaper_is_better_is_linear():
    assert explained(-np.log(MARKET.price)) > 0.999


def test_about_ten_thousand_is_linear():
    assert explained(-np.abs(np.log(MARKET.price / 10_000))) > 0.98


def test_a_budget_that_is_hard_above_and_soft_below_is_linear():
    over = np.log(MARKET.price / 10_000)
    assert explained(np.where(over > 0, -5 * over, 0.5 * over)) > 0.98


def test_every_taste_for_a_category_is_linear():
    wanted = 1.0 * (MARKET.make == "skoda") + 0.5 * (MARKET.model == "galaxy") - 0.7 * (MARKET.colour == "red")
    assert explained(wanted) > 0.999


def test_tags_are_distinguished():
    assert explained(np.array([bool(tags) for tags in MARKET.tags], float)) > 0.999


def test_a_model_belongs_to_its_make():
    rows = [{"make": make, "model": "up"} for make in ("volkswagen", "other")] * 10
    encoder = fit_encoder(ListingTable.from_rows(rows), EncoderConfig(strengths={"model": 1.0}))
    ours, theirs = encoder.encode(ListingTable.from_rows(rows[:2]))
    assert not np.allclose(ours, theirs)


def test_features_are_centred_and_of_the_length_asked_for():
    vectors = ENCODER.encode(MARKET).astype(float)
    np.testing.assert_allclose(vectors.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.square(vectors).sum(axis=1).mean()), 2.0, rtol=1e-6)


def test_dimensions_come_by_falling_variance():
    spread = ENCODER.encode(MARKET).astype(float).var(axis=0)
    assert (np.diff(spread) < 1e-9).all()


def test_a_hand_made_catalogue_encodes_by_hand():
    # one category, half and half: the centred one-hot rows are +-(0.5, -0.5), on one line; scaled to length 2
    table = ListingTable.from_rows([{"body": "suv"}, {"body": "estate"}] * 4)
    encoder = fit_encoder(table, EncoderConfig(n_dims=3, strengths={"body": 1.0}))
    np.testing.assert_allclose(encoder.encode(table.take([0, 1])), [[-2, 0, 0], [2, 0, 0]], atol=1e-6)
    assert encoder.levels([1.0, 0, 0], "body") == pytest.approx({"estate": 2.0, "suv": -2.0})


# Contributions, curves and levels


@pytest.mark.parametrize("size", [1.0, 100.0])
def test_contributions_add_up_to_the_score_of_the_stored_vector(size):
    split = ENCODER.contributions(size * WEIGHTS, MARKET)
    scores = ENCODER.encode(MARKET).astype(np.float64) @ (size * WEIGHTS)
    np.testing.assert_allclose(split.values.sum(axis=1), scores, atol=1e-6, rtol=0)


def test_the_parts_of_all_fields_add_up_to_the_vectors():
    parts = [ENCODER.encode_field(MARKET, name) for name in ENCODER.names]
    np.testing.assert_allclose(np.sum(parts, axis=0), ENCODER.encode(MARKET), atol=1e-5)
    for name, part in zip(ENCODER.names, parts, strict=True):  # to the last bit what all fields make of its states
        is_own = ENCODER.field_of_state == ENCODER.names.index(name)
        whole = ENCODER.mixture(MARKET) @ np.where(is_own[:, None], ENCODER.states, 0.0)
        np.testing.assert_array_equal(part, whole.astype(np.float32))
    with pytest.raises(ValueError, match="smell"):
        ENCODER.encode_field(MARKET, "smell")


def test_a_make_is_taken_apart_from_prices_unless_they_are_one_thing():
    cars = build_market(1_000, 1, 2026).table
    encoder = fit_encoder(cars, EncoderConfig(n_dims=48))
    parts = encoder.encode_field(cars, "make")
    apart = encoder.encode_field_apart(cars, "make")
    rise = np.diff(encoder.curve_vectors("price", [3_000, 60_000]), axis=0)[0]
    assert np.abs(parts @ rise).max() > 0.1
    assert np.abs(apart @ rise).max() < 0.01
    assert (apart**2).sum() > 0.9 * (parts**2).sum()

    confounded = ListingTable.from_rows([OCTAVIA] * 9 + [OCTAVIA | {"make": "ford", "price": 30_000}] * 9)
    encoder = fit_encoder(confounded)
    parts = encoder.encode_field(confounded, "make")
    np.testing.assert_array_equal(encoder.encode_field_apart(confounded, "make"), parts)


def test_contributions_of_the_catalogue_average_to_zero_field_by_field():
    np.testing.assert_allclose(ENCODER.contributions(WEIGHTS, MARKET).values.mean(axis=0), 0, atol=1e-6)


def test_a_contribution_moves_with_its_own_field_alone():
    split = {
        price: dict(
            zip(ENCODER.names, ENCODER.contributions(WEIGHTS, changed(price=price)).values[0].tolist(), strict=True)
        )
        for price in (8_000, 16_000)
    }
    moved = {name for name in ENCODER.names if abs(split[8_000][name] - split[16_000][name]) > 1e-5}
    assert moved == {"price"}


def test_a_curve_is_the_contribution_of_each_price():
    prices = np.array([3_000.0, 9_999.0, 1e9])
    table = ListingTable.from_rows([OCTAVIA | {"price": price} for price in prices])
    split = ENCODER.contributions(WEIGHTS, table)
    expected = split.values[:, split.names.index("price")]
    np.testing.assert_allclose(ENCODER.curve(WEIGHTS, "price", prices), expected, atol=1e-5)


def test_the_age_curve_is_asked_in_years():
    split = ENCODER.contributions(WEIGHTS, changed(year=ENCODER.reference_year - 4))
    expected = split.values[0, split.names.index("age")]
    np.testing.assert_allclose(ENCODER.curve(WEIGHTS, "age", 4), expected, atol=1e-5)


def test_levels_are_the_contributions_of_each_make():
    split = ENCODER.contributions(WEIGHTS, ListingTable.from_rows([OCTAVIA, OCTAVIA | {"make": "ford"}]))
    expected = dict(zip(["skoda", "ford"], split.values[:, split.names.index("make")], strict=True))
    assert ENCODER.levels(WEIGHTS, "make") == pytest.approx(expected, abs=1e-5)


def test_models_are_named_with_their_make():
    assert "skoda|octavia" in ENCODER.levels(WEIGHTS, "model")


@pytest.mark.parametrize(("ask", "field"), [("curve", "make"), ("curve", "wheels"), ("levels", "price")])
def test_a_field_of_another_kind_is_refused_by_name(ask, field):
    arguments = (WEIGHTS, field, [1.0]) if ask == "curve" else (WEIGHTS, field)
    with pytest.raises(ValueError, match=field):
        getattr(ENCODER, ask)(*arguments)


@pytest.mark.parametrize("weights", [np.zeros(3), np.full(96, np.nan)])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ValueError, match="96 finite numbers"):
        ENCODER.contributions(weights, MARKET)


# Sameness


def test_one_listing_encodes_to_the_same_bits_as_in_a_batch():
    together = ENCODER.encode(MARKET.take(slice(0, 40)))
    alone = np.vstack([ENCODER.encode(MARKET.take([row])) for row in range(40)])
    np.testing.assert_array_equal(alone, together)


def test_long_catalogues_are_encoded_in_parts(monkeypatch):
    whole = ENCODER.encode(MARKET)
    monkeypatch.setattr("recommendations.engine.encoder.ROWS_AT_ONCE", 7)
    np.testing.assert_array_equal(ENCODER.encode(MARKET), whole)


def test_storing_changes_no_bit():
    file = BytesIO()
    np.savez(file, allow_pickle=False, **ENCODER.to_arrays())
    file.seek(0)
    loaded = Encoder.from_arrays(dict(np.load(file, allow_pickle=False)))
    np.testing.assert_array_equal(loaded.encode(MARKET), ENCODER.encode(MARKET))
    assert loaded.config == ENCODER.config
    assert loaded.levels(WEIGHTS, "make") == ENCODER.levels(WEIGHTS, "make")


def test_fields_and_states_that_do_not_belong_together_are_refused():
    arrays = ENCODER.to_arrays()
    with pytest.raises(ValueError, match="states"):
        Encoder.from_arrays(arrays | {"states": arrays["states"][1:]})


def test_fitting_twice_gives_the_same_encoder():
    np.testing.assert_array_equal(fit_encoder(MARKET).states, ENCODER.states)


def test_a_large_catalogue_is_fitted_on_a_part():
    encoder = fit_encoder(MARKET, EncoderConfig(max_fit_rows=100))
    assert explained(-np.log(MARKET.price), encoder=encoder) > 0.99


# What is missing, new or broken


def test_an_unseen_level_counts_as_a_rare_one():
    rows = [{"make": "skoda"}] * 300 + [{"make": "ford"}] * 300 + [{"make": "lada"}] * 3
    encoder = fit_encoder(ListingTable.from_rows(rows))
    lada, tatra = encoder.encode(ListingTable.from_rows([{"make": "lada"}, {"make": "tatra"}]))
    np.testing.assert_array_equal(lada, tatra)
    assert np.abs(lada).max() > 0


def test_what_the_catalogue_always_knew_is_neutral_when_unknown():
    split = ENCODER.contributions(WEIGHTS, changed(price=None, gearbox=None, title=None))
    neutral = [split.values[0, split.names.index(name)] for name in ("price", "gearbox", "title")]
    np.testing.assert_allclose(neutral, 0, atol=1e-6)


def test_not_knowing_is_a_feature_where_some_do_not_say():
    rows = [OCTAVIA, OCTAVIA | {"price": 15_000}, OCTAVIA | {"price": None}, OCTAVIA | {"price": 9_000}] * 10
    table = ListingTable.from_rows(rows)
    encoder = fit_encoder(table)
    assert explained(np.isnan(table.price).astype(float), table, encoder) > 0.999


@pytest.mark.parametrize("price", [0, -5, np.inf, np.nan])
def test_an_impossible_price_is_an_unknown_one(price):
    np.testing.assert_array_equal(ENCODER.encode(changed(price=price)), ENCODER.encode(changed(price=None)))


def test_a_typing_error_of_a_price_is_an_expensive_car_and_no_more():
    expensive, absurd = ENCODER.encode(changed(price=1e6)), ENCODER.encode(changed(price=1e12))
    np.testing.assert_array_equal(expensive, absurd)
    assert np.linalg.norm(absurd) < 10


def test_one_car_from_the_future_does_not_move_the_year():
    rows = [OCTAVIA] * 2_000 + [OCTAVIA | {"year": 2060}]
    assert fit_encoder(ListingTable.from_rows(rows)).reference_year == 2018


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [OCTAVIA],
        [OCTAVIA] * 30,
        [{}],
        [{}] * 30,
        [OCTAVIA, {}],
        [{"title": "Toy Story (1995)", "tags": ("animation", "comedy")}, {"title": "Heat", "tags": ("crime",)}],
        [{"tags": (f"genre {n % 7}",)} for n in range(50)],
        [{"price": 5_000 + 1e-9 * n} for n in range(20)],
        [{"price": 10_000}] * 5_000 + [{"price": 1e9}] * 60,
    ],
    ids=["none", "one", "equal", "empty", "empties", "half", "films", "tags", "nearly equal", "outliers"],
)
def test_a_degenerate_catalogue_gives_finite_vectors_of_full_width(rows):
    table = ListingTable.from_rows(rows)
    encoder = fit_encoder(table)
    seen = ListingTable.concatenate([table, changed(), changed(price=1, year=None)])
    vectors = encoder.encode(seen)
    assert vectors.shape == (len(rows) + 2, 96)
    assert np.isfinite(vectors).all()
    scores = vectors.astype(float) @ WEIGHTS
    np.testing.assert_allclose(encoder.contributions(WEIGHTS, seen).values.sum(axis=1), scores, atol=1e-6)


def test_two_films_of_a_tiny_catalogue_are_distinguished():
    table = ListingTable.from_rows([{"title": "Heat", "tags": ("crime",)}, {"title": "Alien", "tags": ("horror",)}])
    heat, alien = fit_encoder(table).encode(table)
    assert np.linalg.norm(heat - alien) > 1


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"n_dims": 0}, "n_dims"),
        ({"n_knots": 1}, "n_knots"),
        ({"smoothness": 0}, "smoothness"),
        ({"row_norm": np.inf}, "row_norm"),
        ({"strengths": {"wheels": 1}}, "wheels"),
        ({"strengths": {"price": -1}}, "price"),
        ({"strengths": {"price": 0}}, "every field"),
    ],
)
def test_a_nonsensical_config_is_refused_by_name(setting, named):
    with pytest.raises(ValueError, match=named):
        replace(EncoderConfig(), **setting)


numbers = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))
words = st.one_of(st.none(), st.text(max_size=8))
listings = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("make", "model", "body", "fuel", "gearbox", "drive", "colour", "title"), words),
        **dict.fromkeys(("year", "price", "mileage_km", "power_kw", "engine_l", "consumption_l_100km"), numbers),
        "tags": st.lists(st.text(max_size=5), max_size=3),
    },
)


@settings(max_examples=60, deadline=None)
@given(st.lists(listings, max_size=12), st.lists(listings, max_size=3))
def test_whatever_the_listings_hold_vectors_are_finite_and_scores_come_apart(catalogue, asked):
    encoder = fit_encoder(ListingTable.from_rows(catalogue), EncoderConfig(n_dims=16, n_text_buckets=8))
    table = ListingTable.from_rows(asked)
    vectors = encoder.encode(table)
    assert np.isfinite(vectors).all()
    split = encoder.contributions(np.ones(16), table)
    np.testing.assert_allclose(split.values.sum(axis=1), vectors.astype(float).sum(axis=1), atol=1e-6)
