import json

import pytest

from jobs.wording import ArgumentsLost, arguments_in_words, error_in_words, given_to, known_task, sentence_of


def test_a_task_is_described_by_what_it_does():
    assert sentence_of("catalog.import_file") == "Read an uploaded file into the catalogue, or only try to"
    assert sentence_of("gone.task") == "gone.task"
    assert sentence_of(None) == "a task without a name"


def test_only_our_own_tasks_may_be_repeated():
    assert known_task("catalog.import_file").name == "catalog.import_file"
    assert known_task("celery.backend_cleanup") is None
    assert known_task("gone.task") is None


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (json.dumps("(3,)"), "run 3"), ("[3]", "run 3"), (None, ""), (json.dumps("()"), ""),
        (json.dumps("('a', 4)"), "run a, 4"), (json.dumps("([1, 2, ...],)"), "too long to be shown"),
        (json.dumps("([1, 2, 3, 4],)"), "run (4 of them)"), ("what", "too long to be shown"),
    ],
)  # fmt: skip
def test_arguments_are_described_by_the_names_of_what_they_are(stored, words):
    assert arguments_in_words("catalog.import_file", stored, json.dumps("{}")) == words


def test_arguments_come_back_as_they_were_given():
    assert given_to(json.dumps("(3, [1, 2])"), json.dumps("{'promote': True}")).args == (3, [1, 2])
    assert given_to(None, json.dumps("{'promote': True}")).kwargs == (("promote", True),)


def test_arguments_that_were_cut_cannot_be_handed_out_again():
    with pytest.raises(ArgumentsLost):
        given_to(json.dumps("([1, 2, 3, '...'],)"), None)


def test_an_error_is_summarised_by_its_last_line():
    assert error_in_words(None, "Traceback (most recent call last):\n  File ...\nValueError: no such file\n") == (
        "ValueError: no such file"
    )
    assert error_in_words(None, "Traceback\nbilliard.exceptions.SoftTimeLimitExceeded: SoftTimeLimitExceeded()") == (
        "It was asked to stop, or took longer than it may."
    )
    assert error_in_words(json.dumps({"exc_type": "KeyError", "exc_message": ["make"]}), "") == "KeyError: make"
    assert error_in_words('"done"', None) == ""
