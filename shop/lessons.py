"""One click: recorded, learned from, and what came of it, measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy

from accounts.models import Buyer
from recommendations.events.recording import Event, record_interactions
from shop.beliefs import Change, asked_levels, changes_between, price_wanted, taste_now
from shop.windows import Window

WHAT = {  # kind of event -> what is said of it; whole sentences, since languages order their words differently
    "view": gettext_lazy("You opened %(name)s"),
    "like": gettext_lazy("You liked %(name)s"),
    "dislike": gettext_lazy("You took back your heart for %(name)s"),
    "contact": gettext_lazy("You wrote to the seller of %(name)s"),
    "hide": gettext_lazy("You hid %(name)s"),
    "search": gettext_lazy("You searched for %(name)s"),
}


@dataclass(frozen=True)
class Lesson:
    """What one event taught.

    Attributes:
        what: ``You opened Skoda Octavia``.
        changes: What is liked more, or less, than before.
        price: ``about £12,000``, where the price that suits best has moved.
        ms: From the event to the belief, in milliseconds.
    """

    what: str
    changes: tuple[Change, ...]
    price: str
    ms: float


@dataclass(frozen=True)
class Move:
    """How a list differs from the one before it."""

    n_new: int
    n_moved: int


def learn(buyer: Buyer, event: Event, name: str) -> Lesson | None:
    """Record an event and bring the belief up to date with it, as the next list would; None where it is a repeat.

    Raises EventsRefused.
    """
    before = taste_now(buyer)
    started = time.perf_counter()
    if not record_interactions(buyer=buyer, events=[event]).n_recorded:
        return None
    after = taste_now(buyer)
    ms = 1000 * (time.perf_counter() - started)
    price = price_wanted(after)
    return Lesson(
        what=(str(WHAT[event.kind]) % {"name": name}).strip(),
        changes=tuple(changes_between(before, after, asked_levels(event.query) if event.query else None)),
        price=price if price != price_wanted(before) else "",
        ms=ms,
    )


def moves_between(before: Sequence[int], window: Window) -> Move | None:
    """Against the ids that were shown, in their order; None where they are not known."""
    if not before:
        return None
    place = {listing_id: at for at, listing_id in enumerate(before)}
    now = window.listing_ids
    n_new = sum(listing_id not in place for listing_id in now)
    n_moved = sum(listing_id in place and place[listing_id] != at for at, listing_id in enumerate(now))
    return Move(n_new, n_moved)


def said_of(lesson: Lesson, window: Window | None = None, move: Move | None = None) -> dict[str, object]:
    """A lesson as the strip shows it, in plain values that a cookie can hold."""
    return {
        "what": lesson.what,
        "changes": [[change.sign, change.level] for change in lesson.changes],
        "price": lesson.price,
        "ms": round(lesson.ms, 1),
        "list_ms": round(window.ms, 1) if window else None,
        "n_new": move.n_new if move else None,
        "n_moved": move.n_moved if move else None,
    }
