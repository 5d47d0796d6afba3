"""Plots as inline SVG: text and shapes, nothing from elsewhere, no script, colours that read on light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import floor, log10

OURS_COLOUR, OTHER_COLOUR, LINE_COLOUR = "#12809c", "#8b98a8", "#8b98a880"
WIDTH, LABEL_WIDTH, VALUE_WIDTH, ROW_HEIGHT = 800, 170, 210, 26
TICKS = 5
NAME_HEIGHT = 15.0


@dataclass(frozen=True)
class Bar:
    """One line of a chart: what it is, its value with an interval, and whether it is ours."""

    label: str
    value: float
    low: float
    high: float
    is_ours: bool = False


def bar_chart(title: str, bars: Sequence[Bar], *, signed: bool = False) -> str:
    """Horizontal bars with their intervals, in the order given; ``signed`` draws around 0. Empty without bars."""
    if not bars:
        return ""
    lowest = min(0.0, *(bar.low for bar in bars)) if signed else 0.0
    highest = max(1e-9, *(max(bar.high, bar.value) for bar in bars))
    axis = _Axis(lowest, highest, LABEL_WIDTH, WIDTH - VALUE_WIDTH)
    height = ROW_HEIGHT * (len(bars) + 1) + 6
    parts = [*axis.grid(ROW_HEIGHT * len(bars))]
    for number, bar in enumerate(bars):
        parts += _bar(bar, axis, ROW_HEIGHT * number + ROW_HEIGHT / 2, signed)
    return _svg(title, WIDTH, height, parts)


def _bar(bar: Bar, axis: _Axis, middle: float, signed: bool) -> list[str]:
    colour = OURS_COLOUR if bar.is_ours else OTHER_COLOUR
    start, end = sorted((axis.at(0.0), axis.at(bar.value)))
    written = f"{bar.value:+.4f}" if signed else f"{bar.value:.4f}"
    weight = ' font-weight="600"' if bar.is_ours else ""
    return [
        _text(LABEL_WIDTH - 8, middle + 4, bar.label, "end", weight),
        f'<rect x="{start:.1f}" y="{middle - 7:.1f}" width="{max(end - start, 0.5):.1f}" height="14" rx="2" '
        f'fill="{colour}"/>',
        f'<path d="M{axis.at(bar.low):.1f} {middle:.1f}H{axis.at(bar.high):.1f}" stroke="currentColor" '
        f'stroke-width="1.5"/>',
        _text(WIDTH - VALUE_WIDTH + 10, middle + 4, f"{written}  ({bar.low:.3f} to {bar.high:.3f})", "start", weight),
    ]


@dataclass(frozen=True)
class Line:
    """One line of a chart, a value for each step from 0, with an interval around it, and whether it is ours."""

    label: str
    values: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    is_ours: bool = False


def line_chart(title: str, lines: Sequence[Line], across: str, up: str) -> str:
    """Lines over steps, named at their ends; ``across`` and ``up`` say what the axes are. Empty without steps."""
    if not lines or len(lines[0].values) < 2:
        return ""
    left, right, bottom = 50, WIDTH - 150, 360
    x = _Axis(0, len(lines[0].values) - 1, left, right)
    lowest, highest = min(0.0, *(min(line.low) for line in lines)), max(max(line.high) for line in lines)
    y = _Axis(lowest, max(highest, lowest + 1e-9), bottom, 24)
    parts = [*y.rules(left, right), *_steps(x, bottom), _text((left + right) / 2, bottom + 38, across, "middle")]
    parts.append(_text(left, 14, up, "start"))
    names = _apart([y.at(line.values[-1]) + 4 for line in lines])
    for number, (line, name_at) in enumerate(zip(lines, names, strict=True)):
        parts += _line(line, number, x, y)
        weight = ' font-weight="600"' if line.is_ours else ""
        parts.append(_text(right + 8, name_at, line.label, "start", weight))
    return _svg(title, WIDTH, bottom + 48, parts)


def _line(line: Line, number: int, x: _Axis, y: _Axis) -> list[str]:
    colour = OURS_COLOUR if line.is_ours else OTHER_COLOUR
    dashes = "" if line.is_ours else f' stroke-dasharray="{2 + 3 * number} 3"'
    there = [f"{x.at(step):.1f} {y.at(value):.1f}" for step, value in enumerate(line.high)]
    back = [f"{x.at(step):.1f} {y.at(value):.1f}" for step, value in reversed(list(enumerate(line.low)))]
    middle = [f"{x.at(step):.1f} {y.at(value):.1f}" for step, value in enumerate(line.values)]
    return [
        f'<path d="M{"L".join(there + back)}Z" fill="{colour}" fill-opacity=".2"/>',
        f'<path d="M{"L".join(middle)}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>',
    ]


def _steps(x: _Axis, bottom: float) -> list[str]:
    step = max(1, round(round_step(x.highest / TICKS)))
    return [_text(x.at(value), bottom + 18, str(value), "middle") for value in range(0, int(x.highest) + 1, step)]


def _apart(heights: Sequence[float]) -> list[float]:
    """Return the heights, moved down where two names would overlap."""
    moved = list(heights)
    ordered = sorted(range(len(moved)), key=lambda number: moved[number])
    for above, below in pairwise(ordered):
        moved[below] = max(moved[below], moved[above] + NAME_HEIGHT)
    return moved


def reliability_chart(title: str, predicted: Sequence[float], observed: Sequence[float], n: Sequence[int]) -> str:
    """A chart of observed shares over predicted probabilities, which are equal on the diagonal.

    Larger dots stand for more predictions. The chart is empty without predictions.
    """
    if not predicted:
        return ""
    size, left, bottom = 320, 60, 40
    x, y = _Axis(0, 1, left, left + size), _Axis(0, 1, size + 10, 10)
    largest = max(n)
    parts = [
        *x.grid(size + 10),
        *(_text(left - 8, y.at(value) + 4, f"{value:.1f}", "end") for value in (0.0, 0.5, 1.0)),
        f'<path d="M{x.at(0)} {y.at(0)}L{x.at(1)} {y.at(1)}" stroke="{LINE_COLOUR}" stroke-dasharray="4 4"/>',
        _text(left + size / 2, size + bottom + 8, "predicted", "middle"),
        _text(left + 8, 24, "came true", "start"),
    ]
    for was, did, count in zip(predicted, observed, n, strict=True):
        radius = 3 + 7 * (log10(1 + count) / log10(1 + largest))
        parts.append(
            f'<circle cx="{x.at(was):.1f}" cy="{y.at(did):.1f}" r="{radius:.1f}" fill="{OURS_COLOUR}" '
            f'fill-opacity=".75"><title>{was:.3f} predicted, {did:.3f} came true, {count:,} predictions</title>'
            "</circle>"
        )
    return _svg(title, left + size + 20, size + bottom + 16, parts)


class _Axis:
    """Values along a line between two places of the drawing."""

    def __init__(self, lowest: float, highest: float, start: float, end: float) -> None:
        self._lowest, self._scale, self._start = lowest, (end - start) / (highest - lowest), start
        self.highest = highest

    def at(self, value: float) -> float:
        return self._start + (value - self._lowest) * self._scale

    def rules(self, left: float, right: float) -> list[str]:
        """The same across the drawing, for a scale that goes up."""
        return [
            f'<path d="M{left:.1f} {self.at(value):.1f}H{right:.1f}" stroke="{LINE_COLOUR}" stroke-width=".5"/>'
            + _text(left - 8, self.at(value) + 4, written, "end")
            for value, written in self.ticks()
        ]

    def ticks(self) -> list[tuple[float, str]]:
        """Round values along the axis, and how they are written."""
        step = round_step((self.highest - self._lowest) / TICKS)
        first = floor(self._lowest / step) + (self._lowest % step > 0)
        values = [step * number for number in range(first, floor(self.highest / step + 1e-9) + 1)]
        digits = max(0, -floor(log10(step)))
        return [(value, f"{value:.{digits}f}") for value in values]

    def grid(self, height: float) -> list[str]:
        parts = []
        for value, written in self.ticks():
            parts.append(f'<path d="M{self.at(value):.1f} 0V{height:.1f}" stroke="{LINE_COLOUR}" stroke-width=".5"/>')
            parts.append(_text(self.at(value), height + 16, written, "middle"))
        return parts


def round_step(step: float) -> float:
    """The next of 1, 2, 5, 10 … that is no smaller."""
    size = 10.0 ** floor(log10(step))
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor >= step * (1 - 1e-9))


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title, quote=True)}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )
