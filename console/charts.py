"""Charts of the console as inline SVG, drawn on the server: text and shapes, no script.

Colours come from the classes ``fc-c0`` to ``fc-c7`` and their like in console.css, so that a chart reads on light and
on dark. Every shape that stands for a number carries it in a ``<title>``; a person who cannot see the chart
reads its label, and the table or text that stands beside it on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil, floor, isfinite, log10

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

N_COLOURS = 8
WIDTH, WIDE = 460, 900  # of one of two columns, and of a whole page
STEPS_HIGH, TIMELINE_HIGH = 200, 170  # heights of whole-page charts
LEFT, RIGHT, TOP, BOTTOM = 48, 26, 16, 30
TICKS = 5


# --- Axes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """Numbers along a line of the drawing.

    Attributes:
        low, high: What the line begins and ends with; ``low < high``, and both above 0 where it is logarithmic.
        is_log: Equal factors take equal space.
        unit: Written after each number.
        formatter: How a number is written; by default with thousands separated and no needless digits.
    """

    low: float
    high: float
    is_log: bool = False
    unit: str = ""
    formatter: Callable[[float], str] | None = None

    def share(self, value: float) -> float:
        """The position of a number on the axis, clipped to 0 (low) to 1 (high)."""
        low, high, at = (self._placed(number) for number in (self.low, self.high, value))
        return min(max((at - low) / ((high - low) or 1.0), 0.0), 1.0)

    def ticks(self, n: int = TICKS) -> list[float]:
        """Round numbers along the line, about ``n``."""
        if self.is_log:
            return self._log_ticks(n)
        step = round_step((self.high - self.low) / n)
        return [step * number for number in range(ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9) + 1)]

    def write(self, value: float) -> str:
        return self.formatter(value) if self.formatter else f"{short(value)}{self.unit}"

    def _placed(self, value: float) -> float:
        return log10(max(value, 1e-12)) if self.is_log else value

    def _log_ticks(self, n: int) -> list[float]:
        found: list[float] = []
        for factors in ((1,), (1, 3), (1, 2, 5)):
            decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            found = [f * 10.0**d for d in decades for f in factors if self.low <= f * 10.0**d <= self.high]
            if len(found) >= n - 1:
                break
        return found


def round_step(step: float) -> float:
    """The next of 1, 2, 5, 10 … that is no smaller; 1 for nothing."""
    if not (step > 0 and isfinite(step)):
        return 1.0
    size = 10.0 ** floor(log10(step))
    return next(size * factor for factor in (1, 2, 5, 10) if size * factor >= step * (1 - 1e-9))


def short(value: float) -> str:
    """``12,500`` · ``0.25`` · ``1.5``: as many digits as are needed."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.3g}"


# --- Lines with a band -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A curve, and its band, left out for none; all of the length of the chart's ``xs``."""

    label: str
    ys: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def line_chart(
    label: str,
    xs: Sequence[float],
    lines: Sequence[Line],
    *,
    x_axis: Axis,
    y_label: str = "",
    marks: Sequence[tuple[float, str]] = (),
    height: int = 220,
) -> SafeString:
    """Curves over a number, with bands; ``marks`` are places on the x axis worth noting. Empty without points."""
    if len(xs) < 2 or not lines:
        return mark_safe("")
    values = [y for line in lines for part in (line.ys, line.low, line.high) for y in part if isfinite(y)]
    y_axis = padded(values)
    frame = Frame(x_axis, y_axis, WIDTH, height)
    parts = [*frame.grid(), *frame.up(y_label)]
    for at, what in marks:
        parts.append(
            f'<path class="fc-mark" d="M{frame.x(at):.1f} {frame.y0}V{frame.y1}"><title>{escape(what)}</title></path>'
        )
    for number, line in enumerate(lines):
        parts += _line_with_band(frame, xs, line, number)
    return svg(label, WIDTH, height, parts)


