"""How well a fit of the feed foresees what people liked later: the question, and what a fit answers.

What people did before a moment is known; asked is what they liked after it and had not met before. Lists are made as
they are served, without what is shown to find out about it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.engine.arrays import Floats, Rows
from recommendations.engine.terms import SECONDS_A_DAY
from recommendations.feed.model import FeedEvents, FeedModel
from recommendations.feed.ranking import FeedRules, ItemScorer, Person
from recommendations.metrics.figures import pairs_won

K = 20
TEST_PEOPLE = 400


@dataclass(frozen=True, eq=False)
class FeedLog:
    """Events of the feed with their moments, epoch seconds: ``shown_at`` of what was shown, ``said_at`` of what was
    said, of the lengths of these columns of ``events``."""

    events: FeedEvents
    shown_at: Floats
    said_at: Floats

    def before(self, moment: float) -> FeedEvents:
        """What had happened by then."""
        is_shown, is_said = self.shown_at < moment, self.said_at < moment
        return replace(
            self.events,
            shown_users=self.events.shown_users[is_shown],
            shown_items=self.events.shown_items[is_shown],
            users=self.events.users[is_said],
            items=self.events.items[is_said],
            signs=self.events.signs[is_said],
        )

    def newest_share_begins(self, share: float) -> float:
        """The moment with which the newest part of the likes begins; inf without likes.

        Each person counts once a day, so that a burst of one of them does not move it.
        """
        is_like = self.events.signs > 0
        users, moments = self.events.users[is_like], self.said_at[is_like]
        if not len(users):
            return float("inf")
        _, first = np.unique(np.column_stack([users, moments // SECONDS_A_DAY]), axis=0, return_index=True)
        return float(np.quantile(moments[first], 1.0 - share))


@dataclass(frozen=True, eq=False)
class FeedQuestion:
    """What is asked about some people.

    Attributes:
        people: As they were at the moment.
        relevant: Items that each liked after it and had not met before; never empty.
        others: Items that each was shown or disliked after it, and did not like.
    """

    people: list[Person]
    relevant: list[Rows]
    others: list[Rows]

    @classmethod
    def after(cls, log: FeedLog, moment: float, seed: int = 0) -> FeedQuestion:
        """About at most ``TEST_PEOPLE`` of those who liked something new after a moment, drawn at random."""
        events = log.events
        late_shown, late_said = log.shown_at >= moment, log.said_at >= moment
        likes = events.signs > 0
        shown_by, said_by = _grouped(events.shown_users, events.n_users), _grouped(events.users, events.n_users)
        asked = np.random.default_rng(seed).permutation(np.unique(events.users[late_said & likes]))
        people, relevant, others = [], [], []
        for user in asked.tolist():
            shown, said = shown_by(user), said_by(user)
            liked = likes[said]
            person = Person(
                shown=events.shown_items[shown[~late_shown[shown]]],
                liked=events.items[said[~late_said[said] & liked]],
                disliked=events.items[said[~late_said[said] & ~liked]],
            )
            met = np.concatenate([person.shown, person.liked, person.disliked])
            liked_later = np.setdiff1d(events.items[said[late_said[said] & liked]], met)
            if not len(liked_later):
                continue
            passed_over = [events.shown_items[shown[late_shown[shown]]], events.items[said[late_said[said] & ~liked]]]
            people.append(person)
            relevant.append(liked_later)
            others.append(np.setdiff1d(np.concatenate(passed_over), np.concatenate([liked_later, met])))
            if len(people) == TEST_PEOPLE:
                break
        return cls(people, relevant, others)

    def __len__(self) -> int:
        return len(self.people)


def _grouped(users: Rows, n_users: int) -> Callable[[int], Rows]:
    """Positions of each user's events, in their order: sorted once, since a search for each would read all of them."""
    order = np.argsort(users, kind="stable")
    starts = np.searchsorted(users[order], np.arange(n_users + 1))
    return lambda user: order[starts[user] : starts[user + 1]]


@dataclass(frozen=True, eq=False)
class FeedAnswers:
    """Lists, shape (n_people, K), -1 where there are fewer items; and pairs won, shape (n_people,), nan without any."""

    lists: Rows
    won: Floats


def answers_of(
    model: FeedModel, tags: csr_array, is_live: NDArray[np.bool_], question: FeedQuestion, rules: FeedRules
) -> FeedAnswers:
    """What a fit lists for the people of a question, and which of the items they met it puts above which."""
    scorer = ItemScorer(model, tags, is_live)
    known = replace(rules, length=K, unseen_share=0.0, new_user_unseen_share=0.0, random_share=0.0, thompson=0.0)
    lists, won = np.full((len(question), K), -1, np.intp), np.full(len(question), np.nan)
    for at, person in enumerate(question.people):
        rng = np.random.default_rng(at)
        listed = scorer.make_list(person, known, rng).rows
        lists[at, : len(listed)] = listed
        if len(others := question.others[at]):
            scores = scorer.scores(person, known, rng)
            won[at] = np.mean([pairs_won(scores, chosen, others) for chosen in question.relevant[at].tolist()])
    return FeedAnswers(lists, won)


def popular_lists(events: FeedEvents, is_live: NDArray[np.bool_], question: FeedQuestion) -> Rows:
    """What most people like, without what each person has met; shape (n_people, K)."""
    likes, _ = events.actions()
    n_likes = np.where(is_live, np.bincount(likes.indices, minlength=events.n_items), -1)
    order = np.argsort(-n_likes, kind="stable")[: int(is_live.sum())]
    lists = np.full((len(question), K), -1, np.intp)
    for at, person in enumerate(question.people):
        met = np.concatenate([person.shown, person.liked, person.disliked])
        best = order[~np.isin(order, met)][:K]
        lists[at, : len(best)] = best
    return lists
