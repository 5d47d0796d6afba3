"""An evaluation as a page to read: tables, plots and what one must know of them; one HTML file, nothing from elsewhere.

Everything is made from the JSON form of an evaluation (``runs.as_json``, ``Outcome.to_json``), so that a row in the
database, a file on disk and a run that was never stored are shown alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from recommendations.evaluation.outcome import OURS
from recommendations.evaluation.plots import Bar, bar_chart, reliability_chart
from recommendations.metrics.figures import (
    ALL_BUYERS,
    COVERAGE,
    DEBIASED,
    LEAD,
    METRICS,
    OF_ARCHETYPES,
    OF_KIND,
    PAIRS_WON,
    QUALITY,
    sliced,
)

MAIN_METRIC = "ndcg"
HITS_ON_ARCHETYPES = tuple(f"{OF_ARCHETYPES}{metric.name}" for metric in sliced())
MEANINGS = {
    **{metric.name: metric.meaning for metric in METRICS},
    "archetype ndcg": "the same as NDCG, where a car of the same make, model, generation and price band is a hit",
    "archetype recall": "share of the archetypes a buyer went for that are on their list",
    "archetype hit rate": "share of buyers with at least one such hit",
    PAIRS_WON: "of what was shown together, how often the chosen car scores above one that was not; 0.5 is chance",
}


class Table(NamedTuple):
    """A caption, headers, and rows of cells; the first of each names the row."""

    caption: str
    headers: list[str]
    rows: list[list[str]]


class Reading:
    """The figures of one evaluation, by what they are asked for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self._by_key = {
            (figure["ranker"], figure["slice"], figure["metric"], figure["k"]): figure for figure in document["figures"]
        }
        self.rankers = list(dict.fromkeys(figure["ranker"] for figure in document["figures"]))
        self.slices = list(dict.fromkeys(figure["slice"] for figure in document["figures"]))
        self.ks = sorted({figure["k"] for figure in document["figures"] if figure["k"]})

    def figure(self, ranker: str, metric: str, k: int, of_slice: str = ALL_BUYERS) -> Mapping[str, Any] | None:
        """None where it was not or could not be measured."""
        found = self._by_key.get((ranker, of_slice, metric, k))
        return found if found and found["value"] is not None else None

    def bars(self, metric: str, k: int) -> list[Bar]:
        """One bar per ranker, the best first."""
        found = [(name, self.figure(name, metric, k)) for name in self.rankers]
        bars = [Bar(name, one["value"], *ends(one), is_ours=name == OURS) for name, one in found if one is not None]
        return sorted(bars, key=lambda bar: -bar.value)

    def best_other(self, metric: str, k: int, of_slice: str = ALL_BUYERS) -> str | None:
        """The best ranker that is not ours."""
        others = [(one["value"], name) for name in self.rankers if name != OURS
                  and (one := self.figure(name, metric, k, of_slice))]  # fmt: skip
        return max(others)[1] if others else None


def ends(figure: Mapping[str, Any]) -> tuple[float, float]:
    """Of the interval; the value itself where there is none."""
    value = figure["value"]
    return (
        value if figure["low"] is None else figure["low"],
        value if figure["high"] is None else figure["high"],
    )


def cell(figure: Mapping[str, Any] | None, *, with_interval: bool = False) -> str:
    if figure is None:
        return "–"
    value = f"{figure['value']:.4f}" if abs(figure["value"]) < 2 else f"{figure['value']:.2f}"
    low, high = ends(figure)
    return f"{value} ({low:.3f} to {high:.3f})" if with_interval else value


def names_in(table: str) -> list[str]:
    """The metrics that have a column in one table of a report."""
    return [metric.name for metric in METRICS if metric.table == table]


def quality_table(reading: Reading, metrics: Sequence[str], k: int, caption: str) -> Table:
    """Rankers by metrics at one length of list; what no ranker has is left out."""
    used = [metric for metric in metrics if reading.figure(OURS, metric, k)]
    rows = [[name, *(cell(reading.figure(name, metric, k)) for metric in used)] for name in reading.rankers]
    return Table(caption, ["", *(f"{metric}@{k}" for metric in used)], rows if used else [])


def length_table(reading: Reading, metric: str) -> Table:
    """One metric with its intervals at every length of list."""
    rows = [
        [name, *(cell(reading.figure(name, metric, k), with_interval=True) for k in reading.ks)]
        for name in reading.rankers
    ]
    headers = ["", *(f"{metric}@{k}" for k in reading.ks)]
    return Table(f"{metric} with 95 % intervals", headers, rows)


def lead_table(reading: Reading, k: int) -> Table:
    """By how much ours is ahead of each other ranker."""
    metrics = [
        metric
        for metric in (*(metric.name for metric in sliced()), HITS_ON_ARCHETYPES[0])
        if reading.figure(OURS, metric, k)
    ]
    rows = [
        [name, *(cell(reading.figure(name, LEAD + metric, k), with_interval=True) for metric in metrics)]
        for name in reading.rankers
        if name != OURS
    ]
    return Table("Paired differences, ours less the other's", ["", *(f"{name}@{k}" for name in metrics)], rows)


def choice_table(reading: Reading) -> Table:
    """How well each ranker distinguishes what was chosen from what was shown beside it."""
    rows = [
        [
            name,
            cell(reading.figure(name, PAIRS_WON, 0), with_interval=True),
            cell(reading.figure(name, LEAD + PAIRS_WON, 0), with_interval=True),
        ]
        for name in reading.rankers
    ]
    has_any = reading.figure(OURS, PAIRS_WON, 0)
    return Table("Choices among what was shown", ["", PAIRS_WON, "ours less it"], rows if has_any else [])


