import json
import xml.etree.ElementTree as ET

import pytest
from django.core.management import CommandError, call_command

SMALL = ["--listings", "150", "--buyers", "3", "--others", "2", "--rounds", "4", "--seeds", "1", "--quiet"]


def simulate(*arguments):
    call_command("simulate", *SMALL, *arguments)


def test_it_prints_every_recommender_and_our_figures_by_type_of_buyer(capsys):
    simulate()
    out = capsys.readouterr().out
    assert "3 buyers in 1 markets of 150 cars" in out
    for name in (
        "served",
        "one logit per buyer",
        "average of opened",
        "popular",
        "random",
        "oracle",
        "everybody",
        "top of the list only",
    ):
        assert f"\n{name} " in out
    assert "served over average of opened after 3 events" in out


def test_everything_can_be_had_as_json_and_drawn(tmp_path):
    simulate("--json", str(tmp_path / "loop.json"), "--svg", str(tmp_path / "loop.svg"))
    document = json.loads((tmp_path / "loop.json").read_text())
    assert document["config"]["loop"]["n_rounds"] == 4
    assert document["n_buyers"]["everybody"] == 3
    ours = document["recommenders"]["served"]
    assert len(ours["share_after"]) >= len(ours["cumulative_regret"]) == 4
    assert set(ours["segments"]["everybody"]["share_after"]) == {"0", "1", "3"}
    for name in ("loop.svg", "loop-regret.svg"):
        drawing = ET.fromstring((tmp_path / name).read_text())  # noqa: S314 - our own drawing
        assert "average of opened" in "".join(drawing.itertext())


def test_no_searches_means_opened_cars_alone(tmp_path):
    simulate("--search-share", "0", "--json", str(tmp_path / "loop.json"))
    assert json.loads((tmp_path / "loop.json").read_text())["config"]["loop"]["search_share"] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--listings", "0"], "n_listings must be at least 1, not 0"),
        (["--rounds", "0"], "n_rounds must be at least 1, not 0"),
        (["--search-share", "2"], "search_share must lie between 0 and 1"),
        (["--json", "/nowhere/at/all.json"], "/nowhere/at is no folder to write all.json into"),
    ],
)
def test_what_cannot_be_is_refused_by_name(arguments, complaint):
    with pytest.raises(CommandError, match=complaint):
        simulate(*arguments)
