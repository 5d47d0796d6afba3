"""The functions that the API calls: add items, record likes and dislikes, make a user's next list."""

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
from recommendations.feed.fitting import ensure_fitted, request_fit
from recommendations.feed.log import UserState, read_user_state, write_actions, write_list
from recommendations.feed.memory import Items, memory
from recommendations.feed.ranking import FeedRules, UserHistory

LIKE, DISLIKE = "like", "dislike"
ACTIONS = (LIKE, DISLIKE)
NEIGHBOUR_WEIGHT_ALONE = 2.0  # where no item has genres
MISS_WEIGHT_ALONE = 1.0  # likewise; with genres, their part of the score counts missing likes
SPARE = 5  # further items of a list, for those that are no longer live


def rules(has_genres: bool) -> FeedRules:
    """Read the list rules from the settings; without genres, likes of pairs and missing likes weigh more."""
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
    """Add or update items, with their genres; lists requested from now on may hold them. Returns how many changed."""
    return item_store.add_items(genres_by_item)


def recommend(user_id: str) -> list[str]:
    """Return the item ids of a user's next list, which is stored first.

    The list has ``FEED_LENGTH`` items, or fewer if there are fewer.
    """
    state = read_user_state(user_id)
    view = memory.view(state.newest_change, state.fit_number)
    history = history_of(state, view.items)
    rng = np.random.default_rng(secrets.randbits(64))
    listed = view.scorer.make_list(history, rules(bool(view.items.tags.nnz)), rng, spare=SPARE)
    listing_ids = view.items.listing_ids[listed.rows].tolist()
    shown_ids, sources = write_list(
        user_id,
        listing_ids,
        listed.sources,
        listed.scores.tolist(),
        settings.FEED_LENGTH,
        creates_buyer=not state.is_erased,
    )
    rows = view.items.rows_of(shown_ids)
    view.scorer.note_shown(rows)
    telemetry.FEED_LISTS.inc()
    for source, n in Counter(sources).items():
        telemetry.FEED_ITEMS.labels(source).inc(n)
    ensure_fitted(state.fitted_at, state.fit_seconds)
    return [view.items.names[row] for row in rows]


def history_of(state: UserState, items: Items) -> UserHistory:
    """Return what a user was shown, liked and disliked, as rows.

    Likes and dislikes of users who opted out of personal lists do not influence scores; they count as items already
    shown.
    """
    shown = items.rows_of(state.shown)
    newest = {abs(listing_id): listing_id > 0 for listing_id in state.actions}  # the last action on an item counts
    liked = items.rows_of(listing_id for listing_id, likes in newest.items() if likes)
    disliked = items.rows_of(listing_id for listing_id, likes in newest.items() if not likes)
    if not state.is_personalised:
        return UserHistory(np.concatenate([shown, liked, disliked]), _nothing(), _nothing())
    return UserHistory(shown, liked, disliked)


def _nothing() -> NDArray[np.intp]:
    return np.zeros(0, np.intp)


def record_actions(
    user_id: str, item_ids: Sequence[str], actions: Sequence[str], timestamp: float | None = None
) -> int:
    """Append a user's likes and dislikes to the log, all or none.

    With a timestamp, the same action sent twice counts once. An action on an item that was not added yet is stored, and
    the item is on no list until it is added.

    Returns:
        How many actions were new.
    """
    if not item_ids:
        return 0
    now = time.time()
    occurred_at = now if timestamp is None else min(timestamp, now)  # the client's clock may be fast
    event_ids = [_event_id(user_id, item, action, timestamp) for item, action in zip(item_ids, actions, strict=True)]
    try:
        n_new = write_actions(user_id, _listing_ids(item_ids), actions, event_ids, occurred_at)
    except IntegrityError:  # the catalogue was emptied after the ids were read
        memory.forget()
        n_new = write_actions(user_id, _listing_ids(item_ids), actions, event_ids, occurred_at)
    memory.note_liked({item for item, action in zip(item_ids, actions, strict=True) if action == LIKE} if n_new else ())
    if n_new:
        request_fit()
    for action, n in Counter(actions).items():
        telemetry.EVENTS.labels(action).inc(n)
    return n_new


def _event_id(user_id: str, item: str, action: str, timestamp: float | None) -> str:
    if timestamp is None:
        return secrets.token_hex(16)
    identity = "\0".join((user_id, item, action, repr(timestamp)))  # ids hold no NUL
    return f"feed-{hashlib.sha256(identity.encode()).hexdigest()[:48]}"


def _listing_ids(item_ids: Sequence[str]) -> list[int]:
    """Return the listing ids of items; items that are not known yet are stored as drafts."""
    known = memory.known_items()
    if known is None or not all(item in known.listing_id_of for item in item_ids):
        known = memory.items()
    if missing := {item for item in item_ids if item not in known.listing_id_of}:
        item_store.store_items(missing)
        known = memory.items()
    return [known.listing_id_of[item] for item in item_ids]