def slice_table(reading: Reading, k: int) -> Table:
    """Ours and the best other ranker, by slice."""
    rows = []
    for name in reading.slices:
        ours, other = reading.figure(OURS, MAIN_METRIC, k, name), reading.best_other(MAIN_METRIC, k, name)
        if ours is None or other is None:
            continue
        best = reading.figure(other, MAIN_METRIC, k, name)
        lead = reading.figure(other, LEAD + MAIN_METRIC, k, name)
        rows.append([name, f"{ours['n']:,}", cell(ours), f"{cell(best)} ({other})", cell(lead, with_interval=True)])
    return Table(f"{MAIN_METRIC}@{k} by slice", ["", "buyers", "ours", "the best other", "difference"], rows)


def tables(document: Mapping[str, Any]) -> list[Table]:
    """Every table of an evaluation, those without rows left out."""
    reading = Reading(document)
    if not reading.ks:
        return []
    k = main_k(reading)
    found = [
        quality_table(reading, names_in(QUALITY), k, f"Lists of {k}: how many hits"),
        quality_table(reading, HITS_ON_ARCHETYPES, k, f"Lists of {k}: hits on archetypes"),
        quality_table(reading, names_in(DEBIASED), k, f"Lists of {k}, popularity taken out"),
        quality_table(reading, names_in(OF_KIND), k, f"Lists of {k}: what they are like"),
        lead_table(reading, k),
        choice_table(reading),
        length_table(reading, MAIN_METRIC),
        slice_table(reading, k),
    ]
    return [table for table in found if table.rows]


def main_k(reading: Reading) -> int:
    """The middle length of list."""
    middle: int = reading.ks[len(reading.ks) // 2]
    return middle


def plots(document: Mapping[str, Any]) -> Iterator[tuple[str, SafeString]]:
    """Captions and inline SVG."""
    reading = Reading(document)
    if not reading.ks:
        return
    k = main_k(reading)
    caption = f"NDCG@{k}, with 95 % intervals"
    yield caption, mark_safe(bar_chart(caption, reading.bars(MAIN_METRIC, k)))  # noqa: S308 - plots escape
    leads = [bar for bar in reading.bars(LEAD + MAIN_METRIC, k) if not bar.is_ours]
    caption = f"How far ours is ahead in NDCG@{k}: beyond 0 with its whole interval, it is no chance"
    yield caption, mark_safe(bar_chart(caption, leads, signed=True))  # noqa: S308
    caption = f"Share of the candidates on at least one list of {k}"
    yield caption, mark_safe(bar_chart(caption, reading.bars(COVERAGE, k)))  # noqa: S308
    if calibration := document["summary"].get("calibration"):
        caption = (
            f"Predicted and observed choices among {calibration['alternatives']}: {calibration['n_choices']:,} "
            f"choices, calibration error {calibration['error']:.3f}"
        )
        chart = reliability_chart(caption, calibration["predicted"], calibration["observed"], calibration["n"])
        yield caption, mark_safe(chart)  # noqa: S308


def html_report(document: Mapping[str, Any]) -> str:
    """The whole page. Works for an evaluation in the form of ``Outcome.to_json``."""
    reading, described = Reading(document), document["summary"].get("rankers", {})
    return render_to_string(
        "evaluations/report.html",
        {
            "document": document,
            "rankers": {name: described.get(name, "") for name in reading.rankers},
            "notes": document["summary"].get("notes", []),
            "headline": headline(document),
            "settings": {
                name.replace("_", " "): in_words(value)
                for part in ("learned", "parameters")
                for name, value in document["summary"].get(part, {}).items()
            },
            "tables": tables(document),
            "plots": list(plots(document)),
            "meanings": {
                name: text
                for name, text in MEANINGS.items()
                if any(reading.figure(OURS, name, k) for k in (0, *reading.ks))
            },
        },
    )


def headline(document: Mapping[str, Any]) -> str:
    """How it was divided, and how much there was."""
    version = f", asked of v{document['version']}" if document.get("version") else ""
    return (
        f"learned from what was known on {str(document['moment'])[:16].replace('T', ' ')} UTC, tested on what came "
        f"after it: {document['n_buyers']:,} buyers, {document['n_events']:,} events, "
        f"{document['n_candidates']:,} candidates{version}"
    )


def in_words(value: Any) -> str:
    """A setting as text: ``a 1, b 2`` for a mapping, several of them divided by semicolons."""
    if isinstance(value, Mapping):
        inner = "; " if any(isinstance(one, Mapping) for one in value.values()) else ", "
        return inner.join(f"{name.replace('_', ' ')} {in_words(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ("; " if any(isinstance(one, Mapping) for one in value) else ", ").join(map(in_words, value))
    return "none" if value is None else str(value)


def text_report(document: Mapping[str, Any]) -> Iterator[str]:
    """The tables as lines, for a terminal."""
    yield f"{document['source']}: {headline(document)}"
    yield from (f"* {note}" for note in document["summary"].get("notes", []))
    for table in tables(document):
        yield ""
        yield table.caption
        yield from aligned([table.headers, *table.rows])
    if calibration := document["summary"].get("calibration"):
        error, n_choices = calibration["error"], calibration["n_choices"]
        yield ""
        yield f"calibration error {error:.4f} over {n_choices:,} choices among {calibration['alternatives']}"


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(
            value.ljust(width) if not column else value.rjust(width)
            for column, (value, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
