import numpy as np
import pytest

from recommendations.engine.archetypes import CollaborativeConfig
from recommendations.engine.collaborative import fit_collaborative
from recommendations.engine.encoder import EncoderConfig, fit_encoder
from recommendations.engine.population import fit_prior
from recommendations.engine.prices import fit_car_prices
from recommendations.engine.ranker import Ranker
from recommendations.engine.score_terms import DEAL
from recommendations.engine.scoring import LinearScore
from recommendations.engine.table import ListingTable


@pytest.fixture(scope="module")
def table() -> ListingTable:
    return ListingTable.from_rows(
        {"make": make, "model": "m", "price": price * (1 + 0.1 * number), "year": 2010 + number}
        for make, price in (("skoda", 5_000), ("bmw", 30_000))
        for number in range(8)
    )


@pytest.fixture(scope="module")
def ranker(table) -> Ranker:
    encoder = fit_encoder(table, EncoderConfig(n_dims=6))
    content = encoder.encode(table)
    collaborative = fit_collaborative(table, content, [0, 1], [0, 8], [1.0, 1.0], 2, CollaborativeConfig(n_factors=2))
    return Ranker(encoder, collaborative, fit_prior([], 8), content.mean(axis=0), 8, fit_car_prices(table))


def test_what_is_stored_comes_back(ranker, table):
    learned = ranker.with_scores(ranker.score.with_weights({DEAL: 3.0}), ranker.cold_score)
    again = Ranker.from_arrays(learned.to_arrays())
    np.testing.assert_array_equal(again.vectors(table), ranker.vectors(table))
    np.testing.assert_array_equal(again.prices.deals(table), ranker.prices.deals(table))
    np.testing.assert_array_equal(again.score.weights, learned.score.weights)
    np.testing.assert_array_equal(again.cold_score.weights, learned.cold_score.weights)


def test_a_ranker_stored_before_there_were_prices_and_scores_takes_the_a_priori_ones(ranker, table):
    later = ("prices.", "score.", "stranger_score.")
    older = {name: array for name, array in ranker.to_arrays().items() if not name.startswith(later)}
    again = Ranker.from_arrays(older)
    assert np.isnan(again.prices.deals(table)).all()
    np.testing.assert_array_equal(again.score.weights, LinearScore.default().weights)
    np.testing.assert_array_equal(again.cold_score.weights, LinearScore.default_for_cold_buyers().weights)


def test_cold_and_known_buyers_are_weighed_differently(ranker):
    assert ranker.score_for(is_personal=True) is ranker.score
    assert ranker.score_for(is_personal=False) is ranker.cold_score
