"""Archetypes, and what is learned over them, against slow obvious versions and hand arithmetic."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from scipy.sparse import csr_array

from recommendations.engine import implicit_feedback
from recommendations.engine.archetypes import (
    Archetypes,
    CollaborativeConfig,
    fit_archetypes_to,
    listing_keys,
    listing_kinds,
)
from recommendations.engine.collaborative import CollaborativeModel, fit_collaborative
from recommendations.engine.encoder import ListingTable, fit_encoder
from recommendations.engine.implicit_feedback import als_factors, als_factors_in_parts, ease_weights, strongest
from recommendations.engine.parts import LocalParts

OCTAVIA = {"make": "skoda", "model": "octavia", "body": "estate", "year": 2018, "price": 12_000}
GOLF = {"make": "volkswagen", "model": "golf", "body": "hatchback", "year": 2018, "price": 12_000}
CONFIG = CollaborativeConfig(n_factors=4, trusted_pairs=0)


def table_of(*rows):
    return ListingTable.from_rows(rows)


def fitted(table, events, n_buyers, config=CONFIG):
    """A model of events given as (buyer row, listing row, weight)."""
    content = fit_encoder(table).encode(table)
    buyers, listings, weights = zip(*events, strict=True) if events else ((), (), ())
    return content, fit_collaborative(table, content, buyers, listings, weights, n_buyers, config)


# --- Which archetype -------------------------------------------------------------------------------------------------


def test_keys_run_from_the_model_to_the_price_band():
    first, second, third = listing_keys(table_of(OCTAVIA), generation_years=4, price_step=2.0)
    # 2018 = 504 * 4 + 2; 2^13 = 8,192 <= 12,000 < 16,384 = 2^14
    assert first == [("model", "skoda", "octavia", 504, 13)]
    assert second == [("make", "skoda", "estate", 13)]
    assert third == [("body", "estate", 13)]


@pytest.mark.parametrize(
    ("change", "finest"),
    [
        ({"model": ""}, ("make", "skoda", "estate", 13)),
        ({"model": "", "make": ""}, ("body", "estate", 13)),
        ({"year": None, "price": None}, ("model", "skoda", "octavia", None, None)),
        ({"price": 0}, ("model", "skoda", "octavia", 504, None)),
        ({"price": 8_192.0}, ("model", "skoda", "octavia", 504, 13)),
    ],
)
def test_what_is_unknown_leaves_the_finest_key(change, finest):
    first, _, _ = listing_keys(table_of(OCTAVIA | change), generation_years=4, price_step=2.0)
    assert first == [finest]


def fit_archetypes(table: ListingTable, config: CollaborativeConfig, events_by_listing=0.0) -> Archetypes:
    kinds = listing_kinds(table, config.generation_years, config.price_step)
    return fit_archetypes_to(kinds, config, events_by_listing)


def test_cars_of_an_archetype_share_it_and_others_do_not():
    table = table_of(*[OCTAVIA] * 5, *[GOLF] * 5)
    codes = fit_archetypes(table, CONFIG).assign(table)
    assert len(set(codes[:5])) == len(set(codes[5:])) == 1
    assert codes[0] != codes[5]


def test_a_relisted_car_a_little_cheaper_and_older_shares_the_history():
    table = table_of(*[OCTAVIA] * 5)
    relisted = OCTAVIA | {"price": 11_700, "mileage_km": 61_000, "title": "REDUCED! Octavia", "colour": "blue"}
    archetypes = fit_archetypes(table, CONFIG)
    assert archetypes.assign(table_of(relisted)) == archetypes.assign(table)[0]


@pytest.mark.parametrize(
    ("unseen", "label"),
    [
        (OCTAVIA, "skoda octavia, 2016 to 2019, 10,974 to 14,814"),
        (OCTAVIA | {"year": 2009}, "skoda estate, 10,974 to 14,814"),
        (OCTAVIA | {"model": "superb"}, "skoda estate, 10,974 to 14,814"),
        (OCTAVIA | {"make": "tatra", "model": "613"}, "estate, 10,974 to 14,814"),
        (OCTAVIA | {"price": 90_000}, "everything else"),
        ({}, "everything else"),
    ],
)
def test_an_unseen_car_falls_back_to_the_nearest_archetype(unseen, label):
    archetypes = fit_archetypes(table_of(*[OCTAVIA] * 5, *[GOLF] * 5), CONFIG)
    assert archetypes.labels[archetypes.assign(table_of(unseen))[0]] == label


def test_too_few_listings_make_no_archetype():
    table = table_of(*[OCTAVIA] * 4)
    assert fit_archetypes(table, CONFIG).labels == ("everything else",)
    assert fit_archetypes(table, replace(CONFIG, min_listings=4)).labels[0] != "everything else"


def test_the_archetypes_with_most_events_win_the_places():
    table = table_of(*[OCTAVIA] * 9, *[GOLF] * 5)
    events = np.repeat([0.0, 1.0], [9, 5])
    few = fit_archetypes(table, replace(CONFIG, max_archetypes=2), events)
    assert few.labels == ("volkswagen golf, 2016 to 2019, 10,974 to 14,814", "everything else")


def test_without_rows_everything_is_one_archetype():
    archetypes = fit_archetypes(table_of(), CONFIG)
    assert archetypes.assign(table_of(OCTAVIA, {})).tolist() == [0, 0]
    assert archetypes.assign(table_of()).shape == (0,)


def test_films_are_distinguished_by_title_and_by_genre_when_unwatched():
    genres = {"tags": ("drama", "crime")}
    table = table_of(
        {"title": "Heat"} | genres, {"title": "Casino"} | genres, *[{"title": f"{n}"} | genres for n in range(4)]
    )
    archetypes = fit_archetypes(table, CONFIG, np.array([2.0, 1, 0, 0, 0, 0]))
    labels = [archetypes.labels[code] for code in archetypes.assign(table)]
    assert labels == ["heat", "casino"] + ["crime, drama"] * 4


# --- Factors ---------------------------------------------------------------------------------------------------------


def slow_als(feedback, n_factors, n_iterations, confidence, regularisation, seed):
    """Hu, Koren and Volinsky's equations 4 and 5, cell by cell."""
    things = np.random.default_rng(seed).normal(0, n_factors**-0.5, (feedback.shape[1], n_factors))
    things[(feedback == 0).all(axis=0)] = 0
    buyers = np.zeros((len(feedback), n_factors))
    for _ in range(n_iterations):
        for here, there, matrix in ((buyers, things, feedback), (things, buyers, feedback.T)):
            for row, cells in enumerate(matrix):
                certainty = np.diag(1 + confidence * np.log1p(np.abs(cells)))
                left = there.T @ certainty @ there + regularisation * np.eye(n_factors)
                here[row] = np.linalg.solve(left, there.T @ certainty @ (cells > 0))
    return buyers, things


