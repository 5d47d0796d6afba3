"""Charts that can be checked by hand: where things stand, what they are called, and that they are well-formed."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import numpy as np
import pytest

from catalog.units import money
from console.charts import (
    Axis,
    Bar,
    Column,
    Line,
    Part,
    TimelineMark,
    bar_chart,
    column_chart,
    line_chart,
    round_step,
    short,
    step_chart,
    sum_bar,
    timeline,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
RUDE = '<script>&"'


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own


def titles(svg: str) -> list[str]:
    return [node.text or "" for node in drawn(svg).iter("title")]


def test_an_axis_places_numbers_between_its_ends():
    assert [Axis(10, 20).share(value) for value in (5, 10, 15, 20, 25)] == [0, 0, 0.5, 1, 1]
    assert Axis(100, 10_000, is_log=True).share(1_000) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0, 10), [0, 2, 4, 6, 8, 10]),
        (Axis(-1.1, 1.1), [-1, -0.5, 0, 0.5, 1]),
        (Axis(500, 200_000, is_log=True), [1_000, 3_000, 10_000, 30_000, 100_000]),
        (Axis(1_000, 3_000, is_log=True), [1_000, 2_000]),
        (Axis(3, 3), [3]),
    ],
)
def test_ticks_are_round_numbers_within(axis, ticks):
    assert axis.ticks() == pytest.approx(ticks)


def test_steps_and_numbers_are_round():
    assert [round_step(step) for step in (0.03, 0.2, 3, 7, 0)] == [0.05, 0.2, 5, 10, 1]
    assert [short(value) for value in (12_500, 0.25, 1.5, 3.0, -0.5)] == ["12,500", "0.25", "1.5", "3", "-0.5"]


@pytest.mark.parametrize(
    "svg",
    [
        line_chart(
            RUDE, [1, 2], [Line(RUDE, [0, 1], [0, 0], [1, 2])], x_axis=Axis(1, 2), y_label=RUDE, marks=[(1, RUDE)]
        ),
        bar_chart(RUDE, [Bar(RUDE, 1, 0.5, 1.5, href=RUDE)]),
        sum_bar(RUDE, [Part(RUDE, 1, 0)], 1),
        column_chart(RUDE, [Column(RUDE, 1, 2, RUDE)]),
        step_chart(RUDE, [(NOW, 9_000), (NOW + timedelta(days=3), 8_500)], NOW + timedelta(days=9), rule=(9_100, RUDE)),
        timeline(RUDE, [TimelineMark(NOW, 1, 0, RUDE, RUDE)], NOW + timedelta(days=2)),
    ],
    ids=["line", "bar", "sum", "column", "step", "timeline"],
)
def test_every_chart_is_well_formed_has_a_label_and_lets_no_markup_in(svg: str):
    assert drawn(svg).get("aria-label") == RUDE
    assert "<script>" not in svg


def test_nothing_to_draw_is_nothing():
    nothing = [
        line_chart("", [], [], x_axis=Axis(0, 1)),
        bar_chart("", []),
        column_chart("", []),
        timeline("", [], NOW),
    ]
    assert nothing == [""] * 4
    assert step_chart("", [], NOW) == ""


def test_the_parts_of_a_sum_take_space_by_their_size_for_to_the_right_against_to_the_left():
    svg = drawn(sum_bar("score", [Part("a", 2.0, 0), Part("b", 1.0, 1), Part("c", -1.5, 2)], 3.0, width=200))
    places = [[float(node.get(name)) for name in ("x", "width")] for node in svg.iter("rect")]
    np.testing.assert_allclose(places, [[100, 66.7], [50, 50], [166.7, 33.3]], atol=0.1)


def test_a_bar_whose_interval_holds_nothing_is_hollow():
    svg = bar_chart("", [Bar("sure", 1, 0.5, 1.5), Bar("unsure", 1, -0.5, 2.5)])
    hollow = ["fc-unsure" in (node.get("class") or "") for node in drawn(svg).iter("rect")]
    assert hollow == [False, True]
    assert titles(svg) == ["sure: +1.00, likely +0.50 to +1.50", "unsure: +1.00, likely -0.50 to +2.50"]


def test_every_step_of_a_price_is_labelled_with_its_day():
    svg = step_chart("price", [(NOW, 9_000), (NOW + timedelta(days=3), 8_500)], NOW + timedelta(days=9), write=money)
    assert titles(svg) == ["01 Mar 2026: £9,000", "04 Mar 2026: £8,500"]


def test_what_lies_further_back_stands_further_left():
    svg = timeline("", [TimelineMark(NOW, 1, 0, "new"), TimelineMark(NOW - timedelta(days=9), 0.5, 1, "old")], NOW)
    new, old = ((float(node.get("cx")), float(node.get("cy"))) for node in drawn(svg).iter("circle"))
    assert old[0] < new[0]
    assert old[1] > new[1]
