"""An artifact that an earlier release stored serves with the code of today.

``release_0.npz`` is the content of the artifact that ``tests.markets.trained_market()`` left in the release before
"The house" (format 1), and ``release_0_scores.npz`` is what that release made of it for the same market: ``table``
(the listings as JSON), their ``vectors``, ``deals``, ``archetypes`` and ``neighbours`` (scores after one Skoda), and
``known`` and ``stranger``, the scores of the population's taste. Neither file is ever made again: a release that
cannot read them would break the installations that upgrade to it.
"""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from catalog.models import Listing
from recommendations.engine.ranker import Ranker
from recommendations.engine.score_terms import DEAL, TERMS, UTILITY
from recommendations.engine.scoring import LinearScore
from recommendations.engine.table import ListingTable
from recommendations.listings.rows import read_listings
from recommendations.models import Placement, RankerArtifact, RankerVersion
from recommendations.models.artifacts import load_ranker
from recommendations.serving.lists import ListRequest, recommend
from recommendations.training.versions import promote_ranker
from tests.factories import BuyerFactory
from tests.markets import make_market, view
from tests.vector_tables import create_partition

HERE = Path(__file__).parent
FORMAT_OF_THEN = 1


def arrays_of(content: bytes) -> dict[str, NDArray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def content_of(arrays: dict[str, NDArray]) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays, allow_pickle=False)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def content() -> bytes:
    return (HERE / "release_0.npz").read_bytes()


@pytest.fixture(scope="module")
def stored(content) -> dict[str, NDArray]:
    return arrays_of(content)


@pytest.fixture(scope="module")
def expected() -> dict[str, NDArray]:
    return arrays_of((HERE / "release_0_scores.npz").read_bytes())


@pytest.fixture(scope="module")
def table(expected) -> ListingTable:
    return ListingTable.from_rows(json.loads(expected["table"].tobytes()))


@pytest.fixture(autouse=True)
def _no_ranker_in_memory():
    load_ranker.cache_clear()
    yield
    load_ranker.cache_clear()


def put_live(content: bytes) -> RankerVersion:
    version = RankerVersion.objects.create(status=RankerVersion.Status.READY)
    create_partition(version.pk)
    RankerArtifact.objects.create(
        version=version, format_version=FORMAT_OF_THEN, content=content, sha256=hashlib.sha256(content).hexdigest()
    )
    return promote_ranker(version=version)


def with_term(arrays: dict[str, NDArray], name: str) -> dict[str, NDArray]:
    """The same, as stored by a release whose scores also had a term of this name."""
    changed = dict(arrays)
    for score in ("score", "stranger_score"):
        changed[f"{score}.names"] = np.array([name, *arrays[f"{score}.names"]])
        for column, value in (("weights", 5.0), ("means", 2.0), ("deviations", 3.0)):
            changed[f"{score}.{column}"] = np.array([value, *arrays[f"{score}.{column}"]])
    return changed


def without_term(arrays: dict[str, NDArray], name: str) -> dict[str, NDArray]:
    """The same, as stored by a release whose scores did not have this term yet."""
    changed = dict(arrays)
    for score in ("score", "stranger_score"):
        kept = arrays[f"{score}.names"] != name
        changed |= {
            f"{score}.{of}": arrays[f"{score}.{of}"][kept] for of in ("names", "weights", "means", "deviations")
        }
    return changed


def with_spec(arrays: dict[str, NDArray], name: str, **options: object) -> dict[str, NDArray]:
    """The same with more options in one of the JSON parts."""
    spec = json.loads(arrays[name].tobytes()) | options
    return arrays | {name: np.frombuffer(json.dumps(spec).encode(), np.uint8)}


# --- Loads and scores ------------------------------------------------------------------------------------------------


def test_its_listing_vectors_and_prices_are_those_of_then(stored, table, expected):
    ranker = Ranker.from_arrays(stored)
    np.testing.assert_allclose(ranker.vectors(table), expected["vectors"], atol=1e-6)
    np.testing.assert_allclose(ranker.prices.deals(table), expected["deals"], atol=1e-9)
    codes = ranker.collaborative.archetypes.assign(table)
    np.testing.assert_array_equal(codes, expected["archetypes"])
    neighbours = ranker.collaborative.neighbour_scores(codes[:1], np.ones(1))
    np.testing.assert_allclose(neighbours, expected["neighbours"], atol=1e-9)


@pytest.mark.parametrize("name", ["known", "stranger"])
def test_its_scores_are_those_of_then(stored, table, expected, name):
    ranker = Ranker.from_arrays(stored)
    utilities = ranker.vectors(table).astype(float) @ ranker.prior.mean
    score = ranker.score_for(is_personal=name == "known")
    scores = score.score({UTILITY: utilities, DEAL: ranker.prices.deals(table)})
    np.testing.assert_allclose(scores, expected[name], atol=1e-6)


