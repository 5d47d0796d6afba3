import json

import numpy as np
import pytest

from recommendations.evaluation.event_file_backtest import FileParameters, backtest_file
from recommendations.evaluation.event_files import Columns, FileRefused, ItemColumns, read_event_file, read_item_file
from recommendations.evaluation.outcome import OURS, PredictedChoices


def groups_as_csv(n_users=40, n_items=24, n_days=60, seed=0) -> str:
    """Even users go for even items and odd ones for odd items, on days of 1970."""
    rng = np.random.default_rng(seed)
    lines = ["user,item,time"]
    for user in range(n_users):
        for day in sorted(rng.uniform(0, n_days, 20)):
            lines.append(f"u{user},i{2 * rng.integers(n_items // 2) + user % 2},{day * 86400:.0f}")
    return "\n".join(lines) + "\n"


ITEMS = "item,group,price,listed\n" + "".join(
    f"i{row},{'odd' if row % 2 else 'even'},{10 + row},{row % 5 * 86400}\n" for row in range(24)
)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "events.csv").write_text(groups_as_csv())
    return read_event_file(tmp_path / "events.csv", Columns())


@pytest.fixture
def items(tmp_path, file):
    (tmp_path / "items.csv").write_text(ITEMS)
    return read_item_file(tmp_path / "items.csv", ItemColumns(price="price", listed_at="listed"), file)


def value_of(outcome, ranker, metric="ndcg", k=10, slice_name="all"):
    found = (one for one in outcome.figures if (one.ranker, one.metric, one.k) == (ranker, metric, k))
    return next(one for one in found if one.slice == slice_name).value


def test_our_ranker_stands_beside_the_baselines_on_a_known_world(file):
    outcome = backtest_file(file, None, FileParameters(test_from=50.0))
    lately = {f"recently popular, {days} days" for days in ("0.25", "1", "3", "14", "30", "90")}
    rankers = {OURS, "popular", "recently popular", *lately, "item-kNN", "EASE", "ALS", "had most often"}
    assert set(outcome.summary["rankers"]) == rankers
    assert value_of(outcome, OURS) > 1.3 * value_of(outcome, "popular")
    assert value_of(outcome, "EASE") > value_of(outcome, "popular")
    lead = next(one for one in outcome.figures if (one.ranker, one.metric, one.k) == ("popular", "lead in ndcg", 10))
    assert lead.low > 0


def test_what_users_had_most_often_is_a_baseline_and_ours_where_they_have_it_again(tmp_path):
    rng = np.random.default_rng(0)
    lines = [f"u{user},i{(3 * user + min(rng.geometric(0.6), 6)) % 40},{day * 86400:.0f}"
             for user in range(60) for day in rng.uniform(0, 60, 30)]  # fmt: skip
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time", *lines]))
    file = read_event_file(tmp_path / "events.csv", Columns())
    outcome = backtest_file(file, None, FileParameters(test_from=50.0))
    had = value_of(outcome, "had most often")
    assert had > 1.1 * max(value_of(outcome, name) for name in ("EASE", "ALS", "popular"))
    assert value_of(outcome, OURS) > 0.98 * had
    unseen = backtest_file(file, None, FileParameters(test_from=50.0, unseen_only=True))
    assert "had most often" not in unseen.summary["rankers"]


