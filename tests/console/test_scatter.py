"""The scatter of the console: one scale, marks that open, groups by colour and shape."""

import re

from console.scatter import Arrow, Dot, Pin, scatter, swatch

COLOURS = ["fc-c0", "fc-c1"]


def square(side: float = 1.0) -> list[Dot]:
    corners = [(0.0, 0.0), (side, 0.0), (0.0, 1.0), (side, 1.0)]
    return [Dot(x, y, 0, f"car {number}", f"/car/{number}/") for number, (x, y) in enumerate(corners)]


def circles(drawing: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([-\d.]+)" cy="([-\d.]+)"', drawing)]


def test_nothing_draws_nothing():
    assert scatter("nothing", [], colours=[]) == ""


def test_both_axes_have_one_scale_and_up_is_up():
    (x0, y0), (x1, _), (_, y2), _ = circles(scatter("wide", square(4.0), colours=COLOURS))
    assert x1 - x0 == 4 * (y0 - y2)
    assert y2 < y0


def test_one_point_alone_lies_in_the_middle():
    ((x, y),) = circles(scatter("one", [Dot(7.0, 7.0, 0, "car")], colours=COLOURS))
    assert (x, y) == (380.0, 320.0)


def test_each_mark_opens_its_car_and_is_no_stop_for_the_tabulator_while_places_are():
    drawing = scatter("cars", square(), colours=COLOURS, pins=[Pin(0.5, 0.5, "1", "first", "/car/9/")])
    assert '<a href="/car/0/" tabindex="-1">' in drawing
    assert '<a href="/car/9/"><g class="fc-map-place">' in drawing
    assert drawing.index("/car/9/") > drawing.index("/car/3/")


def test_words_are_escaped():
    drawing = scatter('a "b"', [Dot(0.0, 0.0, 0, "<b>", '"><i>')], colours=COLOURS, sides={"left": "<u>"})
    assert not re.search("<(b|i|u)>", drawing)
    assert "&lt;b&gt;" in drawing


def test_groups_differ_in_shape_and_dimmed_ones_lie_below():
    dots = [Dot(0.0, 0.0, 0, "round"), Dot(1.0, 1.0, 1, "square")]
    drawing = scatter("two", dots, colours=COLOURS, dimmed=frozenset({0}))
    assert drawing.index('class="fc-c0 fc-map-dim"') < drawing.index('class="fc-c1"')
    assert ("<circle" in swatch(0, "fc-c0"), "<circle" in swatch(1, "fc-c1")) == (True, False)


def test_a_rare_group_is_not_hidden_below_a_common_one():
    dots = [Dot(0.0, 0.0, 0, "common"), Dot(1.0, 1.0, 0, "common"), Dot(0.0, 0.0, 1, "rare")]
    drawing = scatter("two", dots, colours=COLOURS)
    assert drawing.index(">common<") < drawing.index(">rare<")


def test_the_longest_arrow_has_a_fixed_length_the_others_theirs_and_none_has_none():
    arrows = [Arrow(0, 0, 2, 0, "long"), Arrow(0, 0, 1, 0, "short"), Arrow(0, 0, 0, 0, "nowhere")]
    drawing = scatter("arrows", square(), colours=COLOURS, arrows=arrows)
    lengths = [
        float(end) - float(start)
        for start, end in re.findall(r'fc-map-shaft" d="M([\d.]+) [\d.]+L([\d.]+) [\d.]+"', drawing)
    ]
    assert len(lengths) == 2
    assert lengths[0] + 9 == 2 * (lengths[1] + 9)  # the head is 9 long
    assert "nowhere" not in drawing


def test_sides_are_named_where_something_is_known():
    drawing = scatter("sides", square(), colours=COLOURS, sides={"left": "cheap", "right": "", "top": "new"})
    assert "← cheap" in drawing
    assert "↑ new" in drawing
    assert "→" not in drawing
