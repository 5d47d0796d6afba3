"""A map of many points as inline SVG: groups by colour and shape, arrows, numbered places. No script.

Both axes have one scale, because a map whose distances mean something must not be stretched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import hypot

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from console.charts import svg, text

WIDTH, SHORTEST, TALLEST = 760, 420, 640
MARGIN = 26
RADIUS = 3.4
ARROW = 0.3  # of the shorter side: length of the longest arrow
HEAD = 9.0
SHAPES = ("circle", "square", "triangle", "diamond")  # colours repeat no shape beside each other


@dataclass(frozen=True)
class Dot:
    """One point: where, the number of its group, the tooltip, and what opens on a click."""

    x: float
    y: float
    group: int
    title: str
    href: str = ""


@dataclass(frozen=True)
class Pin:
    """A point with a short label in it, above the others."""

    x: float
    y: float
    label: str
    title: str
    href: str = ""


@dataclass(frozen=True)
class Arrow:
    """From a point of the map towards somewhere; ``dx`` and ``dy`` in its units, drawn to a fitting length."""

    x: float
    y: float
    dx: float
    dy: float
    label: str
    title: str = ""


def scatter(
    label: str,
    dots: Sequence[Dot],
    *,
    colours: Sequence[str],
    pins: Sequence[Pin] = (),
    arrows: Sequence[Arrow] = (),
    sides: Mapping[str, str] | None = None,
    dimmed: frozenset[int] = frozenset(),
) -> SafeString:
    """The map; empty without dots.

    Args:
        label: What it is, for who cannot see it.
        dots: In any order; those of small groups lie on those of large ones.
        colours: CSS classes of the groups, by number.
        pins: Numbered points; the first lies on top.
        arrows: Directions.
        sides: What lies to the "left", "right", "top", "bottom".
        dimmed: Groups to fade, so that the others stand out.
    """
    if not dots:
        return mark_safe("")
    frame = Frame.around(dots, pins)
    parts = [f'<rect class="fc-map-frame" x="0.5" y="0.5" width="{WIDTH - 1}" height="{frame.height - 1:.0f}" rx="6"/>']
    sizes = Counter(dot.group for dot in dots)
    for group in sorted(sizes, key=lambda one: (one not in dimmed, -sizes[one])):  # small groups lie on large ones
        parts += _group(frame, [dot for dot in dots if dot.group == group], colours[group], group in dimmed)
    parts += _sides(frame, sides or {})
    longest = max((hypot(arrow.dx, arrow.dy) for arrow in arrows), default=0.0)
    for arrow in arrows:
        parts += _arrow(frame, arrow, longest)
    for pin in reversed(pins):
        parts += _pin(frame, pin)
    return svg(label, WIDTH, frame.height, parts, css="fc-chart fc-map")


@dataclass(frozen=True)
class Frame:
    """How points of the map become points of the drawing."""

    left: float
    top: float
    scale: float
    height: float

    @classmethod
    def around(cls, dots: Sequence[Dot], pins: Sequence[Pin]) -> Frame:
        everything: list[Dot | Pin] = [*dots, *pins]
        xs, ys = [one.x for one in everything], [one.y for one in everything]
        wide, high = (max(xs) - min(xs)) or 1.0, (max(ys) - min(ys)) or 1.0
        inner = WIDTH - 2 * MARGIN
        scale = min(inner / wide, (TALLEST - 2 * MARGIN) / high)
        height = min(max(high * scale + 2 * MARGIN, SHORTEST), TALLEST)
        left = (min(xs) + max(xs)) / 2 - WIDTH / 2 / scale
        top = (min(ys) + max(ys)) / 2 + height / 2 / scale
        return cls(left, top, scale, height)

    def at(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) * self.scale, (self.top - y) * self.scale


def swatch(group: int, colour: str) -> SafeString:
    """The mark of a group, for the legend."""
    shape = _shape(6.0, 6.0, group, RADIUS + 1)
    size = 'viewBox="0 0 12 12" width="12" height="12"'
    return mark_safe(f'<svg class="fc-map-swatch {colour}" {size} aria-hidden="true">{shape}</svg>')  # noqa: S308


def _sides(frame: Frame, sides: Mapping[str, str]) -> Iterator[str]:
    at = {
        "left": (10.0, frame.height / 2, "start", "← {}"),
        "right": (WIDTH - 10.0, frame.height / 2, "end", "{} →"),
        "top": (WIDTH / 2, 20.0, "middle", "↑ {}"),
        "bottom": (WIDTH / 2, frame.height - 10.0, "middle", "↓ {}"),
    }
    for side, label in sides.items():
        x, y, anchor, words = at[side]
        if label:
            yield text(x, y, words.format(label), anchor, "fc-map-side")


def _group(frame: Frame, dots: Sequence[Dot], colour: str, is_dimmed: bool) -> Iterator[str]:
    yield f'<g class="{colour}{" fc-map-dim" if is_dimmed else ""}">'
    for dot in dots:
        x, y = frame.at(dot.x, dot.y)
        shape = _shape(x, y, dot.group, RADIUS, dot.title)
        # a thousand stops for the tabulator would be a trap: the tables beside a map lead to cars by keyboard
        yield f'<a href="{escape(dot.href)}" tabindex="-1">{shape}</a>' if dot.href else shape
    yield "</g>"


def _shape(x: float, y: float, group: int, r: float, title: str = "") -> str:
    kind = SHAPES[group % len(SHAPES)]
    tooltip = f"<title>{escape(title)}</title>" if title else ""
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}">{tooltip}</circle>'
    path = {
        "square": f"M{x - r * 0.9:.1f} {y - r * 0.9:.1f}h{r * 1.8:.1f}v{r * 1.8:.1f}h{-r * 1.8:.1f}z",
        "triangle": f"M{x:.1f} {y - r * 1.2:.1f}l{r * 1.15:.1f} {r * 2:.1f}h{-r * 2.3:.1f}z",
        "diamond": f"M{x:.1f} {y - r * 1.3:.1f}l{r * 1.3:.1f} {r * 1.3:.1f}l{-r * 1.3:.1f} {r * 1.3:.1f}"
        f"l{-r * 1.3:.1f} {-r * 1.3:.1f}z",
    }[kind]
    return f'<path d="{path}">{tooltip}</path>'


def _arrow(frame: Frame, arrow: Arrow, longest: float) -> Iterator[str]:
    size = hypot(arrow.dx, arrow.dy)
    if not size:
        return
    length = ARROW * frame.height * size / longest
    x0, y0 = frame.at(arrow.x, arrow.y)
    ux, uy = arrow.dx / size, -arrow.dy / size
    x1, y1 = x0 + ux * length, y0 + uy * length
    bx, by = x1 - ux * HEAD, y1 - uy * HEAD
    yield f'<g class="fc-map-arrow"><title>{escape(arrow.title or arrow.label)}</title>'
    yield f'<path class="fc-map-shaft" d="M{x0:.1f} {y0:.1f}L{bx:.1f} {by:.1f}"/>'
    yield (
        f'<path d="M{x1:.1f} {y1:.1f}L{bx - uy * HEAD / 2:.1f} {by + ux * HEAD / 2:.1f}'
        f'L{bx + uy * HEAD / 2:.1f} {by - ux * HEAD / 2:.1f}z"/>'
    )
    anchor = "start" if ux >= 0 else "end"
    yield text(x1 + ux * 6, y1 + uy * 10 + 4, arrow.label, anchor, "fc-map-arrow-label") + "</g>"


def _pin(frame: Frame, pin: Pin) -> Iterator[str]:
    x, y = frame.at(pin.x, pin.y)
    shape = (
        f'<g class="fc-map-place"><title>{escape(pin.title)}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="9"/>'
        f"{text(x, y, pin.label, 'middle')}</g>"
    )
    yield f'<a href="{escape(pin.href)}">{shape}</a>' if pin.href else shape