@pytest.mark.parametrize("has_times", [False, True])
def test_an_item_file_that_names_no_times_does_not_make_the_test_one_of_items_that_came_later(tmp_path, has_times):
    """Items live a day: the file alone says who there is to come, but not since when."""
    rng = np.random.default_rng(0)
    days = np.sort(rng.uniform(0, 40, 1_500))
    lines = [f"u{rng.integers(60)},d{int(day)}-{rng.integers(6)},{day * 86400:.0f}" for day in days]
    (tmp_path / "events.csv").write_text("\n".join(["user,item,time", *lines]))
    listed = [f"d{day}-{at},{at},{day * 86400}" for day in range(40) for at in range(6)]
    (tmp_path / "items.csv").write_text("\n".join(["item,color,listed", *listed]))
    file = read_event_file(tmp_path / "events.csv", Columns())
    columns = ItemColumns(listed_at="listed") if has_times else ItemColumns(ignored=("listed",))
    items = read_item_file(tmp_path / "items.csv", columns, file)
    parameters = FileParameters(test_from=34.0)
    without, beside = (
        backtest_file(given.file if given else file, given, parameters).summary["notes"] for given in (None, items)
    )
    assert "The test is divided into 8 windows, each asked of what was known at its beginning." in without
    assert "The test is divided into 8 windows, each asked of what was known at its beginning." in beside
    assert any("--listed-at" in note for note in beside) is not has_times


def test_items_bring_the_baselines_that_need_them(items):
    outcome = backtest_file(items.file, items, FileParameters(test_from=50.0))
    assert {"average of liked", "newest in budget"} < set(outcome.summary["rankers"])
    assert value_of(outcome, "average of liked") > value_of(outcome, "popular")
    assert "average of liked" not in outcome.summary["learned"]["weights of users without events"]


def test_what_happens_after_the_test_has_begun_moves_no_list(file):
    whole = backtest_file(file, None, FileParameters(test_from=50.0, test_days=5.0, validation_days=5.0))
    events = file.events
    early = type(file)(file.name, events.take(events.days < 55), file.user_ids, file.item_ids, {})
    cut = backtest_file(early, None, FileParameters(test_from=50.0, validation_days=5.0))
    assert whole.to_json()["figures"] == cut.to_json()["figures"]


def test_the_same_seed_gives_the_same_figures_and_they_fit_json(file):
    runs = [backtest_file(file, None, FileParameters(max_users=10, seed=3)).to_json() for _ in range(2)]
    assert json.dumps(runs[0], allow_nan=False) == json.dumps(runs[1], allow_nan=False)
    assert runs[0]["n_buyers"] == 10


def test_without_a_date_the_last_share_of_the_events_is_tested(file):
    outcome = backtest_file(file, None, FileParameters(test_share=0.25))
    assert outcome.n_events == 200


def test_the_notes_say_what_was_left_out_and_how_it_was_asked(tmp_path):
    (tmp_path / "events.csv").write_text(groups_as_csv() + ",i1,5\n")
    file = read_event_file(tmp_path / "events.csv", Columns())
    notes = backtest_file(file, None, FileParameters(unseen_only=True)).summary["notes"]
    assert "1 rows without a user were left out." in notes
    assert any("had before" in note for note in notes)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"test_from": -1.0}, "no event lies before 1969-12-31"),
        ({"test_from": 90.0}, "no event lies in the test"),
    ],
)
def test_a_division_that_leaves_nothing_is_refused(file, options, complaint):
    with pytest.raises(FileRefused, match=complaint):
        backtest_file(file, None, FileParameters(**options))


@pytest.mark.parametrize("options", [{"test_share": 1.0}, {"ks": ()}, {"validation_days": 0.0}, {"test_days": 0.0}])
def test_parameters_that_make_no_sense_are_refused(options):
    with pytest.raises(FileRefused):
        FileParameters(**options)


def test_a_probability_that_comes_true_is_calibrated():
    """Choices drawn by the very odds that are predicted."""
    rng = np.random.default_rng(0)
    choices = PredictedChoices(np.random.default_rng(1))
    for _ in range(3000):
        scores = rng.normal(0, 1.5, 20)
        odds = np.exp(scores)
        choices.add(scores, [int(rng.choice(20, p=odds / odds.sum()))], np.arange(20))
    summary = choices.summary()
    assert summary["n_choices"] == 3000
    assert summary["error"] < 0.01


def test_no_choice_predicts_nothing():
    choices = PredictedChoices(np.random.default_rng(0))
    choices.add(np.zeros(3), [1], np.array([1]))  # there was nothing else to choose
    assert choices.summary() == {}
