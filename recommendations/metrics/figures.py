"""Figures of several rankers on the same test, each with an interval.

A figure is the quality (recall, NDCG, MRR, hit rate, precision) or another property (coverage, novelty, diversity) of a
ranker's lists, for all buyers or a slice of them. Rankers are compared pairwise: ``lead`` figures are paired
differences of ours and another ranker, from the same bootstrap draws, because buyers differ far more from each other
than two rankers do for one buyer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from recommendations.engine.arrays import Array, Integers, Reals
from recommendations.metrics import ranking as metrics
from recommendations.metrics.ranking import PADDING, Hits

Lists = NDArray[np.intp]
PerBuyer = dict[tuple[str, int], NDArray[np.float64]]  # metric and k -> one value per buyer, nan where they have none

ALL_BUYERS = "all"
COVERAGE, NOVELTY, DIVERSITY = "coverage", "novelty", "diversity"
EXPOSURE_GINI = "exposure gini"
QUALITY, DEBIASED, OF_KIND = "quality", "debiased", "of kind"  # tables of a report
PAIRS_WON = "pairs won"  # of what was shown together; no lists, so k is 0
LEAD = "lead in "
OF_ARCHETYPES = "archetype "  # before the name of a metric: of hits on archetypes
DRAWS_AT_ONCE = 100
GINI_DRAWS = 100  # of the bootstrap; each goes through every list


@dataclass(frozen=True, eq=False)
class Question:
    """The test that is the same for every ranker.

    Attributes:
        relevant: For each buyer the rows of the relevant things, not empty.
        candidates: Which things could be listed, bool, shape (n_things,).
        n_events: Events on each thing before the cutoff, for novelty, shape (n_things,).
        features: Of the things, for diversity, shape (n_things, n_dims).
        groups: Archetype of each thing, int, negative for none, shape (n_things,); None where there are no archetypes.
        buyer_slices: Name -> its buyers, bool, shape (n_buyers,).
        thing_slices: Name -> its things, bool, shape (n_things,): quality for buyers to whom these are relevant.
    """

    relevant: Sequence[NDArray[np.intp]]
    candidates: NDArray[np.bool_]
    n_events: Integers
    features: Reals
    groups: NDArray[np.integer] | None = None
    buyer_slices: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    thing_slices: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.relevant)


@dataclass(frozen=True)
class Figure:
    """One number about one ranker.

    Attributes:
        ranker: Whose lists; of a lead, the other ranker.
        slice: Buyers or things.
        metric: Of ``METRICS``, with "archetype " before it for hits on archetypes; pairs won; or one of these with
            "lead in " before it.
        k: Length of the lists; 0 where there are none.
        value: Mean over the buyers that have a value; nan when no buyer has one.
        low, high: 95 % bootstrap interval; nan as above.
        n: Buyers it is a mean over.
    """

    ranker: str
    slice: str
    metric: str
    k: int
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Metric:
    """A metric of lists, declared once: its function, meaning and table.

    Exactly one of the last three attributes is its function.

    Attributes:
        name: In figures, reports and the admin.
        table: Of a report, in which it has a column: ``QUALITY``, ``DEBIASED`` or ``OF_KIND``.
        meaning: For readers.
        is_sliced: Whether it is also computed for slices of the buyers and things, and for hits on archetypes.
        has_leads: Whether higher is better, so that rankers are compared by it.
        of_hits: Hits and k -> one value per buyer, shape (n_buyers,), nan where they have none.
        of_lists: The same of lists, a test and k.
        of_all: Of all lists together: ranker, test, lists, k and bootstrap draws -> the figure.
    """

    name: str
    table: str
    meaning: str
    is_sliced: bool = False
    has_leads: bool = True
    of_hits: Callable[[Hits, int], NDArray[np.float64]] | None = None
    of_lists: Callable[[Lists, Question, int], NDArray[np.float64]] | None = None
    of_all: Callable[[str, Question, Lists, int, NDArray[np.float32]], Figure] | None = None

    def per_buyer(self, lists: Lists, question: Question, hits: Hits, k: int) -> NDArray[np.float64] | None:
        """Return one value per buyer; None for a metric of all lists together."""
        if self.of_hits:
            return self.of_hits(hits, k)
        return self.of_lists(lists, question, k) if self.of_lists else None


def measure(
    question: Question,
    lists_by_ranker: Mapping[str, Lists],
    ours: str,
    ks: Sequence[int],
    rng: np.random.Generator,
    n_draws: int = 1000,
    more: Mapping[str, PerBuyer] | None = None,
) -> list[Figure]:
    """Compute every figure of every ranker.

    Args:
        question: The test.
        lists_by_ranker: Rows of things, best first, -1 as padding, shape (n_buyers, length) each.
        ours: The ranker whose lead over each other one is reported.
        ks: Lengths of the lists.
        rng: Of the bootstrap: the same state gives the same intervals.
        n_draws: Of the bootstrap.
        more: Further values of each ranker, over all buyers.

    Raises:
        ValueError: If ``ours`` is not among the rankers, or lists do not match the test.

    Source: percentile bootstrap over buyers (Efron and Tibshirani 1993, ch. 13); for coverage, which a draw with
    repeats can only lower, the spread of the draws around their mean is put around the value.
    """
    if ours not in lists_by_ranker:
        raise ValueError(f"{ours} is none of the rankers: {', '.join(lists_by_ranker)}")
    draws = draw_counts(len(question), n_draws, rng)
    figures: list[Figure] = []
    values = {name: dict(slices_of(question, lists, ks)) for name, lists in lists_by_ranker.items()}
    for name, further in (more or {}).items():
        values[name][ALL_BUYERS] |= further
    for name, lists in lists_by_ranker.items():
        for slice_name, own in values[name].items():
            figures += with_intervals(name, slice_name, own, draws)
            if name != ours:
                figures += with_intervals(name, slice_name, leads(values[ours][slice_name], own), draws)
        figures += [each.of_all(name, question, lists, k, draws) for each in METRICS if each.of_all for k in ks]
    return figures


def slices_of(question: Question, lists: Lists, ks: Sequence[int]) -> Iterator[tuple[str, PerBuyer]]:
    """Yield the values of every buyer, by slice."""
    hits = metrics.find_hits(lists, question.relevant)
    values: PerBuyer = {}
    for metric in METRICS:
        for k in ks:
            if (of_buyers := metric.per_buyer(lists, question, hits, k)) is not None:
                values[metric.name, k] = of_buyers
    yield ALL_BUYERS, values | of_groups(question, lists, ks)
    for name, is_in in question.buyer_slices.items():
        yield name, {(each.name, k): np.where(is_in, values[each.name, k], np.nan) for each in sliced() for k in ks}
    for name, is_in in question.thing_slices.items():
        found = metrics.find_hits(lists, [rows[is_in[rows]] for rows in question.relevant])
        yield name, dict(of_sliced(found, ks))


def sliced() -> Iterator[Metric]:
    return (metric for metric in METRICS if metric.is_sliced and metric.of_hits)


def of_sliced(hits: Hits, ks: Sequence[int], prefix: str = "") -> Iterator[tuple[tuple[str, int], NDArray[np.float64]]]:
    """Yield the values of the metrics that are computed for slices, from some hits."""
    for metric in sliced():
        for k in ks:
            if metric.of_hits:
                yield (f"{prefix}{metric.name}", k), metric.of_hits(hits, k)


def pairs_won(scores: ArrayLike, chosen: int, others: ArrayLike) -> float:
    """Return the share of the others that the chosen thing scores above, a tie counting half: 0.5 is chance; nan
    without others.

    Over things that were shown together, it measures preference only: it does not depend on what lists never showed, or
    showed often.

    Args:
        scores: Of all things, shape (n_things,).
        chosen: Row of the chosen one.
        others: Rows of the other things shown.
    """
    values, rows = np.asarray(scores, np.float64), np.asarray(others, np.intp)
    if not rows.size:
        return float("nan")
    margin = values[chosen] - values[rows]
    return float(np.mean((margin > 0) + 0.5 * (margin == 0)))


def of_groups(question: Question, lists: Lists, ks: Sequence[int]) -> PerBuyer:
    """Return hits on archetypes: a car of the same make, model, generation and price band as a relevant one.

    Each archetype counts at its first position in a list, and once among the relevant ones.
    """
    if question.groups is None:
        return {}
    wanted = [question.groups[rows] for rows in question.relevant]
    wanted = [codes[codes >= 0] for codes in wanted]
    groups = np.where(lists == PADDING, PADDING, question.groups[np.maximum(lists, 0)])
    at = first_hits(groups, wanted)
    hits = Hits(at, np.array([len(np.unique(codes)) for codes in wanted], np.intp))
    return dict(of_sliced(hits, ks, OF_ARCHETYPES))


def first_hits(groups: Integers, wanted: Sequence[Integers]) -> NDArray[np.bool_]:
    """Mark the positions at which a relevant group appears for the first time in a list, shape of ``groups``."""
    at = np.zeros(groups.shape, bool)
    for row, codes in enumerate(wanted):
        _, first = np.unique(groups[row], return_index=True)
        at[row, first] = np.isin(groups[row, first], codes) & (groups[row, first] >= 0)
    return at


def leads(ours: PerBuyer, other: PerBuyer) -> PerBuyer:
    """Return the differences of ours and another ranker for each buyer, for metrics of which higher is better."""
    unled = {metric.name for metric in METRICS if not metric.has_leads}
    return {(f"{LEAD}{name}", k): ours[name, k] - values for (name, k), values in other.items() if name not in unled}


def draw_counts(n_buyers: int, n_draws: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return how often each buyer is in each bootstrap sample, shape (n_draws, n_buyers)."""
    if not n_buyers:
        return np.zeros((n_draws, 0), np.float32)
    return rng.multinomial(n_buyers, np.full(n_buyers, 1 / n_buyers), size=n_draws).astype(np.float32)


