import numpy as np
import pytest

from recommendations.evaluation.stated_choices import AVERAGE, HIERARCHICAL, ChoiceConfig, ChoiceTable, evaluate_choices

# Small and quick: two options of each kind, so that there is something to choose.
QUICK = ChoiceConfig(n_test=2, n_folds=2, covariance_strengths=(0.5, 5.0), variances=(0.3, 3.0))


def stated_choices(seed=0, n_people=60, n_tasks=10, sweet_spot=False):
    """People who agree that cheap is good and disagree about the rest; persons' ages repeat in every row."""
    rng = np.random.default_rng(seed)
    price, power, colour = rng.normal(size=(3, n_people, n_tasks, 3))
    age = np.broadcast_to(rng.normal(size=(n_people, 1, 1)), price.shape)
    taste = rng.normal(scale=2, size=(n_people, 1, 1))
    utility = -1.5 * price + taste * power + 0.3 * colour - (2 * price**2 if sweet_spot else 0)
    chosen = (utility + rng.gumbel(size=utility.shape)).argmax(axis=2)
    persons, tasks, alternatives = np.indices(price.shape)
    return ChoiceTable(
        persons=persons.ravel(),
        tasks=tasks.ravel(),
        chosen=(alternatives == chosen[..., None]).ravel(),
        values=np.column_stack([price.ravel(), power.ravel(), colour.ravel(), age.ravel()]),
        columns=("price", "power", "colour", "age"),
    )


def by_name(evaluation):
    return {result.name: result for result in evaluation.results}


def test_the_hierarchical_model_wins_where_people_partly_agree():
    evaluation = evaluate_choices(stated_choices(), QUICK)
    results = by_name(evaluation)
    assert results[HIERARCHICAL].accuracy == max(result.accuracy for result in evaluation.results)
    assert results[HIERARCHICAL].accuracy > results[AVERAGE].accuracy
    assert results[HIERARCHICAL].low < results[HIERARCHICAL].accuracy < results[HIERARCHICAL].high
    assert evaluation.chance == pytest.approx(1 / 3)
    assert np.isnan(results[AVERAGE].log_loss)


def test_everything_is_counted():
    evaluation = evaluate_choices(stated_choices(n_people=20, n_tasks=7), QUICK)
    assert (evaluation.n_people, evaluation.n_learning_tasks, evaluation.n_test_tasks) == (20, 100, 40)


def test_what_never_differs_within_a_task_is_not_a_feature():
    evaluation = evaluate_choices(stated_choices(), ChoiceConfig(n_test=2, n_folds=2, squares=(False,)))
    assert evaluation.n_features == 3


def test_squares_are_chosen_where_there_is_a_sweet_spot_and_only_there():
    assert evaluate_choices(stated_choices(sweet_spot=True), QUICK).chosen_options["squares"] is True
    assert evaluate_choices(stated_choices(), QUICK).chosen_options["squares"] is False


def test_the_test_tasks_decide_nothing():
    """Turning all answers of the test tasks round changes what is scored, but not what was chosen or learned."""
    table = stated_choices(n_people=30, n_tasks=8)
    chosen = table.chosen.reshape(30, 8, 3).copy()
    chosen[:, -2:] = np.roll(chosen[:, -2:], 1, axis=2)
    turned = ChoiceTable(table.persons, table.tasks, chosen.ravel(), table.values, table.columns)
    one, two = evaluate_choices(table, QUICK), evaluate_choices(turned, QUICK)
    assert one.chosen_options == two.chosen_options
    assert by_name(two)[HIERARCHICAL].accuracy < by_name(one)[HIERARCHICAL].accuracy


def test_rows_may_come_in_any_order():
    table = stated_choices(n_people=20, n_tasks=6)
    order = np.random.default_rng(1).permutation(len(table.persons))
    shuffled = ChoiceTable(
        table.persons[order], table.tasks[order], table.chosen[order], table.values[order], table.columns
    )
    one, two = evaluate_choices(table, QUICK), evaluate_choices(shuffled, QUICK)
    assert [result.accuracy for result in one.results] == pytest.approx([result.accuracy for result in two.results])


def test_people_with_too_few_tasks_are_left_out_and_tasks_may_differ_in_size():
    table = stated_choices(n_people=20, n_tasks=6)
    # the last person answers one task only; everyone's first task loses an alternative that was not chosen
    is_kept = ~((table.persons == 19) & (table.tasks > 0))
    first = np.flatnonzero((table.tasks == 0) & ~table.chosen)[::2]
    is_kept[first] = False
    part = ChoiceTable(
        table.persons[is_kept], table.tasks[is_kept], table.chosen[is_kept], table.values[is_kept], table.columns
    )
    evaluation = evaluate_choices(part, QUICK)
    assert (evaluation.n_people, evaluation.n_left_out) == (19, 1)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"chosen": [1, 1, 0, 1]}, "person 7, task 1: 2 alternatives are chosen"),
        ({"chosen": [1, 0, 0, 0]}, "person 7, task 2: 0 alternatives are chosen"),
        ({"tasks": [1, 1, 2, 3], "chosen": [1, 0, 1, 1]}, "person 7, task 2: there is only one alternative"),
        ({"values": [[1.0], [2.0], [np.nan], [1.0]]}, "must be finite"),
        ({"values": [[1.0]]}, r"values must have shape \(4, 1\)"),
        ({"tasks": [1]}, "one length"),
        ({"persons": [], "tasks": [], "chosen": [], "values": np.zeros((0, 1))}, "no choices"),
    ],
)
def test_a_table_checks_itself(changes, complaint):
    arrays = {"persons": [7, 7, 7, 7], "tasks": [1, 1, 2, 2], "chosen": [1, 0, 0, 1], "values": np.ones((4, 1))}
    with pytest.raises(ValueError, match=complaint):
        ChoiceTable(**arrays | changes, columns=("price",))


def test_too_little_to_learn_from_is_said():
    table = stated_choices(n_people=5, n_tasks=3)
    with pytest.raises(ValueError, match="no person has more than 3 tasks"):
        evaluate_choices(table, ChoiceConfig(n_test=3))
    with pytest.raises(ValueError, match="cross-validation needs"):
        evaluate_choices(table, ChoiceConfig(n_test=2))
    alike = ChoiceTable(table.persons, table.tasks, table.chosen, np.ones((45, 1)), ("price",))
    with pytest.raises(ValueError, match="no attribute differs"):
        evaluate_choices(alike, ChoiceConfig(n_test=1))


def test_options_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="n_folds"):
        ChoiceConfig(n_folds=1)
    with pytest.raises(ValueError, match="something to try"):
        ChoiceConfig(squares=())