# --- Serves ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_it_serves_cold_and_known_buyers(content, settings):
    settings.WINDOW_STALENESS_SECONDS = 0
    Placement.objects.update(max_per_model=0, max_per_seller=0, exploration_positions=0, diversity=0)
    market = make_market()
    version = put_live(content)
    anyone = recommend(ListRequest(buyer=None, k=10))
    assert anyone.version_id == version.pk
    assert len(anyone.items) == 10
    buyer = BuyerFactory()
    view(buyer, *market.bmws[:4])
    answer = recommend(ListRequest(buyer=buyer, k=10))
    assert [item.listing.make.slug for item in answer.items].count("bmw") >= 9
    assert all(item.reason for item in answer.items)


@pytest.mark.django_db
def test_what_it_makes_of_rows_in_the_database_is_what_it_made_then(content, expected):
    make_market()
    version = put_live(content)
    rows = read_listings(Listing.objects.order_by("id"))
    np.testing.assert_allclose(load_ranker(version.pk).vectors(rows.table), expected["vectors"], atol=1e-6)


# --- More or less than this release knows ----------------------------------------------------------------------------


def changes() -> dict[str, object]:
    return {
        "a score term of a later or earlier release": lambda arrays: with_term(arrays, "weather"),
        "an array": lambda arrays: arrays | {"horoscope": np.arange(3.0), "score.horoscope": np.arange(3.0)},
        "an array of the encoder": lambda arrays: arrays | {"encoder.horoscope": np.arange(3.0)},
        "an array of the archetypes": lambda arrays: arrays | {"collaborative.horoscope": np.arange(3.0)},
        "an array of the prices": lambda arrays: arrays | {"prices.horoscope": np.arange(3.0)},
        "an option of the archetypes": lambda arrays: with_spec(arrays, "collaborative.archetypes", horoscope=1),
        "an option of the encoder": lambda arrays: with_option_of_the_encoder(arrays),
        "a part of the encoder's spec": lambda arrays: with_spec(arrays, "encoder.spec", horoscope=1),
    }


def with_option_of_the_encoder(arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    spec = json.loads(arrays["encoder.spec"].tobytes())
    strengths = {**spec["config"]["strengths"], "horoscope": 1.0}
    return with_spec(arrays, "encoder.spec", config=spec["config"] | {"horoscope": 1, "strengths": strengths})


@pytest.mark.parametrize("change", changes().values(), ids=changes().keys())
def test_what_is_unknown_changes_no_number(stored, table, expected, change):
    ranker = Ranker.from_arrays(change(stored))
    assert ranker.score.names == TERMS
    utilities = ranker.vectors(table).astype(float) @ ranker.prior.mean
    for name in ("known", "stranger"):
        score = ranker.score_for(is_personal=name == "known")
        scores = score.score({UTILITY: utilities, DEAL: ranker.prices.deals(table)})
        np.testing.assert_allclose(scores, expected[name], atol=1e-6)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_that_was_not_stored_weighs_nothing(stored, term):
    before, after = Ranker.from_arrays(stored), Ranker.from_arrays(without_term(stored, term))
    terms = {name: np.array([0.1, 0.7, -2.0]) for name in TERMS}
    for is_personal in (True, False):
        parts = after.score_for(is_personal=is_personal).breakdown(terms)
        assert not parts[:, TERMS.index(term)].any()
        others = [TERMS.index(name) for name in TERMS if name != term]
        known = before.score_for(is_personal=is_personal).breakdown(terms)
        np.testing.assert_array_equal(parts[:, others], known[:, others])


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.django_db
def test_a_list_is_served_whatever_term_was_not_stored(stored, settings, term):
    settings.WINDOW_STALENESS_SECONDS = 0
    make_market(8)
    put_live(content_of(with_term(without_term(stored, term), "weather")))
    assert len(recommend(ListRequest(buyer=BuyerFactory(), k=5)).items) == 5


def test_a_boost_may_weigh_a_term_that_was_not_stored(stored):
    score = Ranker.from_arrays(without_term(stored, DEAL)).score.with_weights({DEAL: 2.0})
    np.testing.assert_allclose(score.breakdown({DEAL: [0.5]})[0, TERMS.index(DEAL)], 1.0)


def test_terms_are_matched_by_name_and_not_by_position():
    score = LinearScore(("b", "gone", "a"), [2.0, 9.0, 3.0], [0.0, 0.0, 1.0], [1.0, 1.0, 2.0])
    again = LinearScore.from_arrays(score.to_arrays(), ("a", "b", "new"))
    assert again.names == ("a", "b", "new")
    # a: 3 * (5 - 1) / 2; b: 2 * 1; new: 0
    np.testing.assert_allclose(again.breakdown({"a": [5.0], "b": [1.0], "new": [7.0]}), [[6.0, 2.0, 0.0]])


def test_a_field_that_is_read_no_more_counts_as_average(stored, table):
    spec = json.loads(stored["encoder.spec"].tobytes())
    fields = [field | {"name": "horoscope"} if field["name"] == "power" else field for field in spec["fields"]]
    before = Ranker.from_arrays(stored).encoder
    after = Ranker.from_arrays(with_spec(stored, "encoder.spec", fields=fields)).encoder
    assert set(before.names) - set(after.names) == {"power"}
    np.testing.assert_allclose(
        after.encode(table), before.encode(table) - before.encode_field(table, "power"), atol=1e-5
    )