def with_intervals(ranker: str, slice_name: str, values: PerBuyer, draws: NDArray[np.float32]) -> list[Figure]:
    """Return means and intervals of several series of values, all from the same draws."""
    if not values:
        return []
    table = np.column_stack(list(values.values()))
    is_known = ~np.isnan(table)
    filled = np.where(is_known, table, 0.0)
    n = is_known.sum(axis=0)
    means = _ratio(filled.sum(axis=0), n)
    drawn = _ratio(draws.astype(np.float64) @ filled, draws.astype(np.float64) @ is_known)
    low, high = interval(drawn)
    return [
        Figure(ranker, slice_name, metric, k, float(means[at]), float(low[at]), float(high[at]), int(n[at]))
        for at, (metric, k) in enumerate(values)
    ]


def interval(drawn: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the 95 % interval of each column, draws without a value left out; nan without any draw."""
    ends = np.full((2, drawn.shape[1]), np.nan)
    for column in np.flatnonzero(~np.isnan(drawn).all(axis=0)):
        values = drawn[:, column]
        ends[:, column] = np.quantile(values[~np.isnan(values)], [0.025, 0.975])
    return ends[0], ends[1]


def coverage_figure(ranker: str, question: Question, lists: Lists, k: int, draws: NDArray[np.float32]) -> Figure:
    """Share of the candidates that appear among the first k of at least one list."""
    shown = lists[:, :k]
    n_candidates = int(question.candidates.sum())
    buyers, positions = np.nonzero(shown != PADDING)
    shape = (len(shown), len(question.candidates))
    appears = csr_array((np.ones(len(buyers), np.float32), (buyers, shown[buyers, positions])), shape=shape)
    value = float(np.count_nonzero(appears.sum(axis=0)) / max(n_candidates, 1))
    drawn = np.concatenate(
        [
            np.count_nonzero((draws[start : start + DRAWS_AT_ONCE] > 0).astype(np.float32) @ appears, axis=1)
            for start in range(0, len(draws), DRAWS_AT_ONCE)
        ]
    ) / max(n_candidates, 1)
    low, high = np.quantile(drawn, [0.025, 0.975]) - drawn.mean() + value
    return Figure(ranker, ALL_BUYERS, COVERAGE, k, value, max(float(low), 0.0), min(float(high), 1.0), len(shown))


def gini_figure(ranker: str, question: Question, lists: Lists, k: int, draws: NDArray[np.float32]) -> Figure:
    """Gini coefficient of the candidates' exposure in the first k; the interval has the spread of the draws."""
    value = metrics.exposure_gini(lists, question.candidates, k)
    exposed = metrics.exposures(lists, len(question.candidates), k)
    drawn = np.array([metrics.gini((draw @ exposed)[question.candidates]) for draw in draws[:GINI_DRAWS]])
    low, high = np.quantile(drawn, [0.025, 0.975]) - drawn.mean() + value
    return Figure(ranker, ALL_BUYERS, EXPOSURE_GINI, k, value, max(float(low), 0.0), min(float(high), 1.0), len(lists))


def _ratio(sums: NDArray[np.float64], counts: Array) -> NDArray[np.float64]:
    ratios: NDArray[np.float64] = np.divide(
        sums, counts, out=np.full(np.shape(sums), np.nan), where=np.asarray(counts) > 0
    )
    return ratios


METRICS: tuple[Metric, ...] = (
    Metric(
        "ndcg", QUALITY, "hits, the more the further up, over the best possible list", is_sliced=True,
        of_hits=metrics.ndcg_at_k,
    ),
    Metric(
        "recall", QUALITY, "share of what a buyer went for that is on their list", is_sliced=True,
        of_hits=metrics.recall_at_k,
    ),
    Metric(
        "hit rate", QUALITY, "share of buyers with at least one hit", is_sliced=True, of_hits=metrics.hit_rate_at_k,
    ),
    Metric("mrr", QUALITY, "one over the place of the first hit", of_hits=metrics.reciprocal_rank_at_k),
    Metric("precision", QUALITY, "share of the places that are hits", of_hits=metrics.precision_at_k),
    Metric(
        "debiased recall", DEBIASED, "recall in which what is popular, and so found by any list, counts less",
        of_lists=lambda lists, asked, k: metrics.debiased_recall_at_k(lists, asked.relevant, asked.n_events, k),
    ),
    Metric(
        "debiased ndcg", DEBIASED, "NDCG with the same weights",
        of_lists=lambda lists, asked, k: metrics.debiased_ndcg_at_k(lists, asked.relevant, asked.n_events, k),
    ),
    Metric(COVERAGE, OF_KIND, "share of all candidates that are on at least one list", of_all=coverage_figure),
    Metric(
        EXPOSURE_GINI, OF_KIND, "how unevenly the lists expose the candidates: 0 alike, near 1 where a few have all of "
        "it", of_all=gini_figure,
    ),
    Metric(
        NOVELTY, OF_KIND, "how little known the listed ones are, in bits", has_leads=False,
        of_lists=lambda lists, asked, k: metrics.novelty(lists, asked.n_events, k),
    ),
    Metric(
        DIVERSITY, OF_KIND, "how different those of one list are from each other, 0 to 2", has_leads=False,
        of_lists=lambda lists, asked, k: metrics.intra_list_diversity(lists, asked.features, k),
    ),
)  # fmt: skip
