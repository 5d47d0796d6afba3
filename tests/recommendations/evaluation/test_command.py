import json

import pytest
from django.core.management import CommandError, call_command

from recommendations.models import Evaluation
from tests.recommendations.evaluation.test_event_file_backtest import ITEMS, groups_as_csv

pytestmark = pytest.mark.django_db


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text(groups_as_csv().replace("user,item,time", "who,what,when"))
    return path


NAMES = ("--user", "who", "--item", "what", "--time", "when", "--quiet")


def evaluate(capsys, *arguments):
    call_command("evaluate", *map(str, arguments))
    return capsys.readouterr().out


def test_a_file_is_evaluated_and_kept(capsys, events):
    out = evaluate(capsys, "--events", events, *NAMES, "--test-from", "1970-02-20", "--known-only", "--unseen-only")
    assert out.startswith("orders.csv: learned from what was known on 1970-02-20 00:00 UTC")
    for ranker in ("forecourt", "popular", "item-kNN", "EASE", "ALS"):
        assert f"\n{ranker} " in out
    evaluation = Evaluation.objects.get()
    assert (evaluation.status, evaluation.source) == ("done", "orders.csv")
    assert evaluation.figures.filter(ranker="forecourt", metric="ndcg", slice="all").count() == 3


def test_it_need_not_be_kept_and_can_be_written_to_files(capsys, events, tmp_path):
    page, document = tmp_path / "report.html", tmp_path / "report.json"
    evaluate(capsys, "--events", events, *NAMES, "--no-store", "--k", 3, "--html", page, "--json", document)
    assert not Evaluation.objects.exists()
    assert "<svg" in page.read_text()
    assert json.loads(document.read_text())["source"] == "orders.csv"
    assert {one["k"] for one in json.loads(document.read_text())["figures"]} == {3}


def test_items_go_with_events(capsys, events, tmp_path):
    items = tmp_path / "items.csv"
    items.write_text(ITEMS.replace("item,", "what,", 1))
    out = evaluate(capsys, "--events", events, *NAMES, "--items", items, "--listed-at", "listed", "--price", "price",
                   "--item-ignore", "price", "--no-store")  # fmt: skip
    assert "average of liked" in out
    assert "newest in budget" in out


def test_the_log_is_evaluated_without_a_file(capsys, market):
    out = evaluate(capsys, "--test-share", 0.3, "--quiet")
    assert out.startswith("log: learned from")
    assert Evaluation.objects.get().source == "log"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--items", "items.csv"], "--items go with --events"),
        (["--events", "nowhere.csv"], "cannot read nowhere.csv"),
        (["--events", "nowhere.csv", "--where", "Quantity"], "“Quantity” is no condition"),
        (["--events", "nowhere.csv", "--test-from", "soon"], "--test-from: “soon” is no time"),
        (["--test-from", "soon"], "“soon” is no date"),
        ([], "there are no events to learn from"),
        (["--stored-version", "9999"], "there are no events"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(capsys, arguments, complaint):
    with pytest.raises(CommandError, match=complaint):
        evaluate(capsys, *arguments, "--quiet")


def test_a_file_that_cannot_be_read_leaves_a_failed_row_that_says_why(capsys, events):
    with pytest.raises(CommandError, match="no column user"):
        evaluate(capsys, "--events", events, "--quiet")
    evaluation = Evaluation.objects.get()
    assert evaluation.status == Evaluation.Status.FAILED
    assert "no column user" in evaluation.error


def test_a_report_that_cannot_be_written_is_an_error(capsys, events, tmp_path):
    with pytest.raises(CommandError, match="cannot write"):
        evaluate(capsys, "--events", events, *NAMES, "--no-store", "--html", tmp_path / "nowhere" / "report.html")