def random_feedback(n_buyers=23, n_things=11, seed=1):
    rng = np.random.default_rng(seed)
    feedback = np.where(rng.random((n_buyers, n_things)) < 0.3, rng.normal(1, 1, (n_buyers, n_things)), 0.0)
    feedback[4], feedback[:, 7] = 0, 0
    return feedback


def test_factors_are_those_of_the_slow_version(monkeypatch):
    for name, few in (("ROWS_AT_ONCE", 5), ("CELLS_AT_ONCE", 4), ("BYTES_AT_ONCE", 100)):  # parts must join up
        monkeypatch.setattr(f"recommendations.engine.implicit_feedback.{name}", few)
    feedback = random_feedback()
    for n_factors in (1, 3, 40):  # buyers have more cells than factors, some have, and none has
        arguments = (n_factors, 4, 10.0, 2.0, 9)
        for got, expected in zip(
            als_factors(csr_array(feedback), *arguments), slow_als(feedback, *arguments), strict=True
        ):
            np.testing.assert_allclose(got, expected, atol=1e-9)


def test_factors_do_not_depend_on_how_buyers_are_divided():
    feedback = random_feedback(n_buyers=60)
    arguments = (3, 4, 10.0, 2.0, 9)
    parts = LocalParts([csr_array(part) for part in np.split(feedback, [20, 21, 50])])
    buyers, things = als_factors_in_parts(parts, *arguments)
    whole_buyers, whole_things = als_factors(csr_array(feedback), *arguments)
    np.testing.assert_allclose(np.concatenate(buyers.collect()), whole_buyers, atol=1e-12)
    np.testing.assert_allclose(things, whole_things, atol=1e-12)


