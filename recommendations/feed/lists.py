"""What callers of the feed call: add items, write down likes and dislikes, make a user's next list."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from django.conf import settings
from django.db import IntegrityError
from numpy.typing import NDArray

from catalog import items as item_store
from recommendations import telemetry
from recommendations.feed.fitting import ask_for_fit, ensure_fitted
from recommendations.feed.log import Standing, read_standing, write_actions, write_list
from recommendations.feed.memory import Items, memory
from recommendations.feed.ranking import FeedRules, Person

LIKE, DISLIKE = "like", "dislike"
ACTIONS = (LIKE, DISLIKE)
NEIGHBOUR_WEIGHT_ALONE = 2.0  # of the likes of pairs, where no item has genres
MISS_WEIGHT_ALONE = 1.0  # of what was shown and not liked, there: genres say it otherwise
SPARE = 5  # items beside those of a list, for what turns out to be gone


def rules(has_genres: bool) -> FeedRules:
    """What a list is made of, as the settings say; without genres, what was liked together counts for more."""
    return FeedRules(
        length=settings.FEED_LENGTH,
        unseen_share=settings.FEED_UNSEEN_SHARE,
        new_user_unseen_share=settings.FEED_NEW_USER_UNSEEN_SHARE,
        random_share=settings.FEED_RANDOM_SHARE,
        top_n=settings.FEED_TOP_N,
        diversity=settings.FEED_DIVERSITY,
        thompson=settings.FEED_EXPLORATION,
        enough_shown=settings.FEED_ENOUGH_SHOWN,
        neighbour_weight=FeedRules.neighbour_weight if has_genres else NEIGHBOUR_WEIGHT_ALONE,
        miss_weight=FeedRules.miss_weight if has_genres else MISS_WEIGHT_ALONE,
    )


def add_items(genres_by_item: Mapping[str, Collection[str] | None]) -> int:
    """Put items on offer: whatever list is asked for from now on may hold them. Returns how many changed."""
    return item_store.add_items(genres_by_item)


def recommend(user_id: str) -> list[str]:
    """The ids of a user's next list, written down before it is returned; shorter only where there are fewer items."""
    standing = read_standing(user_id)
    view = memory.view(standing.newest_change, standing.fit_number)
    person = person_of(standing, view.items)
    rng = np.random.default_rng(secrets.randbits(64))
    listed = view.scorer.make_list(person, rules(bool(view.items.tags.nnz)), rng, spare=SPARE)
    listing_ids = view.items.listing_ids[listed.rows].tolist()
    shown_ids, sources = write_list(
        user_id,
        listing_ids,
        listed.sources,
        listed.scores.tolist(),
        settings.FEED_LENGTH,
        is_made=not standing.is_erased,
    )
    rows = view.items.rows_of(shown_ids)
    view.scorer.note_shown(rows)
    telemetry.FEED_LISTS.inc()
    for source, n in Counter(sources).items():
        telemetry.FEED_ITEMS.labels(source).inc(n)
    ensure_fitted(standing.fitted_at)
    return [view.items.names[row] for row in rows]


def person_of(standing: Standing, items: Items) -> Person:
    """What counts of a user's past, in rows. Who opted out of personal lists said nothing, as far as lists go."""
    shown = items.rows_of(standing.shown)
    newest = {abs(listing_id): listing_id > 0 for listing_id in standing.said}  # what was said last is what counts
    liked = items.rows_of(listing_id for listing_id, likes in newest.items() if likes)
    disliked = items.rows_of(listing_id for listing_id, likes in newest.items() if not likes)
    if not standing.is_personalised:
        return Person(np.concatenate([shown, liked, disliked]), _nothing(), _nothing())
    return Person(shown, liked, disliked)


def _nothing() -> NDArray[np.intp]:
    return np.zeros(0, np.intp)


def record_actions(
    user_id: str, item_ids: Sequence[str], actions: Sequence[str], timestamp: float | None = None
) -> int:
    """Write down what a user said of items, all or none; returns how many were new.

    With a timestamp the same said twice counts once. An item that was not added yet is remembered, and on no list until
    it is added.
    """
    if not item_ids:
        return 0
    now = time.time()
    occurred_at = now if timestamp is None else min(timestamp, now)  # a clock that runs ahead makes no future events
    event_ids = [_event_id(user_id, item, action, timestamp) for item, action in zip(item_ids, actions, strict=True)]
    try:
        n_new = write_actions(user_id, _listing_ids(item_ids), actions, event_ids, occurred_at)
    except IntegrityError:  # the catalogue was emptied after we had looked
        memory.forget()
        n_new = write_actions(user_id, _listing_ids(item_ids), actions, event_ids, occurred_at)
    memory.note_liked({item for item, action in zip(item_ids, actions, strict=True) if action == LIKE} if n_new else ())
    if n_new:
        ask_for_fit()
    for action, n in Counter(actions).items():
        telemetry.EVENTS.labels(action).inc(n)
    return n_new


def _event_id(user_id: str, item: str, action: str, timestamp: float | None) -> str:
    if timestamp is None:
        return secrets.token_hex(16)
    said = "\0".join((user_id, item, action, repr(timestamp)))  # ids hold no NUL
    return f"feed-{hashlib.sha256(said.encode()).hexdigest()[:48]}"


def _listing_ids(item_ids: Sequence[str]) -> list[int]:
    """Keys of items, those never heard of included, which are drafts from now on."""
    known = memory.known_items()
    if known is None or not all(item in known.listing_id_of for item in item_ids):
        known = memory.items()
    if missing := {item for item in item_ids if item not in known.listing_id_of}:
        item_store.store_items(missing)
        known = memory.items()
    return [known.listing_id_of[item] for item in item_ids]
