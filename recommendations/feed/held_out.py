"""Test a fit of the feed on likes that it was not fitted on.

The log is cut at a time. What users did before it is their history; the items that they liked after it and had not met
before are the ones to find. Lists are made as they are served, but without exploration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.engine.arrays import Floats, Rows
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.feed.model import FeedEvents, FeedModel
from recommendations.feed.ranking import FeedRules, ItemScorer, UserHistory
from recommendations.metrics.figures import pairs_won

K = 20
TEST_USERS = 400


@dataclass(frozen=True, eq=False)
class FeedLog:
    """Events of the feed and their times.

    Attributes:
        events: Rows of what was shown and of actions.
        shown_at: Epoch seconds, shape (n_shown,).
        acted_at: Epoch seconds, shape (n_actions,).
    """

    events: FeedEvents
    shown_at: Floats
    acted_at: Floats

    def before(self, cutoff: float) -> FeedEvents:
        """Return the events before ``cutoff``, in epoch seconds."""
        is_shown, is_action = self.shown_at < cutoff, self.acted_at < cutoff
        return replace(
            self.events,
            shown_users=self.events.shown_users[is_shown],
            shown_items=self.events.shown_items[is_shown],
            users=self.events.users[is_action],
            items=self.events.items[is_action],
            signs=self.events.signs[is_action],
        )

    def start_of_newest_share(self, share: float) -> float:
        """Return the time, epoch seconds, after which the newest ``share`` of the likes came; inf without likes.

        Each user counts once a day, so that many likes of one user in a row do not move it.
        """
        is_like = self.events.signs > 0
        users, acted_at = self.events.users[is_like], self.acted_at[is_like]
        if not len(users):
            return float("inf")
        _, first = np.unique(np.column_stack([users, acted_at // SECONDS_A_DAY]), axis=0, return_index=True)
        return float(np.quantile(acted_at[first], 1.0 - share))


@dataclass(frozen=True, eq=False)
class HeldOutLikes:
    """Users of the test and the items they liked after the cutoff; lists of one length.

    Attributes:
        histories: What each user was shown, liked and disliked before the cutoff.
        relevant: Rows of items that each user liked after it and had not met before; never empty.
        others: Rows of items that each user was shown or disliked after it, and did not like.
    """

    histories: list[UserHistory]
    relevant: list[Rows]
    others: list[Rows]

    @classmethod
    def after(cls, log: FeedLog, cutoff: float, seed: int = 0) -> HeldOutLikes:
        """Take at most ``TEST_USERS`` users, drawn at random, who liked a new item at ``cutoff`` or later (epoch
        seconds)."""
        events = log.events
        is_late_shown, is_late_action = log.shown_at >= cutoff, log.acted_at >= cutoff
        likes = events.signs > 0
        shown_by, actions_by = _grouped(events.shown_users, events.n_users), _grouped(events.users, events.n_users)
        asked = np.random.default_rng(seed).permutation(np.unique(events.users[is_late_action & likes]))
        histories, relevant, others = [], [], []
        for user in asked.tolist():
            shown, actions = shown_by(user), actions_by(user)
            liked = likes[actions]
            history = UserHistory(
                shown=events.shown_items[shown[~is_late_shown[shown]]],
                liked=events.items[actions[~is_late_action[actions] & liked]],
                disliked=events.items[actions[~is_late_action[actions] & ~liked]],
            )
            met = np.concatenate([history.shown, history.liked, history.disliked])
            liked_later = np.setdiff1d(events.items[actions[is_late_action[actions] & liked]], met)
            if not len(liked_later):
                continue
            passed_over = [
                events.shown_items[shown[is_late_shown[shown]]],
                events.items[actions[is_late_action[actions] & ~liked]],
            ]
            histories.append(history)
            relevant.append(liked_later)
            others.append(np.setdiff1d(np.concatenate(passed_over), np.concatenate([liked_later, met])))
            if len(histories) == TEST_USERS:
                break
        return cls(histories, relevant, others)

    def __len__(self) -> int:
        return len(self.histories)


def _grouped(users: Rows, n_users: int) -> Callable[[int], Rows]:
    """Return a function from a user to the positions of their events, in order; sorting once is faster than a search
    for each."""
    order = np.argsort(users, kind="stable")
    starts = np.searchsorted(users[order], np.arange(n_users + 1))
    return lambda user: order[starts[user] : starts[user + 1]]


@dataclass(frozen=True, eq=False)
class HeldOutResults:
    """The results of a fit on the test.

    Attributes:
        lists: Rows of items, shape (n_users, K), -1 where there are fewer items.
        won: Share of the pairs (liked item, other item) in which the liked one has the higher score, shape (n_users,);
            nan for a user without other items.
    """

    lists: Rows
    won: Floats


def results_of(
    model: FeedModel, tags: csr_array, is_live: NDArray[np.bool_], held_out: HeldOutLikes, rules: FeedRules
) -> HeldOutResults:
    """Make a list for each user of the test, and compare the scores of the items they met after the cutoff."""
    scorer = ItemScorer(model, tags, is_live)
    known = replace(rules, length=K, unseen_share=0.0, new_user_unseen_share=0.0, random_share=0.0, thompson=0.0)
    lists, won = np.full((len(held_out), K), -1, np.intp), np.full(len(held_out), np.nan)
    for at, history in enumerate(held_out.histories):
        rng = np.random.default_rng(at)
        listed = scorer.make_list(history, known, rng).rows
        lists[at, : len(listed)] = listed
        if len(others := held_out.others[at]):
            scores = scorer.scores(history, known, rng)
            won[at] = np.mean([pairs_won(scores, chosen, others) for chosen in held_out.relevant[at].tolist()])
    return HeldOutResults(lists, won)


def popular_lists(events: FeedEvents, is_live: NDArray[np.bool_], held_out: HeldOutLikes) -> Rows:
    """List for each user the items with most likes that they have not met; shape (n_users, K), -1 where there are
    fewer."""
    likes, _ = events.actions()
    n_likes = np.where(is_live, np.bincount(likes.indices, minlength=events.n_items), -1)
    order = np.argsort(-n_likes, kind="stable")[: int(is_live.sum())]
    lists = np.full((len(held_out), K), -1, np.intp)
    for at, history in enumerate(held_out.histories):
        met = np.concatenate([history.shown, history.liked, history.disliked])
        best = order[~np.isin(order, met)][:K]
        lists[at, : len(best)] = best
    return lists