def moved(numbers: np.ndarray, n_bytes: int) -> np.ndarray:
    """The same numbers, so many bytes after a place that is a multiple of 64."""
    room = np.empty(numbers.nbytes + 128, np.uint8)
    begin = -room.ctypes.data % 64 + n_bytes
    copy = room[begin : begin + numbers.nbytes].view(numbers.dtype).reshape(numbers.shape)
    copy[...] = numbers
    return copy


@pytest.mark.parametrize("n_bytes", [1, 4, 8, 12, 16, 36])
def test_factors_do_not_depend_on_where_in_memory_numbers_lie(monkeypatch, n_bytes):
    """What comes from another process may begin at any byte, which shows in products of single precision by 1e-7, and
    made two trainings on a cluster differ by 1e-5."""
    feedback = csr_array(random_feedback(n_buyers=400, n_things=40))
    _, expected = als_factors(feedback, 32, 8, 10.0, 2.0, 9)
    for name in ("_solve_side", "_outer_sums"):
        function = getattr(implicit_feedback, name)

        def elsewhere(side, other, *rest, function=function):
            return moved(function(side, moved(other, n_bytes), *rest), n_bytes)

        monkeypatch.setattr(implicit_feedback, name, elsewhere)
    _, got = als_factors(feedback, 32, 8, 10.0, 2.0, 9)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_one_buyer_and_one_thing_by_hand():
    # alpha 0+: c = 1 nearly, p = 1. x = y / (y^2 + lambda) and y = x / (x^2 + lambda) meet at x^2 = y^2 = 1 - lambda
    buyers, things = als_factors(csr_array([[1.0]]), 1, 200, 1e-12, 0.19, 0)
    np.testing.assert_allclose(np.abs([buyers[0, 0], things[0, 0]]), [0.9, 0.9], atol=1e-6)


def test_what_has_no_events_has_no_factors():
    buyers, things = als_factors(csr_array(random_feedback()), 3, 2, 10.0, 1.0, 0)
    assert not buyers[4].any()
    assert not things[7].any()


# --- Neighbours ------------------------------------------------------------------------------------------------------


def test_ease_is_a_ridge_regression_of_each_thing_on_all_others():
    interest = np.abs(random_feedback())
    expected = np.zeros((11, 11))
    for thing in range(11):
        others = np.delete(np.arange(11), thing)
        x, y = interest[:, others], interest[:, thing]
        expected[others, thing] = np.linalg.solve(x.T @ x + 2.0 * np.eye(10), x.T @ y)
    np.testing.assert_allclose(ease_weights(csr_array(interest), 2.0), expected, atol=1e-10)


def test_ease_by_hand():
    # two things always together, by one buyer: weight = 1 / (1 + lambda)
    np.testing.assert_allclose(ease_weights(csr_array([[1.0, 1.0]]), 3.0), [[0, 0.25], [0.25, 0]])


def test_only_the_strongest_weights_are_kept():
    weights = np.array([[0.0, 1.0, -3.0, 2.0], [4.0, 0.0, 1.0, 0.5]])
    np.testing.assert_array_equal(strongest(weights, 2).toarray(), [[0, 0, -3, 2], [4, 0, 1, 0]])
    np.testing.assert_array_equal(strongest(weights, 9).toarray(), weights)


# --- The whole -------------------------------------------------------------------------------------------------------

MODELS = [
    ("skoda", "octavia", "estate"),
    ("volvo", "v60", "estate"),
    ("mazda", "mx-5", "convertible"),
    ("bmw", "z4", "convertible"),
]


def two_groups(n_buyers=60, n_events=8, seed=2):
    """Buyers of even rows open estates, those of odd rows convertibles; ten cars of each model, all else alike."""
    rows = [
        {"make": make, "model": model, "body": body, "year": 2018, "price": 12_000}
        for make, model, body in MODELS
        for _ in range(10)
    ]
    rng = np.random.default_rng(seed)
    events = [
        (buyer, 20 * (buyer % 2) + int(rng.integers(20)), 1.0) for buyer in range(n_buyers) for _ in range(n_events)
    ]
    return ListingTable.from_rows(rows), events, n_buyers


TABLE, EVENTS, N_BUYERS = two_groups()
CONTENT, MODEL = fitted(TABLE, EVENTS, N_BUYERS)
OCTAVIA_CODE, V60_CODE, MX5_CODE, Z4_CODE = MODEL.archetypes.assign(TABLE)[[0, 10, 20, 30]]