def _line_with_band(frame: Frame, xs: Sequence[float], line: Line, number: int) -> Iterator[str]:
    colour = f"fc-c{number % N_COLOURS}"
    if len(line.low):
        there = [frame.point(x, y) for x, y in zip(xs, line.high, strict=True)]
        back = [frame.point(x, y) for x, y in zip(xs, line.low, strict=True)][::-1]
        yield f'<path class="fc-band {colour}" d="M{"L".join(there + back)}Z"/>'
    points = "L".join(frame.point(x, y) for x, y in zip(xs, line.ys, strict=True))
    yield f'<path class="fc-line {colour}" d="M{points}"><title>{escape(line.label)}</title></path>'
    for x, y in zip(xs, line.ys, strict=True):  # wide, unseen, to be pointed at
        title = f"{frame.x_axis.write(x)}: {y:+.2f}"
        place = f'cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}"'
        yield f'<circle class="fc-hover" {place} r="6"><title>{escape(title)}</title></circle>'


def step_chart(
    label: str,
    steps: Sequence[tuple[datetime, float]],
    until: datetime,
    *,
    rule: tuple[float, str] | None = None,
    write: Callable[[float], str] = "{:,.0f}".format,
) -> SafeString:
    """A number that stays between its changes; ``rule`` is a level to compare with. Empty without steps.

    ``write`` puts the numbers into words: beside the axis, and of each change.
    """
    if not steps:
        return mark_safe("")
    first, last = steps[0][0], max(until, steps[0][0] + timedelta(days=1))
    values = [value for _, value in steps] + ([rule[0]] if rule else [])
    frame = Frame(time_axis(first, last), replace(padded(values), formatter=write), WIDE, STEPS_HIGH)
    parts = list(frame.grid())
    if rule:
        at = frame.y(rule[0])
        parts.append(
            f'<path class="fc-mark" d="M{frame.x0} {at:.1f}H{frame.x1}"><title>{escape(rule[1])}</title></path>'
        )
        parts.append(text(frame.x1, at - 5, rule[1], "end", "fc-svg-muted"))
    path = f"M{frame.point(first.timestamp(), steps[0][1])}"
    for (_, _), (moment, value) in pairwise(steps):
        path += f"H{frame.x(moment.timestamp()):.1f}V{frame.y(value):.1f}"
    parts.append(f'<path class="fc-line fc-c0" d="{path}H{frame.x(last.timestamp()):.1f}"/>')
    for moment, value in steps:
        title = f"{moment:%d %b %Y}: {write(value)}"
        parts.append(_dot(frame.x(moment.timestamp()), frame.y(value), 4, 0, title))
    return svg(label, WIDE, STEPS_HIGH, parts)


