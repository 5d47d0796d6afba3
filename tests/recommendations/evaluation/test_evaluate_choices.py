import gzip
import json

import numpy as np
import pytest
from django.core.management import CommandError, call_command

HEADER = "id,obsnum,choice,price,make\n"


@pytest.fixture
def conjoint_file(tmp_path):
    """Twelve people, six tasks of two cars each; everyone prefers cheap and Skoda."""
    rng = np.random.default_rng(0)
    lines = []
    for person in range(12):
        for task in range(1, 7):
            prices, makes = rng.integers(5, 50, 2), rng.permutation(["Skoda", "Fiat"])
            best = np.argmin(prices / 10 + (makes == "Fiat") + rng.normal(size=2) * 0.1)
            lines += [f"{person},{task},{int(car == best)},{prices[car]},{makes[car]}\n" for car in range(2)]
    path = tmp_path / "choices.csv"
    path.write_text(HEADER + "".join(lines))
    return path


def evaluate(path, *arguments, capsys=None):
    call_command("evaluate_choices", str(path), *arguments)
    return capsys.readouterr().out if capsys else ""


def test_it_prints_what_was_predicted_and_how_well(conjoint_file, capsys):
    out = evaluate(conjoint_file, "--test", "2", capsys=capsys)
    assert "12 people, 48 tasks to learn from, 24 to predict" in out
    for name in ("chance", "average of chosen", "one logit for all", "one logit each", "hierarchical"):
        assert f"\n{name} " in out
    assert "chosen by cross-validation: squares" in out


def test_everything_can_be_had_as_json(conjoint_file, tmp_path):
    target = tmp_path / "choices.json"
    evaluate(conjoint_file, "--test", "2", "--json", str(target))
    document = json.loads(target.read_text())
    assert document["n_people"] == 12
    by_name = {result["name"]: result for result in document["results"]}
    assert by_name["average of chosen"]["log_loss"] is None
    assert 0.5 < by_name["hierarchical"]["accuracy"] <= 1
    assert document["gain"]["n_users"] == 12


def test_json_that_cannot_be_written_is_an_error(conjoint_file, tmp_path):
    with pytest.raises(CommandError, match="cannot write"):
        evaluate(conjoint_file, "--test", "2", "--json", str(tmp_path / "nowhere" / "choices.json"))


def test_a_gzipped_file_with_other_names_reads_the_same(conjoint_file, tmp_path, capsys):
    plain = evaluate(conjoint_file, "--test", "2", capsys=capsys)
    other = tmp_path / "other.csv.gz"
    text = conjoint_file.read_text().replace("id,obsnum,choice", "who,question,taken")
    other.write_bytes(gzip.compress(text.encode("utf-8-sig")))
    names = ["--person", "who", "--task", "question", "--chosen", "taken", "--test", "2"]
    assert evaluate(other, *names, capsys=capsys) == plain


def test_columns_can_be_named_or_left_out(conjoint_file, capsys):
    assert "1 features" in evaluate(conjoint_file, "--test", "2", "--attributes", "make", capsys=capsys)
    assert "1 features" in evaluate(conjoint_file, "--test", "2", "--ignore", "price", capsys=capsys)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file has no rows"),
        (HEADER, "the file has no rows"),
        ("person,obsnum,choice,price\n1,1,1,2\n", "no column id; there are person, obsnum"),
        ("id,obsnum,choice\n1,1,1\n", "no attribute to learn from"),
        ("id,id,obsnum,choice\n1,1,1,1\n", "the header repeats id"),
        (HEADER + "1,1,1,5\n", "line 2 has 4 columns, the header has 5"),
        (HEADER + "1,1,yes,5,Fiat\n", "line 2, column choice: “yes” is neither 0 nor 1"),
        (HEADER + "\n1,1,1,nan,Fiat\n", "line 3, column price: “nan” is not a finite number"),
        (HEADER + ",1,1,5,Fiat\n", "line 2, column id: “” is empty"),
        (HEADER + "1,1,1,5,Fiat\n1,1,1,6,\n", "line 3, column make: “” is empty"),
        (HEADER + "1,1,1,5,Fiat\n1,1,1,6,Fiat\n", "person 1, task 1: 2 alternatives are chosen"),
        (HEADER + "1,1,1,5,Fiat\n1,1,0,6,Fiat\n", "no person has more than 3 tasks"),
        (HEADER + "".join(f"1,1,0,5,Make{n}\n" for n in range(60)), "column make holds 60 different texts"),
    ],
)
def test_a_bad_file_is_refused_in_words_that_help(tmp_path, text, complaint):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(CommandError, match=complaint):
        evaluate(path)


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path):
    with pytest.raises(CommandError, match="cannot read"):
        evaluate(tmp_path / "nowhere.csv")
    picture, false_zip = tmp_path / "picture.csv", tmp_path / "false.csv.gz"
    picture.write_bytes(b"\xff\xfe\x00\x01")
    false_zip.write_bytes(b"id,obsnum\n")
    with pytest.raises(CommandError, match="not a CSV file"):
        evaluate(picture)
    with pytest.raises(CommandError, match="cannot read"):
        evaluate(false_zip)
