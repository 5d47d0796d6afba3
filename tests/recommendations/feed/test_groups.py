"""Without genres, each of two groups comes to be shown its own items about as soon as by a plain item-kNN."""

import numpy as np
import pytest

from benchmarks.feed_groups import WORLDS, World, feed_lists, knn_lists, own_share
from recommendations.feed.lists import rules
from recommendations.feed.memory import config


def learn_feed(world: World):
    return feed_lists(world, config(has_genres=False), rules(has_genres=False))


@pytest.mark.parametrize("minority", [0.5, 0.3, 0.1])
@pytest.mark.parametrize("kind", ["clear", "no dislikes"])
def test_each_group_is_shown_its_own_items_whatever_its_size(kind, minority):
    feed, knn = (own_share(World(100, 400, WORLDS[kind], 1, minority), each, 6) for each in (learn_feed, knn_lists))
    assert np.mean(feed[4:]) >= 0.9
    assert np.mean(feed[4:]) >= np.mean(knn[4:]) - 0.01
