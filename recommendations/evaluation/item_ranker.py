"""A ranker of items that are known only by the events on them, such as a shop's articles.

As for cars, it is a short linear score whose weights are learned by a conditional logit from users' later choices. Its
terms are logarithms, so the score is a product: the affinity of a user's history (EASE on a decayed history, factors)
times the recent demand for the item.

Every baseline is a term (``item_terms``). Options are chosen in windows of the past (``item_validation``): weights are
learned in some windows and tested in the others. Where the sum of the terms is not clearly better than one term, that
term alone is used: the adapting demand (``item_demand``), unless another one is significantly better, and always where
demand has just changed, since results of earlier windows do not apply then. Finally the models are fitted on all of the
past.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from recommendations.engine.arrays import Floats
from recommendations.engine.scoring import LinearScore
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents
from recommendations.evaluation.item_lists import lists_of, rows_wanted
from recommendations.evaluation.item_pools import Table, tables_of
from recommendations.evaluation.item_terms import (
    ADAPTING,
    ALONE,
    BASE_REGULARISATION,
    EASE,
    NEIGHBOURS,
    OF_HISTORIES,
    ItemRankerConfig,
    LearningData,
    Option,
)
from recommendations.evaluation.item_validation import KNOWN, NONE, SEGMENTS, Window, segments_of, windows_before
from recommendations.metrics import ranking as metrics

ENOUGH_TO_GIVE_UP = 50  # users of the newest window, by which options are not even tried
FEWEST_VALIDATED = 10  # users without whom options are not chosen but taken as they come
BORROWED_USERS = 20  # of all segments together, which a segment's own figures are averaged with
FIRMNESS_OF_SEGMENTS = 20.0  # precision around the weights of all users, in users
SURELY = 2.5  # standard errors by which a member's lead over the adapting demand is discounted
CLEARLY = 1.0  # by which the sum must be ahead of the best of its terms
LATELY = 1.5  # by which, in the newest windows, what is chosen may be behind the adapting demand, or must be ahead
CHANGED = 4.0  # times that the half-life of the adapting demand has become shorter since, when demand has changed
CLEARLY_BY_ITEM_FILE = 2.0  # by which a score that reads an item file must be ahead of one that does not


@dataclass(frozen=True, eq=False)
class ItemRanker:
    """A ranker as of a day. Made by ``fit_item_ranker``.

    Attributes:
        learning_data: The data it was fitted on.
        option: The chosen option.
        scores_by_segment: The linear score of the terms for each of ``SEGMENTS``.
        validated: NDCG of each option on choices that it was not learned from; empty when there were too few.
        tried: NDCG of each term alone and of the chosen score, by segment, on the same choices.
    """

    learning_data: LearningData
    option: Option
    scores_by_segment: tuple[LinearScore, ...]
    validated: Mapping[Option, float]
    tried: Mapping[str, Mapping[str, float]]

    @property
    def score(self) -> LinearScore:
        """The score of known users."""
        return self.scores_by_segment[-1]

    def scores(self, user_rows: NDArray[np.intp]) -> Floats:
        """Return the score of every item for some users, shape (n_rows, n_items); higher is better, always finite."""
        n_items = self.learning_data.events.n_items
        found = np.zeros((len(user_rows), n_items))
        segments = segments_of(self.learning_data.n_events_of_users[user_rows])
        for segment, score in enumerate(self.scores_by_segment):
            at = np.flatnonzero(segments == segment)
            scales = {name: score.scale_of(name) for name in score.names if score.scale_of(name)}
            start = 0
            for terms in self.learning_data.terms(user_rows[at], self.option, list(scales)):
                n = len(next(iter(terms.values()))) if terms else 0
                for name, values in terms.items():
                    found[at[start : start + n]] += scales[name] * (values - score.mean_of(name))
                start += n
        return found

    def as_of(self, events: ItemEvents, day: float) -> ItemRanker:
        """Return a ranker with the same options, and models of the events before another day."""
        data = self.learning_data
        return replace(self, learning_data=LearningData(events, data.catalogue, day, data.config))


def fit_item_ranker(
    events: ItemEvents,
    catalogue: ItemCatalogue,
    day: float,
    validation_days: float | None = None,
    config: ItemRankerConfig | None = None,
) -> ItemRanker:
    """Fit a ranker on the events before a day.

    Args:
        events: May include later ones, which are ignored.
        catalogue: Of the items.
        day: Cutoff.
        validation_days: Length of each window before the day in which weights and options are learned; None: by the
            length of the past (``item_validation.windows_before``).
        config: The defaults when None.

    Returns:
        The ranker. Without data to validate on, it has a-priori weights and the first option.
    """
    config = config or ItemRankerConfig()
    options = [
        Option(*each) for each in product(config.regularisations, config.history_half_lives_days, config.shortlists)
    ]
    learning_data = LearningData(events, catalogue, day, config)
    windows = windows_before(learning_data.events, catalogue, day, config, validation_days)
    if sum(len(window.asked) for window in windows) < FEWEST_VALIDATED:
        score = score_a_priori(learning_data.term_names(with_item_files=False))
        return ItemRanker(learning_data, options[0], (score,) * len(SEGMENTS), {}, {})
    changed = has_changed(windows, learning_data)
    views = [learning_data.term_names(with_item_files=False)]
    if learning_data.item_file_terms:
        views.append(learning_data.term_names())
    options = worth_trying(windows[-1], options)
    tables = tables_of(windows, options, views)
    option, choice, validated = choose(tables[0], options, config, changed)
    if learning_data.item_file_terms:
        choice = with_item_files(tables[1].of(option), option, choice, config, changed)
    return ItemRanker(learning_data, option, choice.scores, validated, choice.tried)


def score_a_priori(names: tuple[str, ...]) -> LinearScore:
    """Return the score that is used where nothing can be learned."""
    weights = {NEIGHBOURS: 0.5, EASE: 0.5, ADAPTING: 1.0}
    return LinearScore(names, np.array([weights.get(name, 0.0) for name in names]), *_units(len(names)))


def _units(n: int) -> tuple[Floats, Floats]:
    return np.zeros(n), np.ones(n)


@dataclass(frozen=True, eq=False)
class Choice:
    """The score chosen for each segment, and its results on choices that it was not learned from.

    Attributes:
        scores: Of each segment.
        ndcg: Of every validated user by the score of their segment, shape (n_users,).
        tried: NDCG of each term and of the chosen score, by segment.
    """

    scores: tuple[LinearScore, ...]
    ndcg: Floats
    tried: Mapping[str, Mapping[str, float]]


def has_changed(windows: Sequence[Window], learning_data: LearningData) -> tuple[bool, ...]:
    """Whether demand has changed so much since most of the windows that they are not representative, by segment.

    The best half-lives of demand show that after some twenty visits; lists need more.
    """
    n_asked = [len(window.asked) for window in windows]
    found = []
    for segment in range(len(SEGMENTS)):
        is_known = int(segment == KNOWN)
        before = np.repeat([window.learning_data.adapting[is_known].half_life_days for window in windows], n_asked)
        found.append(learning_data.adapting[is_known].half_life_days < np.median(before) / CHANGED)
    return tuple(map(bool, found))


def worth_trying(newest: Window, options: Sequence[Option]) -> list[Option]:
    """Return the options to try: several regularisations only where EASE is useful, since each costs a fit in every
    window.

    EASE is not useful if it certainly has less than half of the adapting demand's NDCG.
    """
    data, asked = newest.learning_data, newest.asked
    ndcg = []
    for name in (EASE, ADAPTING):
        lists = lists_of(partial(data.member_scores, name), asked, data.config.k)
        ndcg.append(metrics.ndcg_at_k(metrics.find_hits(lists, rows_wanted(asked)), data.config.k))
    leads = ndcg[0] - ndcg[1] / 2
    is_of_use = len(asked) < ENOUGH_TO_GIVE_UP or leads.mean() > -SURELY * leads.std() / len(leads) ** 0.5
    alike = [option for option in options if option.regularisation == BASE_REGULARISATION]
    return list(options) if is_of_use or not alike else alike


def choose(
    table: Table, options: Sequence[Option], config: ItemRankerConfig, changed: Sequence[bool]
) -> tuple[Option, Choice, dict[Option, float]]:
    """Return the best option, and for each segment its weights or a single term; ``changed`` as from
    ``has_changed``."""
    held_out = {
        option: held_out_ndcg(table.of(option), option.shortlist, config.strength, config.k) for option in options
    }
    validated = {option: float(ndcg.mean()) for option, ndcg in held_out.items()}
    option = max(options, key=lambda one: validated[one])
    choice = choice_of(table.of(option), option.shortlist, config.strength, held_out[option], changed)
    return option, choice, validated


def choice_of(table: Table, shortlist: int, strength: float, held_out: Floats, changed: Sequence[bool]) -> Choice:
    """Choose for each segment the sum of all terms if it is better than each term alone, else the best term.

    That is the adapting demand unless another is significantly better; where demand has changed, always the adapting
    demand. A segment with few users is averaged with the others; users without events have only the terms that are the
    same for all.
    """
    summed = learn_by_segment(table, np.ones(len(table), bool), shortlist, strength)
    scores: list[LinearScore] = []
    tried: dict[str, dict[str, Any]] = {}
    ndcg = held_out.copy()
    for segment, segment_name in enumerate(SEGMENTS):
        own = table.segments == segment
        members = [name for name in table.by_member if segment != NONE or name not in OF_HISTORIES]
        name = best_member(table, members, own)
        if not holds_lately(table, table.by_member[name], own, changed[segment]):
            name = ADAPTING
        alone = table.by_member[name]
        mean, error = borrowed_lead(held_out - alone, own, table.recency)
        can_sum = segment != NONE or np.count_nonzero(own) >= FEWEST_VALIDATED
        takes_sum = can_sum and mean > CLEARLY * error and holds_lately(table, held_out, own, changed[segment])
        scores.append(summed[segment] if takes_sum else member_alone(table, name, own, strength))
        if not takes_sum:
            ndcg[own] = alone[own]
        if own.any():
            tried[segment_name] = {
                **{one: round(float(table.by_member[one][own].mean()), 4) for one in table.by_member},
                "sum": round(float(held_out[own].mean()), 4),
                "chosen": "sum" if takes_sum else name,
                "n": int(own.sum()),
            }
    return Choice(tuple(scores), ndcg, tried)


def best_member(table: Table, names: Sequence[str], own: NDArray[np.bool_]) -> str:
    """Return the term that is significantly better than the adapting demand by most; the adapting demand if there is
    none."""

    def surely(name: str) -> float:
        mean, error = borrowed_lead(table.by_member[name] - table.by_member[ADAPTING], own, table.recency)
        return mean - SURELY * error

    return max(names, key=surely)


def holds_lately(table: Table, ndcg: Floats, own: NDArray[np.bool_], has_changed: bool) -> bool:
    """Whether scores are not worse than the adapting demand in the newest windows; where demand changed, better."""
    found = [borrowed_lead(ndcg - table.by_member[ADAPTING], own, is_newest) for is_newest in table.newest]
    if any(mean < -LATELY * error for mean, error in found):
        return False
    return not has_changed or any(mean > LATELY * error for mean, error in found[-1:])


def borrowed_lead(leads: Floats, own: NDArray[np.bool_], counts: NDArray[Any]) -> tuple[float, float]:
    """Return the mean over a segment and ``BORROWED_USERS`` average users, and its standard error.

    Args:
        leads: Of each user, shape (n_users,).
        own: Users of the segment.
        counts: Weight of each user, 0 to 1.
    """
    counts = counts.astype(np.float64)
    n_own, n_all = counts[own].sum(), counts.sum()
    weights = counts / n_all * min(BORROWED_USERS, n_all) + np.where(own, counts, 0.0)
    weights /= min(BORROWED_USERS, n_all) + n_own
    mean = float(weights @ leads)
    return mean, float(np.sqrt(np.square(weights) @ np.square(leads - mean)))


def member_alone(table: Table, name: str, own: NDArray[np.bool_], strength: float) -> LinearScore:
    """Return a score that ranks as one term does; its weight is learned, so that it predicts choices too."""
    at = table.names.index(name)
    rows = own if own.any() else np.ones(len(table), bool)
    means, deviations = scales_of(table.features[rows], table.is_allowed[rows])
    features = (table.features[rows][..., [at]] - means[at]) / deviations[at]
    weight = most_likely(np.asarray(features, np.float32), table.is_allowed[rows],
                         table.is_chosen[rows].astype(np.float32), strength, offsets=table.offsets[rows])  # fmt: skip
    weights = np.zeros(len(table.names))
    weights[at] = max(float(weight[0]), 0.05)
    return LinearScore(table.names, weights, means, deviations)


def held_out_ndcg(table: Table, shortlist: int, strength: float, k: int) -> Floats:
    """Return the NDCG of the sum for every user, with weights learned in other windows; with one window, from other
    users."""
    is_rolling = len(np.unique(table.moments)) > 1
    folds = table.moments if is_rolling else np.arange(len(table)) % 2
    found = np.zeros(len(table))
    for fold in np.unique(folds):
        test = folds == fold
        scores = learn_by_segment(table, ~test, shortlist, strength)
        for segment, score in enumerate(scores):
            at = np.flatnonzero(test & (table.segments == segment))
            if len(at):
                found[at] = _part(table, at).ndcg(_pool_scores(table, at, score), k)
    return found


def _part(table: Table, at: NDArray[np.intp]) -> Table:
    return replace(
        table, features=table.features[at], items=table.items[at], is_allowed=table.is_allowed[at],
        is_chosen=table.is_chosen[at], offsets=table.offsets[at], n_chosen=table.n_chosen[at],
        moments=table.moments[at], segments=table.segments[at], by_member={},
    )  # fmt: skip


def _pool_scores(table: Table, at: NDArray[np.intp], score: LinearScore) -> Floats:
    weights = score.weights / score.deviations
    return np.asarray(table.features[at] @ weights, np.float64)


def with_item_files(
    table: Table, option: Option, without: Choice, config: ItemRankerConfig, changed: Sequence[bool]
) -> Choice:
    """Return a choice that also uses the item file, if it is clearly better than the one without; else that one."""
    held_out = held_out_ndcg(table, option.shortlist, config.strength, config.k)
    choice = choice_of(table, option.shortlist, config.strength, held_out, changed)
    scores = list(without.scores)
    tried = dict(without.tried)
    for segment, name in enumerate(SEGMENTS):
        own = table.segments == segment
        leads = choice.ndcg - without.ndcg
        if own.sum() >= FEWEST_VALIDATED:
            leads = leads[own]
        if leads.mean() > CLEARLY_BY_ITEM_FILE * leads.std() / len(leads) ** 0.5:
            scores[segment], tried[name] = choice.scores[segment], choice.tried.get(name, {})
    return Choice(tuple(scores), without.ndcg, tried)


def learn_by_segment(
    table: Table, learns: NDArray[np.bool_], shortlist: int, strength: float
) -> tuple[LinearScore, ...]:
    """Learn weights of the terms by conditional logit: each user chose items out of those they could have had.

    They are learned twice: first from the whole pool, then from each user's best items by the first weights. Most
    choices are of the long tail, whose weights may differ from those that order the top, of which a list is made. Every
    user counts once. The weights of a segment have a prior around those of all users.

    Args:
        table: The terms and choices.
        learns: Users to learn from, shape (n_users,).
        shortlist: Number of items of each user in the second step.
        strength: Precision of the Gaussian around the adapting demand alone, in users.

    Returns:
        A score for each of ``SEGMENTS``.

    Source: conditional logit (McFadden 1974), a Gaussian around one term alone, solved by L-BFGS. By its independence
    of irrelevant alternatives, weights may be learned from a part of the alternatives.
    """
    features, allowed = table.features[learns], table.is_allowed[learns]  # a copy, as standardised in place
    chosen, offsets = table.is_chosen[learns].astype(np.float32), table.offsets[learns]
    means, deviations = scales_of(features, allowed)
    features -= means.astype(np.float32)
    features /= deviations.astype(np.float32)
    features[..., [name in ALONE for name in table.names]] = 0.0  # so that their weight stays 0
    start, at = np.zeros(len(table.names)), [table.names.index(ADAPTING)]
    start[at] = most_likely(features[..., at], allowed, chosen, strength, offsets=offsets)
    weights = most_likely(features, allowed, chosen, strength, start, offsets)
    best = _best(np.where(allowed, features @ weights.astype(np.float32), -np.inf), shortlist)
    features = np.take_along_axis(features, best[..., None], axis=1)
    allowed, chosen = np.take_along_axis(allowed, best, axis=1), np.take_along_axis(chosen, best, axis=1)
    offsets = np.take_along_axis(offsets, best, axis=1)
    weights = most_likely(features, allowed, chosen, strength, start, offsets)
    found = []
    for segment in range(len(SEGMENTS)):
        own = table.segments[learns] == segment
        around = most_likely(features[own], allowed[own], chosen[own], FIRMNESS_OF_SEGMENTS, weights, offsets[own])
        found.append(LinearScore(table.names, around, means, deviations))
    return tuple(found)


def _best(scores: NDArray[np.floating], n: int) -> NDArray[np.intp]:
    """Return columns of the n highest scores of each row, in no order."""
    n = min(n, scores.shape[1])
    return np.argpartition(-scores, n - 1, axis=1)[:, :n]


def scales_of(features: NDArray[np.float32], is_allowed: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each term over the items that may be listed; 0 and 1 for a constant
    term."""
    n, n_terms = int(np.count_nonzero(is_allowed)), features.shape[2]
    if not n:
        return _units(n_terms)
    sums, squares = np.zeros((2, n_terms))
    for own, may_be in zip(features, is_allowed, strict=True):  # a user at a time, for the memory
        sums += own[may_be].sum(axis=0, dtype=np.float64)
    means = sums / n
    for own, may_be in zip(features, is_allowed, strict=True):
        squares += np.square(own[may_be] - means).sum(axis=0)
    deviations = np.sqrt(squares / n)
    return means, np.where(deviations > 1e-6, deviations, 1.0)


