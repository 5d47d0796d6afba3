"""The page of a version draws the curves of its scores, whatever they are, and leaves the kept rankers alone."""

from dataclasses import replace

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

from recommendations.engine.score_terms import DEAL, FRESHNESS, TERMS
from recommendations.engine.scoring import LinearScore
from recommendations.models.artifacts import load_ranker, load_scores, save_ranker
from tests.factories import RankerVersionFactory, UserFactory
from tests.recommendations.engine.test_boosting import random_score
from tests.recommendations.engine.test_ranker import ranker, table  # noqa: F401

pytestmark = pytest.mark.django_db


def score_with_curves_of(*names: str, constant: str) -> LinearScore:
    """Curves of some terms, and of one that had one value only, which has no edge."""
    score = random_score(5)
    curves, rows = score.curves, np.isin(TERMS, [*names, constant])
    edges = np.where(np.array(TERMS)[:, None] == constant, np.inf, curves.edges)
    return replace(score, curves=replace(curves, edges=edges, values=np.where(rows[:, None, None], curves.values, 0.0)))


def test_the_page_of_a_version_draws_its_curves_and_evicts_no_ranker(ranker, client: Client):  # noqa: F811
    version = RankerVersionFactory()
    scores = score_with_curves_of(DEAL, constant=FRESHNESS), LinearScore.default_for_cold_buyers()
    save_ranker(ranker.with_scores(*scores), version)
    client.force_login(UserFactory(operator=True))
    before = load_ranker.cache_info()
    page = client.get(reverse("admin:recommendations_rankerversion_change", args=[version.pk]))
    assert page.status_code == 200
    assert page.text.count("adds to the score") == 1
    assert load_ranker.cache_info().misses == before.misses
    for loaded, saved in zip(load_scores(version.pk), scores, strict=True):
        np.testing.assert_array_equal(loaded.breakdown({DEAL: [0.1]}, 3), saved.breakdown({DEAL: [0.1]}, 3))
