"""Trees kept as masks of leaves answer what scikit-learn's answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingRegressor

from recommendations.engine.price_trees import TreeConfig, Trees, as_masks, fit_trees


def made_up(seed: int, n: int, n_features: int, share_unknown: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = np.round(rng.normal(size=(n, n_features)), rng.integers(0, 4))
    targets = features[:, 0] ** 2 + np.sign(features[:, -1]) + rng.normal(size=n)
    features[rng.random(features.shape) < share_unknown] = np.nan
    return features, targets


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(30, 400), n_features=st.integers(1, 6),
    share_unknown=st.sampled_from([0.0, 0.3]), n_leaves=st.sampled_from([2, 7, 63]),
)  # fmt: skip
def test_masks_answer_as_the_trees_do(seed, n, n_features, share_unknown, n_leaves):
    features, targets = made_up(seed, n, n_features, share_unknown)
    features[0] = 0.0  # so that each feature is known of one row
    model = HistGradientBoostingRegressor(
        loss="quantile", quantile=0.3, max_iter=6, max_leaf_nodes=n_leaves, min_samples_leaf=2, early_stopping=False
    ).fit(features, targets)
    trees = as_masks([nodes for (nodes,) in [[p.nodes for p in step] for step in model._predictors]],
                     model._baseline_prediction.item(), n_features)  # fmt: skip
    asked = np.concatenate([features, 3 * np.random.default_rng(seed).normal(size=(50, n_features)),
                            np.full((1, n_features), np.nan), np.full((1, n_features), np.inf)])  # fmt: skip
    np.testing.assert_allclose(trees.predict(asked), model.predict(asked), atol=1e-12)


def test_trees_survive_storage():
    features, targets = made_up(1, 300, 3, 0.2)
    features[:, 1] = np.nan  # nothing is known of it
    trees = fit_trees(features, targets, 0.5, TreeConfig(n_trees=4))
    again = Trees.from_arrays(trees.to_arrays())
    np.testing.assert_array_equal(again.predict(features), trees.predict(features))
    assert np.isfinite(again.predict(features)).all()
    assert len(again.predict(np.empty((0, 3)))) == 0


def test_a_quantile_has_its_share_of_rows_below():
    features, targets = made_up(2, 4000, 2, 0.0)
    for share in (0.1, 0.5, 0.9):
        below = np.mean(targets <= fit_trees(features, targets, share, TreeConfig(n_leaves=7)).predict(features))
        assert below == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    "wrong", [{"n_leaves": 1}, {"n_leaves": 64}, {"n_trees": 0}, {"learning_rate": 0}, {"smallest_leaf": 0}]
)
def test_a_configuration_without_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        TreeConfig(**wrong)