# --- Bars ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """A number with its interval. One whose interval holds 0 is drawn hollow: its sign is uncertain.

    ``limit`` is what the interval is held against, drawn as a mark; None for nothing.
    """

    label: str
    value: float
    low: float
    high: float
    href: str = ""
    limit: float | None = None

    @property
    def reach(self) -> list[float]:
        """The range of values that the axis must hold."""
        return [self.low, self.high, self.value] + ([] if self.limit is None else [self.limit])


def bar_chart(label: str, bars: Sequence[Bar], *, unit: str = "") -> SafeString:
    """Bars that go out from 0, with intervals, in the order given. Empty without bars."""
    if not bars:
        return mark_safe("")
    row, left, right = 22, 110, WIDTH - 50
    axis = padded([0.0, *(end for bar in bars for end in bar.reach)])

    def x(value: float) -> float:
        return left + axis.share(value) * (right - left)

    height = row * len(bars) + 24
    parts = [f'<path class="fc-rule" d="M{x(at):.1f} 0V{row * len(bars)}"/>' for at in axis.ticks()]
    parts += [text(x(at), height - 8, axis.write(at), "middle", "fc-svg-muted") for at in axis.ticks()]
    for number, bar in enumerate(bars):
        middle = row * number + row / 2
        start, end = sorted((x(0.0), x(bar.value)))
        sure = "" if bar.low > 0 or bar.high < 0 else " fc-unsure"
        title = f"{bar.label}: {bar.value:+.2f}{unit}, likely {bar.low:+.2f} to {bar.high:+.2f}"
        shape = (
            f'<rect class="fc-bar-shape {"fc-c0" if bar.value >= 0 else "fc-c1"}{sure}" x="{start:.1f}" '
            f'y="{middle - 7:.1f}" width="{max(end - start, 1):.1f}" height="14" rx="2"/>'
            f'<path class="fc-whisker" d="M{x(bar.low):.1f} {middle:.1f}H{x(bar.high):.1f}"/>'
        )
        if bar.limit is not None:
            title += f"; the limit is {bar.limit:+.2f}{unit}"
            shape += f'<path class="fc-mark" d="M{x(bar.limit):.1f} {middle - 9:.1f}V{middle + 9:.1f}"/>'
        name = text(left - 8, middle + 4, bar.label, "end")
        parts.append(linked(f"<g><title>{escape(title)}</title>{name}{shape}</g>", bar.href))
        parts.append(text(WIDTH - 4, middle + 4, f"{bar.value:+.2f}", "end", "fc-svg-muted"))
    return svg(label, WIDTH, height, parts)


@dataclass(frozen=True)
class Part:
    """One part of a sum: what it is, its value, and the number of its colour."""

    label: str
    value: float
    colour: int


def sum_bar(label: str, parts: Sequence[Part], largest: float, *, width: int = 240, height: int = 16) -> SafeString:
    """One sum as a bar: what speaks for it to the right of the middle, what speaks against it to the left.

    ``largest`` is what half the width stands for, so that bars of one table compare.
    """
    middle, scale = width / 2, width / 2 / max(largest, 1e-9)
    ends = {True: middle, False: middle}
    drawn = []
    for part in sorted(parts, key=lambda part: -abs(part.value)):
        size, is_for = abs(part.value) * scale, part.value >= 0
        start = ends[is_for] if is_for else ends[is_for] - size
        ends[is_for] += size if is_for else -size
        if size >= 0.5:
            drawn.append(
                f'<rect class="fc-bar-shape fc-c{part.colour % N_COLOURS}" x="{start:.1f}" y="1" width="{size:.1f}" '
                f'height="{height - 2}"><title>{escape(f"{part.label}: {part.value:+.3f}")}</title></rect>'
            )
    drawn.append(f'<path class="fc-axis" d="M{middle:.1f} 0V{height}"/>')
    return svg(label, width, height, drawn, css="fc-sum")


@dataclass(frozen=True)
class Column:
    """One column of a column chart: a value, what it is compared with, and the tooltip."""

    label: str
    value: float
    expected: float | None = None
    title: str = ""


def column_chart(label: str, columns: Sequence[Column], *, percent: bool = False, height: int = 190) -> SafeString:
    """Columns side by side, each with a line where it was expected to end. Empty without columns."""
    if not columns:
        return mark_safe("")
    highest = max([*(one.value for one in columns), *(one.expected or 0.0 for one in columns), 1e-9])
    digits = 0 if highest > 0.1 else 1
    formatter = (lambda value: f"{value:.{digits}%}") if percent else None
    frame = Frame(Axis(0, len(columns)), Axis(0, highest * 1.05, formatter=formatter), WIDE, height)
    parts = list(frame.rules())
    for number, one in enumerate(columns):
        start, end = frame.x(number + 0.15), frame.x(number + 0.85)
        at = frame.y(one.value)
        said = one.title or f"{one.label}: {frame.y_axis.write(one.value)}"
        parts.append(
            f'<rect class="fc-bar-shape fc-c0" x="{start:.1f}" y="{at:.1f}" width="{end - start:.1f}" '
            f'height="{max(frame.y1 - at, 0.5):.1f}"><title>{escape(said)}</title></rect>'
        )
        if one.expected is not None:
            parts.append(f'<path class="fc-expected" d="M{start - 2:.1f} {frame.y(one.expected):.1f}H{end + 2:.1f}"/>')
        parts.append(text((start + end) / 2, frame.y1 + 16, one.label, "middle", "fc-svg-muted"))
    return svg(label, WIDE, height, parts)


# --- Time ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TimelineMark:
    """Something that happened: what it counts, the number of its colour, and the tooltip."""

    at: datetime
    value: float
    colour: int
    title: str
    href: str = ""
    is_faded: bool = False


def timeline(label: str, marks: Sequence[TimelineMark], until: datetime) -> SafeString:
    """Draw a stem for each mark at its time, as high as its value. Empty without marks."""
    if not marks:
        return mark_safe("")
    first = min(moment.at for moment in marks)
    axis = time_axis(min(first, until - timedelta(days=1)), until)
    values = [moment.value for moment in marks]
    frame = Frame(axis, padded([0.0, *values]), WIDE, TIMELINE_HIGH)
    zero = frame.y(0.0)
    parts = [*frame.grid(), f'<path class="fc-axis" d="M{frame.x0} {zero:.1f}H{frame.x1}"/>']
    for moment in marks:
        x, y = frame.x(moment.at.timestamp()), frame.y(moment.value)
        stem = f'<path class="fc-stem" d="M{x:.1f} {zero:.1f}V{y:.1f}"/>'
        parts.append(linked(stem + _dot(x, y, 5, moment.colour, moment.title, moment.is_faded), moment.href))
    return svg(label, WIDE, TIMELINE_HIGH, parts)


def time_axis(first: datetime, last: datetime) -> Axis:
    """Times as epoch seconds, written as days."""
    long = last - first > timedelta(days=300)

    def write_day(value: float) -> str:
        moment = datetime.fromtimestamp(value, tz=first.tzinfo)
        return f"{moment:%b %Y}" if long else f"{moment:%d %b}"

    return DayAxis(first.timestamp(), last.timestamp(), formatter=write_day)


class DayAxis(Axis):
    """An axis of epoch seconds whose ticks are midnights."""

    def ticks(self, n: int = TICKS) -> list[float]:
        days = max(round_step((self.high - self.low) / 86_400 / n), 1.0)
        step = days * 86_400
        return [step * number for number in range(ceil(self.low / step), floor(self.high / step) + 1)]


# --- The drawing -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """Two axes around a drawing."""

    x_axis: Axis
    y_axis: Axis
    width: int
    height: int
    x0: int = field(default=LEFT, init=False)
    y0: int = field(default=TOP, init=False)

    @property
    def x1(self) -> int:
        return self.width - RIGHT

    @property
    def y1(self) -> int:
        return self.height - BOTTOM

    def x(self, value: float) -> float:
        return self.x0 + self.x_axis.share(value) * (self.x1 - self.x0)

    def y(self, value: float) -> float:
        return self.y1 - self.y_axis.share(value) * (self.y1 - self.y0)

    def point(self, x: float, y: float) -> str:
        return f"{self.x(x):.1f} {self.y(y):.1f}"

    def grid(self) -> Iterator[str]:
        yield from self.rules()
        for value in self.x_axis.ticks():
            yield text(self.x(value), self.y1 + 18, self.x_axis.write(value), "middle", "fc-svg-muted")

    def rules(self) -> Iterator[str]:
        for value in self.y_axis.ticks(4):
            yield f'<path class="fc-rule" d="M{self.x0} {self.y(value):.1f}H{self.x1}"/>'
            yield text(self.x0 - 8, self.y(value) + 4, self.y_axis.write(value), "end", "fc-svg-muted")

    def up(self, label: str) -> Iterator[str]:
        if label:
            yield text(self.x0, self.y0 - 3, label, "start", "fc-svg-muted")


def padded(values: Sequence[float]) -> Axis:
    """An axis around some numbers, with a little room; from 0 to 1 around none."""
    known = [value for value in values if isfinite(value)]
    if not known:
        return Axis(0.0, 1.0)
    low, high = min(known), max(known)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return Axis(low if low == 0 else low - room, high if high == 0 else high + room)


def _dot(x: float, y: float, radius: float, colour: int, title: str, is_faded: bool = False) -> str:
    faded = " fc-faded" if is_faded else ""
    return (
        f'<circle class="fc-dot fc-c{colour % N_COLOURS}{faded}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
        f"<title>{escape(title)}</title></circle>"
    )


def linked(shape: str, href: str) -> str:
    return f'<a href="{escape(href)}">{shape}</a>' if href else shape


def text(x: float, y: float, words: str, anchor: str, css: str = "") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def svg(label: str, width: float, height: float, parts: Sequence[str], css: str = "fc-chart") -> SafeString:
    """A drawing with a name; what leads somewhere is a group of links, since a picture may hold none."""
    role = "group" if any("<a " in part for part in parts) else "img"
    return format_html(
        '<svg class="{}" role="{}" aria-label="{}" viewBox="0 0 {} {}" width="{}" height="{}">{}</svg>',
        css, role, label, round(width), round(height), round(width), round(height), mark_safe("".join(parts)),  # noqa: S308
    )  # fmt: skip
