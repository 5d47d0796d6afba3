"""Four steps from a visitor of whom nothing is known to figures about what three clicks did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from shop.lessons import Lesson
from shop.windows import Window

FIRST, LAST = 1, 4
ASKS = {
    1: (
        gettext_lazy("Open a car"),
        gettext_lazy("Nothing is known of you yet: these cars suit most buyers. Open one that you would look at."),
    ),
    2: (
        gettext_lazy("Give a heart"),
        gettext_lazy("The cards behind moved as soon as you opened it. Now give a heart to a car that you like."),
    ),
    3: (
        gettext_lazy("Hide a car"),
        gettext_lazy("What you like is clearer now. Hide a car that does not suit you at all."),
    ),
    4: (gettext_lazy("What happened"), gettext_lazy("Three clicks, measured:")),
}
ENDS_STEP = {1: "view", 2: "like", 3: "hide"}
TOP = 12


@dataclass(frozen=True)
class Step:
    """What the tour says now; ``figures`` only at its end, as (value, what it is)."""

    number: int
    title: str
    text: str
    figures: tuple[tuple[str, str], ...] = ()


def begin() -> dict[str, Any]:
    return {"step": FIRST, "learned": [], "listed": [], "first": [], "last": []}


def noted(tour: dict[str, Any], window: Window | None, lesson: Lesson | None = None, kind: str = "") -> dict[str, Any]:
    """The tour after one more page: its figures, and the next step where this one was done."""
    step = tour.get("step")
    if step not in ASKS:
        return {}
    tour = {**tour}
    if window and not tour.get("first"):
        tour["first"] = window.listing_ids[:TOP]
    if step == LAST and window and not tour.get("last"):  # a page that was loaded after the deed that ended the steps
        tour["last"] = window.listing_ids[:TOP]
    if step < LAST:
        if lesson:
            tour["learned"] = [*tour["learned"], round(lesson.ms, 1)][-20:]
        if lesson and window:
            tour["listed"] = [*tour["listed"], round(window.ms, 1)][-20:]
        if kind and kind == ENDS_STEP[step]:
            tour["step"] = step + 1
            if window and tour["step"] == LAST:
                tour["last"] = window.listing_ids[:TOP]
    return tour


def step_of(tour: dict[str, Any], shown: Sequence[int]) -> Step | None:
    number = tour.get("step")
    if number not in ASKS:
        return None
    title, text = ASKS[number]
    return Step(number, str(title), str(text), tuple(figures_of(tour, shown)) if number == LAST else ())


def figures_of(tour: dict[str, Any], shown: Sequence[int]) -> list[tuple[str, str]]:
    learned, listed, first = tour.get("learned") or [], tour.get("listed") or [], tour.get("first") or []
    figures = [(str(len(learned)), _("clicks recorded"))]
    if learned:
        figures.append((f"{median(learned):.0f} ms", _("from a click to what is believed (median)")))
    if listed:
        figures.append((f"{median(listed):.0f} ms", _("to make the next list (median)")))
    if first:
        n_new = len(set(tour.get("last") or shown[:TOP]) - set(first))
        figures.append(
            (
                _("%(number)s of %(all)s") % {"number": n_new, "all": len(first)},
                _("cars at the top that were not there before"),
            )
        )
    return figures