def most_likely(
    features: NDArray[np.float32],
    allowed: NDArray[np.bool_],
    chosen: NDArray[np.float32],
    strength: float,
    around: Floats | None = None,
    offsets: NDArray[np.float32] | None = None,
) -> Floats:
    """Return the weights with the highest posterior, shape (n_terms,); ``around`` where there is no choice.

    Args:
        features: Standardised terms, shape (n_users, n_items, n_terms).
        allowed: The alternatives of each user, shape (n_users, n_items).
        chosen: 1 where the user chose, else 0, same shape; all among the allowed. Users without a choice are left out.
        strength: Precision of the Gaussian around ``around``.
        around: Shape (n_terms,); 0 when None.
        offsets: Logarithm of the number of items that each alternative stands for, as allowed; 0 when None.
    """
    start = np.zeros(features.shape[2]) if around is None else around
    has_choice = chosen.any(axis=1)
    features, allowed, chosen = features[has_choice], allowed[has_choice], chosen[has_choice]
    more = np.zeros(allowed.shape, np.float32) if offsets is None else offsets[has_choice]
    shares = chosen / chosen.sum(axis=1, keepdims=True)
    rows = features.reshape(-1, features.shape[2])

    def cost(weights: Floats) -> tuple[float, Floats]:
        utility = np.where(allowed, (rows @ weights.astype(np.float32)).reshape(allowed.shape) + more, -np.inf)
        utility -= utility.max(axis=1, keepdims=True, initial=-np.finfo(np.float32).max)
        odds = np.exp(utility)
        total = odds.sum(axis=1, keepdims=True)
        fit = (shares * np.where(allowed, utility - np.log(total), 0.0)).sum(dtype=np.float64)
        gradient = (odds / total - shares).ravel() @ rows
        away = weights - start
        return float(0.5 * strength * away @ away - fit), strength * away + gradient.astype(np.float64)

    if not len(features):
        return start
    weights: Floats = optimize.minimize(cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 40}).x
    return weights
