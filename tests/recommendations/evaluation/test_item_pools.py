import numpy as np
from scipy.sparse import csr_array

from benchmarks.event_kinds import SIZES, file_of
from recommendations.evaluation.item_events import ItemCatalogue
from recommendations.evaluation.item_pools import tables_of
from recommendations.evaluation.item_ranker import worth_trying
from recommendations.evaluation.item_terms import CONTENT, ItemRankerConfig, Option
from recommendations.evaluation.item_validation import windows_before

CONFIG = ItemRankerConfig(n_factors=4, n_iterations=2, known_only=False, unseen_only=False)
OPTIONS = [Option(200.0, 60.0, 100), Option(1000.0, 365.0, 100)]


def windows_of(kind, size="small", **changes):
    events, catalogue = file_of(kind, SIZES[size], seed=4)
    if changes:
        catalogue = ItemCatalogue(catalogue.listed_days, catalogue.ended_days, **changes)
    return windows_before(events, catalogue, 50.0, CONFIG)


def names_of(windows, **which):
    return windows[0].learning_data.term_names(**which)


def test_a_table_of_several_options_has_what_a_table_of_one_has():
    windows = windows_of("two tastes")
    [several] = tables_of(windows, OPTIONS, [names_of(windows)])
    for option in OPTIONS:
        [alone] = tables_of(windows, [option], [names_of(windows)])
        own = several.of(option)
        assert own.names == names_of(windows)
        np.testing.assert_array_equal(own.features, alone.of(option).features)
        assert own.by_member.keys() == alone.by_member.keys()


def test_a_pool_has_the_terms_that_lists_are_made_by():
    windows = windows_of("two tastes")
    names = names_of(windows)
    [table] = tables_of(windows, OPTIONS[:1], [names])
    data, asked = windows[-1].learning_data, windows[-1].asked
    own = table.of(OPTIONS[0])
    blocks = list(data.terms(asked.user_rows, OPTIONS[0], names))
    expected = np.concatenate([np.stack(list(block.values()), axis=-1) for block in blocks])
    last = own.features[-len(asked) :]
    for features, items, is_allowed, terms in zip(
        last, own.items[-len(asked) :], own.is_allowed[-len(asked) :], expected, strict=True
    ):
        np.testing.assert_allclose(features[is_allowed], terms[items[is_allowed]], rtol=1e-4, atol=1e-5)


def test_pools_of_a_file_with_many_items_are_the_same_with_an_item_file_beside_it():
    content = csr_array(np.eye(7, dtype=np.float32)[np.arange(SIZES["middle"].n_items) % 7])
    windows = windows_of("popularity", "middle", content=content)
    views = [names_of(windows, with_item_files=False), names_of(windows)]
    beside, with_content = tables_of(windows[-1:], OPTIONS[:1], views, n_pool=250)
    [alone] = tables_of(windows[-1:], OPTIONS[:1], views[:1], n_pool=250)
    np.testing.assert_array_equal(beside.items, alone.items)
    np.testing.assert_array_equal(beside.features, alone.features)
    assert CONTENT in with_content.names
    assert CONTENT not in beside.names


def test_a_second_regularisation_is_tried_only_where_histories_are_not_surely_useless(monkeypatch):
    monkeypatch.setattr("recommendations.evaluation.item_ranker.ENOUGH_TO_GIVE_UP", 10)
    assert worth_trying(windows_of("two tastes", "middle")[-1], OPTIONS) == OPTIONS
    assert worth_trying(windows_of("news", "middle")[-1], OPTIONS) == OPTIONS[:1]