def test_factors_put_together_what_the_same_buyers_open():
    octavia, v60, mx5 = MODEL.listing_factors(TABLE, CONTENT)[[0, 10, 20]]
    assert octavia @ v60 > 0 > octavia @ mx5


def test_factors_are_centred_and_as_long_as_asked():
    factors = MODEL.listing_factors(TABLE, CONTENT).astype(float)
    np.testing.assert_allclose(factors.mean(axis=0), 0, atol=1e-6)
    content_norm = np.sqrt(np.square(CONTENT).sum(axis=1).mean())
    np.testing.assert_allclose(np.sqrt(np.square(factors).sum(axis=1).mean()), 0.5 * content_norm, rtol=1e-5)


def test_few_events_are_believed_less():
    _, careful = fitted(TABLE, EVENTS, N_BUYERS, replace(CONFIG, trusted_pairs=1e4))
    assert np.linalg.norm(careful.listing_factors(TABLE, CONTENT)) < 0.2 * np.linalg.norm(
        MODEL.listing_factors(TABLE, CONTENT)
    )


def test_an_archetype_without_events_is_guessed_from_its_content():
    newcomers = table_of(
        *[
            {"make": "seat", "model": "leon", "body": body, "year": 2018, "price": 12_000}
            for body in ("estate", "convertible")
        ]
        * 5
    )
    table = ListingTable.concatenate([TABLE, newcomers])
    content, model = fitted(table, EVENTS, N_BUYERS)
    factors = model.listing_factors(table, content)
    estate, convertible = factors[40], factors[41]
    assert factors[0] @ estate > factors[0] @ convertible


def test_a_history_of_one_group_scores_its_own_cars():
    scores = MODEL.neighbour_scores([OCTAVIA_CODE], [1.0])
    assert scores.dtype == np.float32
    assert scores[V60_CODE] > 0.05
    assert scores[V60_CODE] > 10 * abs(scores[MX5_CODE])


def test_scores_are_those_of_a_dense_product():
    history = {OCTAVIA_CODE: 1 - np.exp(-1.5), MX5_CODE: -(1 - np.exp(-0.5))}
    dense = MODEL.neighbours.toarray()
    expected = sum(interest * dense[code] for code, interest in history.items())
    got = MODEL.neighbour_scores([OCTAVIA_CODE, MX5_CODE, OCTAVIA_CODE], [1.0, -0.5, 0.5])
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_dislike_turns_its_neighbours_away():
    assert MODEL.neighbour_scores([OCTAVIA_CODE], [-1.0])[V60_CODE] < 0


def test_who_opens_a_second_octavia_makes_octavias_follow_octavias():
    # of 2 buyers one opened two of them: 1 / (2 + support)
    _, model = fitted(TABLE, [(0, 0, 1.0), (0, 1, 1.0), (1, 2, 1.0), (1, 2, 3.0)], 2, replace(CONFIG, support=2.0))
    np.testing.assert_allclose(model.neighbours.toarray()[OCTAVIA_CODE, OCTAVIA_CODE], 0.25)


def test_a_new_model_has_the_neighbours_of_its_elders():
    newcomer = MODEL.archetypes.assign(table_of(OCTAVIA | {"make": "volvo", "model": "v90"}))
    assert MODEL.archetypes.labels[newcomer[0]].startswith("volvo estate")
    assert MODEL.neighbour_scores([OCTAVIA_CODE], [1.0])[newcomer[0]] > 0.05
    assert MODEL.neighbour_scores(newcomer, [1.0])[OCTAVIA_CODE] > 0.05


def test_sold_cars_keep_teaching():
    # the events are about the first five cars of each model; the score is asked of the archetype of the others
    early = [(buyer, listing - listing % 10 + listing % 5, weight) for buyer, listing, weight in EVENTS]
    _, model = fitted(TABLE, early, N_BUYERS)
    unsold = model.archetypes.assign(TABLE.take([19]))[0]
    assert model.neighbour_scores([OCTAVIA_CODE], [1.0])[unsold] > 0.05


def test_fitting_twice_gives_the_same_model():
    again = fitted(TABLE, EVENTS, N_BUYERS)[1]
    for name, array in MODEL.to_arrays().items():
        np.testing.assert_array_equal(again.to_arrays()[name], array)


