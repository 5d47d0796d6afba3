import math
from datetime import UTC, datetime

from recommendations.evaluation.outcome import Outcome
from recommendations.evaluation.report import Reading, cell, html_report, in_words, plots, tables, text_report
from recommendations.metrics.figures import Figure

FIGURES = (
    Figure("forecourt", "all", "ndcg", 5, 0.3, 0.25, 0.35, 40),
    Figure("forecourt", "all", "ndcg", 10, 0.32, 0.27, 0.37, 40),
    Figure("forecourt", "all", "coverage", 10, 0.5, 0.45, 0.55, 40),
    Figure("forecourt", "cold buyer", "ndcg", 10, math.nan, math.nan, math.nan, 0),
    Figure("forecourt", "cold item", "ndcg", 10, 0.1, 0.05, 0.15, 9),
    Figure("popular", "all", "ndcg", 10, 0.2, 0.15, 0.25, 40),
    Figure("popular", "all", "lead in ndcg", 10, 0.12, 0.08, 0.16, 40),
    Figure("popular", "cold item", "ndcg", 10, 0.0, 0.0, 0.0, 9),
    Figure("popular", "cold item", "lead in ndcg", 10, 0.1, 0.05, 0.15, 9),
)
OUTCOME = Outcome(
    source="orders <2026>.csv",
    moment=datetime(2026, 10, 1, 6, 30, tzinfo=UTC),
    n_events=1_234,
    n_buyers=40,
    n_candidates=900,
    figures=FIGURES,
    summary={
        "rankers": {"forecourt": "ours", "popular": "what most want"},
        "notes": ["7 rows without a user were left out."],
        "calibration": {
            "predicted": [0.1],
            "observed": [0.12],
            "n": [50],
            "error": 0.02,
            "n_choices": 50,
            "alternatives": 20,
        },
        "learned": {"weights": {"known buyers": {"utility": 1.2, "deal": 0.1}}},
        "parameters": {"seed": 0, "ks": [5, 10]},
    },
)
DOCUMENT = OUTCOME.to_json()


def test_what_cannot_be_measured_is_null_in_json_and_a_dash_on_paper():
    value = next(one for one in DOCUMENT["figures"] if one["slice"] == "cold buyer")
    assert (value["value"], value["low"], value["n"]) == (None, None, 0)
    assert cell(Reading(DOCUMENT).figure("forecourt", "ndcg", 10, "cold buyer")) == "–"


def test_rankers_stand_in_rows_and_metrics_in_columns():
    quality = tables(DOCUMENT)[0]
    assert quality.headers == ["", "ndcg@10"]
    assert quality.rows == [["forecourt", "0.3200"], ["popular", "0.2000"]]


def test_slices_tell_ours_beside_the_best_other_where_both_have_a_value():
    by_slice = tables(DOCUMENT)[-1]
    assert by_slice.rows == [
        ["all", "40", "0.3200", "0.2000 (popular)", "0.1200 (0.080 to 0.160)"],
        ["cold item", "9", "0.1000", "0.0000 (popular)", "0.1000 (0.050 to 0.150)"],
    ]


def test_the_report_is_one_file_with_everything_in_it():
    page = html_report(DOCUMENT)
    assert page.count("<svg") == 4
    for text in ("40 buyers, 1,234 events, 900 candidates", "2026-10-01 06:30", "7 rows without a user", "0.3200",
                 "what most want", "known buyers utility 1.2, deal 0.1"):  # fmt: skip
        assert text in page
    assert "<script" not in page
    assert 'src="' not in page
    assert 'href="' not in page


def test_names_of_files_are_text_and_never_markup():
    assert "orders &lt;2026&gt;.csv" in html_report(DOCUMENT)


def test_an_evaluation_without_figures_is_a_page_all_the_same():
    nothing = {**DOCUMENT, "figures": [], "summary": {}}
    assert tables(nothing) == []
    assert list(plots(nothing)) == []
    assert "Evaluation on" in html_report(nothing)


def test_a_terminal_gets_aligned_lines():
    lines = list(text_report(DOCUMENT))
    assert lines[0].startswith("orders <2026>.csv: learned from what was known on 2026-10-01 06:30")
    assert "forecourt   0.3200" in lines
    assert lines[-1] == "calibration error 0.0200 over 50 choices among 20"


def test_settings_are_described_in_words():
    assert in_words({"weights": {"a": 1}, "more": {"b": 2}}) == "weights a 1; more b 2"
    assert in_words([5, 10]) == "5, 10"
    assert in_words(None) == "none"
