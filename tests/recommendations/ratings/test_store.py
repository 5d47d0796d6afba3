"""A model on disk is complete or not there, and says what is wrong with it."""

import json

import numpy as np
import pytest

from recommendations.ratings import store
from recommendations.ratings.exceptions import ArtefactRefused


def save(folder, number: float = 1.0) -> str:
    return store.save_model(
        folder,
        arrays={"numbers": np.full(3, number)},
        about={"trained_at": "now"},
        documents={"titles": {"1": "Amélie"}},
    )


def test_what_is_saved_is_loaded(tmp_path):
    name = save(tmp_path / "new folder")
    stored = store.load_model(tmp_path / "new folder", name)
    np.testing.assert_array_equal(stored.arrays["numbers"], [1, 1, 1])
    assert isinstance(stored.arrays["numbers"], np.memmap)
    assert (stored.about["trained_at"], stored.documents) == ("now", {"titles": {"1": "Amélie"}})


def test_the_newest_comes_first_and_old_ones_go(tmp_path):
    names = [save(tmp_path) for _ in range(4)]
    assert store.names_in(tmp_path) == names[::-1]
    store.remove_old_models(tmp_path, 2)
    assert store.names_in(tmp_path) == [names[3], names[2]]


def test_a_removed_model_can_still_be_read_by_who_has_it(tmp_path):
    stored = store.load_model(tmp_path, save(tmp_path, 7.0))
    save(tmp_path)
    store.remove_old_models(tmp_path, 1)
    assert stored.arrays["numbers"].sum() == 21


def test_a_training_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        store.save_model(tmp_path, arrays={}, about={"a set": {1}}, documents={})
    assert list(tmp_path.iterdir()) == []


def test_what_was_never_completed_is_no_model_and_swept_up_in_the_end(tmp_path, monkeypatch):
    partial = tmp_path / f"{store.PARTIAL}killed"
    partial.mkdir()
    (tmp_path / "empty").mkdir()
    store.remove_old_models(tmp_path, 1)
    assert store.names_in(tmp_path) == []
    assert partial.exists()
    monkeypatch.setattr(store, "ABANDONED_AFTER_SECONDS", -1)
    store.remove_old_models(tmp_path, 1)
    assert not partial.exists()


def test_no_folder_holds_no_models(tmp_path):
    assert store.names_in(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: (path / "numbers.npy").unlink(), "numbers.npy"),
        (lambda path: (path / "numbers.npy").write_bytes(b"\x93NUMPY"), "numbers.npy"),
        (lambda path: (path / "numbers.npy").write_bytes((path / "numbers.npy").read_bytes()[:-8]), "numbers.npy"),
        (lambda path: np.save(path / "numbers.npy", np.ones(4)), "not the array"),
        (lambda path: np.save(path / "numbers.npy", np.array([{}]), allow_pickle=True), "numbers.npy"),
        (lambda path: (path / "about.json").write_text("{"), "about.json"),
        (lambda path: (path / "about.json").write_text(json.dumps({"format": 99, "arrays": {}})), "format 99"),
        (lambda path: (path / "titles.json").write_text("["), "titles.json"),
    ],
)
def test_a_damaged_model_is_refused_by_what_is_wrong_with_it(tmp_path, damage, reason):
    name = save(tmp_path)
    damage(tmp_path / name)
    with pytest.raises(ArtefactRefused, match=reason):
        store.load_model(tmp_path, name)


def test_figures_of_evaluations_are_kept_newest_first(tmp_path):
    name = save(tmp_path)
    for number in range(store.EVALUATIONS_KEPT + 5):
        store.note_evaluation(tmp_path, name, {"rmse": number})
    figures = store.evaluations_of(tmp_path, name)
    assert [figures[0]["rmse"], len(figures)] == [store.EVALUATIONS_KEPT + 4, store.EVALUATIONS_KEPT]
    assert "evaluations" not in store.load_model(tmp_path, name).documents