def test_the_order_of_events_does_not_matter():
    shuffled = [EVENTS[place] for place in np.random.default_rng(0).permutation(len(EVENTS))]
    _, model = fitted(TABLE, shuffled, N_BUYERS)
    np.testing.assert_allclose(model.factors, MODEL.factors, atol=1e-4)
    np.testing.assert_allclose(model.neighbours.toarray(), MODEL.neighbours.toarray(), atol=1e-9)


def test_storing_changes_nothing():
    file = BytesIO()
    np.savez(file, allow_pickle=False, **MODEL.to_arrays())
    file.seek(0)
    loaded = CollaborativeModel.from_arrays(dict(np.load(file, allow_pickle=False)))
    assert loaded.archetypes == MODEL.archetypes
    np.testing.assert_array_equal(loaded.listing_factors(TABLE, CONTENT), MODEL.listing_factors(TABLE, CONTENT))
    history = ([OCTAVIA_CODE, Z4_CODE], [1.0, 2.0])
    np.testing.assert_array_equal(loaded.neighbour_scores(*history), MODEL.neighbour_scores(*history))


@pytest.mark.parametrize(
    ("rows", "events", "n_buyers"),
    [
        ([], [], 0),
        ([OCTAVIA] * 9, [], 0),
        ([OCTAVIA], [(0, 0, 1.0)], 1),
        ([OCTAVIA] * 9, [(0, 0, 4.0), (0, 1, 1.0)], 1),
        ([OCTAVIA] * 9, [(0, 0, -2.0)], 1),
        ([OCTAVIA] * 9, [(0, 0, 1.0), (0, 0, -1.0)], 1),
        ([{}] * 9, [(0, 0, 1.0), (1, 3, 1.0)], 5),
        ([OCTAVIA] * 9 + [GOLF] * 9, [(0, 0, 0.0)], 3),
        ([{"title": "Heat"}, {"title": "Alien"}], [(0, 0, 1.0), (1, 1, 1.0), (2, 1, 1.0)], 3),
    ],
    ids=[
        "nothing",
        "no events",
        "one car",
        "one buyer",
        "a dislike",
        "a change of mind",
        "blank",
        "no weight",
        "films",
    ],
)
def test_a_degenerate_world_gives_finite_numbers(rows, events, n_buyers):
    table = ListingTable.from_rows(rows)
    content, model = fitted(table, events, n_buyers)
    factors = model.listing_factors(table, content)
    assert factors.shape == (len(rows), 4)
    assert np.isfinite(factors).all()
    assert np.isfinite(model.neighbour_scores(model.archetypes.assign(table), np.ones(len(table)))).all()
    assert not model.neighbour_scores([], []).any()


def test_without_events_there_are_no_factors():
    content, model = fitted(TABLE, [], 0)
    assert not model.listing_factors(TABLE, content).any()


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        (([0], [0, 1], [1.0]), "do not match"),
        (([3], [0], [1.0]), "buyer_rows"),
        (([0], [99], [1.0]), "listing_rows"),
        (([-1], [0], [1.0]), "buyer_rows"),
        (([0], [0], [np.nan]), "not finite"),
    ],
)
def test_events_that_make_no_sense_are_refused(events, problem):
    with pytest.raises(ValueError, match=problem):
        fit_collaborative(TABLE, CONTENT, *events, 3, CONFIG)


@pytest.mark.parametrize(
    ("codes", "weights", "problem"),
    [
        ([0, 1], [1.0], "do not go"),
        ([10_000], [1.0], "none of"),
        ([-1], [1.0], "none of"),
        ([0], [np.inf], "not finite"),
    ],
)
def test_a_history_that_makes_no_sense_is_refused(codes, weights, problem):
    with pytest.raises(ValueError, match=problem):
        MODEL.neighbour_scores(codes, weights)


def test_content_of_another_encoder_is_refused():
    with pytest.raises(ValueError, match="shape"):
        MODEL.listing_factors(TABLE, CONTENT[:, :5])


@pytest.mark.parametrize(
    "setting",
    [
        {"n_factors": 0},
        {"max_archetypes": 0},
        {"regularisation": 0},
        {"support": -1},
        {"price_step": 1},
        {"relative_norm": -1},
    ],
)
def test_a_nonsensical_config_is_refused_by_name(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        replace(CollaborativeConfig(), **setting)
