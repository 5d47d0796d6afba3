import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from recommendations.evaluation.plots import Bar, Line, bar_chart, line_chart, reliability_chart, round_step

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314 - our own drawing


def shapes(svg: str, name: str):
    return list(parsed(svg).iter(SVG + name))


def test_bars_are_as_long_as_their_values():
    chart = bar_chart("NDCG", [Bar("ours", 0.4, 0.3, 0.4, is_ours=True), Bar("popular", 0.2, 0.1, 0.3)])
    ours, other = (float(one.get("width")) for one in shapes(chart, "rect"))
    assert ours == pytest.approx(2 * other, abs=0.2)
    assert "0.4000  (0.300 to 0.400)" in "".join(parsed(chart).itertext())


def test_signed_bars_grow_from_zero_to_either_side():
    ahead, behind = shapes(
        bar_chart("lead", [Bar("a", 0.2, 0.1, 0.3), Bar("b", -0.2, -0.3, -0.1)], signed=True), "rect"
    )
    assert float(behind.get("x")) + float(behind.get("width")) == pytest.approx(float(ahead.get("x")), abs=0.2)


def test_names_are_text_and_never_markup():
    chart = bar_chart('a "title" <b>', [Bar("<script>alert(1)</script>", 0.1, 0.1, 0.1)])
    assert "<script" not in chart
    assert parsed(chart).get("aria-label") == 'a "title" <b>'


def test_charts_of_nothing_are_nothing():
    assert bar_chart("NDCG", []) == ""
    assert reliability_chart("calibration", [], [], []) == ""


def test_all_zero_is_a_chart_all_the_same():
    assert len(shapes(bar_chart("NDCG", [Bar("ours", 0.0, 0.0, 0.0)]), "rect")) == 1


def test_perfectly_calibrated_predictions_lie_on_the_diagonal():
    chart = reliability_chart("calibration", [0.25, 0.75], [0.25, 0.75], [100, 10])
    first, second = shapes(chart, "circle")
    rise = float(first.get("cy")) - float(second.get("cy"))
    assert rise == pytest.approx(float(second.get("cx")) - float(first.get("cx")), abs=0.2)
    assert float(first.get("r")) > float(second.get("r"))


def test_nothing_comes_from_elsewhere():
    chart = reliability_chart("c", [0.5], [0.5], [1]) + bar_chart("b", [Bar("a", 1, 1, 1)])
    assert "href" not in chart
    assert "style" not in chart  # which a strict content security policy would drop


@pytest.mark.parametrize(("step", "rounded"), [(0.013, 0.02), (0.05, 0.05), (3.0, 5.0), (7.0, 10.0)])
def test_ticks_fall_on_round_numbers(step, rounded):
    assert round_step(step) == pytest.approx(rounded)


def test_lines_rise_with_their_values_and_carry_their_names():
    flat, rising = [0.2, 0.2, 0.2], [0.1, 0.5, 0.9]
    lines = [Line("ours", rising, rising, rising, is_ours=True), Line("popular", flat, flat, flat)]
    chart = line_chart("share", lines, "events", "share of the best")
    ours = next(one.get("d") for one in shapes(chart, "path") if one.get("stroke-width") == "2")
    heights = [float(point.split()[1]) for point in ours[1:].split("L")]
    assert heights[0] > heights[1] > heights[2]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)
    for text in ("ours", "popular", "events", "share of the best"):
        assert text in "".join(parsed(chart).itertext())


def test_names_at_the_ends_of_lines_never_stand_on_each_other():
    lines = [Line(name, [0.0, 0.5], [0.0, 0.5], [0.0, 0.5]) for name in "abc"]
    names = [one for one in shapes(line_chart("share", lines, "x", "y"), "text") if one.text in tuple("abc")]
    heights = sorted(float(one.get("y")) for one in names)
    assert min(b - a for a, b in pairwise(heights)) >= 15


def test_a_line_needs_two_steps():
    assert line_chart("share", [], "x", "y") == ""
    assert line_chart("share", [Line("a", [1.0], [1.0], [1.0])], "x", "y") == ""
