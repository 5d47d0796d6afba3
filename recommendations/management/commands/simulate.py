"""``manage.py simulate``: what recommenders make of buyers whose taste is known, when they decide what these see."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from recommendations.evaluation.plots import Line, line_chart
from recommendations.simulation.closed_loop import LoopConfig
from recommendations.simulation.loop_study import ALL_BUYERS, LIKED, SERVED, Figure, Study, StudyConfig, run_study

EVENTS = (0, 1, 5, 20)


class Command(BaseCommand):
    help = (
        "Let recommenders and made-up buyers act on each other, and hold every list against the best one possible. The "
        "site as it serves, trained on the log of other buyers, beside the average of what was opened, one logit per "
        "buyer, popularity and chance. Reads and writes no database."
    )
    requires_system_checks: list[str] = []  # nothing of the site is used

    def add_arguments(self, parser: CommandParser) -> None:
        usual = StudyConfig()
        add = parser.add_argument
        add("--listings", type=int, default=usual.n_listings, metavar="N", help="cars in each market (%(default)s)")
        add("--buyers", type=int, default=usual.n_buyers, metavar="N", help="new buyers in each (%(default)s)")
        add("--others", type=int, default=usual.n_others, metavar="N",
            help="buyers whose log is learned from before (%(default)s)")  # fmt: skip
        add("--rounds", type=int, default=usual.loop.n_rounds, metavar="N", help="lists per buyer (%(default)s)")
        add("--search-share", type=float, default=usual.loop.search_share, metavar="SHARE",
            help="of the lists that are asked for (a quarter)")  # fmt: skip
        add("--seeds", type=int, nargs="+", default=usual.seeds, metavar="S", help="a market each (1 2 3)")
        add("--json", type=Path, metavar="FILE", help="write all figures")
        add("--svg", type=Path, metavar="FILE", help="draw shares over events, and beside it FILE-regret.svg")
        add("--quiet", action="store_true", help="no progress bar")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            config = config_of(options)
        except ValueError as problem:
            raise CommandError(str(problem)) from problem
        for path in filter(None, (options["json"], options["svg"])):
            if not path.parent.is_dir():  # better said now than in some minutes
                raise CommandError(f"{path.parent} is no folder to write {path.name} into")
        with tqdm(total=1.0, disable=options["quiet"] or None, file=sys.stderr,
                  bar_format="{percentage:3.0f}% |{bar:30}| {elapsed} {desc}") as bar:  # fmt: skip

            def report(fraction: float, step: str) -> None:
                bar.set_description_str(step, refresh=False)
                bar.update(fraction - bar.n)

            study = run_study(config, report)
        self.write_files(study, options)
        self.stdout.write("\n".join(table(study)))

    def write_files(self, study: Study, options: dict[str, Any]) -> None:
        files = {}
        if options["json"]:
            files[options["json"]] = json.dumps(as_json(study), indent=1)
        if options["svg"]:
            files[options["svg"]] = chart(study, regret=False)
            files[options["svg"].with_stem(options["svg"].stem + "-regret")] = chart(study, regret=True)
        for path, content in files.items():
            try:
                path.write_text(content, encoding="utf-8")
            except OSError as problem:
                raise CommandError(f"cannot write {path}: {problem.strerror}") from problem


def config_of(options: dict[str, Any]) -> StudyConfig:
    """The study that is asked for; reported after the usual numbers of events, and at the end of the loop."""
    loop = LoopConfig(n_rounds=options["rounds"], search_share=options["search_share"])
    events = sorted({n_events for n_events in (*EVENTS, loop.n_rounds - 1) if n_events < loop.n_rounds})
    return replace(
        StudyConfig(),
        n_listings=options["listings"],
        n_buyers=options["buyers"],
        n_others=options["others"],
        seeds=tuple(options["seeds"]),
        loop=loop,
        events=tuple(events),
    )


def table(study: Study) -> Iterator[str]:
    """Figures for a console: everybody by recommender, then ours by type of buyer."""
    config = study.config
    n_buyers = len(study.segments[ALL_BUYERS])
    yield f"{n_buyers} buyers in {len(config.seeds)} markets of {config.n_listings:,} cars, lists of {config.loop.k}"
    yield "share of the oracle's utility (0 is chance) after so many events, and regret over all rounds"
    yield ""
    yield f"{'':<26}" + "".join(f"{n_events:>22}" for n_events in config.events) + f"{'regret':>20}"
    for name in study.reports:
        shares = "".join(f"{formatted(study.share_after(name, n_events)):>22}" for n_events in config.events)
        yield f"{name:<26}{shares}{formatted(study.regret(name), 1):>20}"
    yield ""
    last = config.events[-1]
    lead = study.lead_after(SERVED, LIKED, last)
    yield f"{SERVED} over {LIKED} after {last} events: {lead.mean:+.3f} ({lead.low:+.3f} to {lead.high:+.3f})"
    yield ""
    yield f"{SERVED}, by buyers"
    for segment, members in study.segments.items():
        shares = "".join(f"{formatted(study.share_after(SERVED, n_events, segment)):>22}" for n_events in config.events)
        yield f"{segment:<21}{int(members.sum()):>5}{shares}{formatted(study.regret(SERVED, segment), 1):>20}"


def formatted(figure: Figure, digits: int = 3) -> str:
    return f"{figure.mean:.{digits}f} ({figure.low:.{digits}f}-{figure.high:.{digits}f})"


def as_json(study: Study) -> dict[str, Any]:
    config = study.config
    return {
        "config": asdict(config),
        "n_buyers": {segment: int(members.sum()) for segment, members in study.segments.items()},
        "position_biases": list(study.position_biases),
        "recommenders": {
            name: {
                "share_after": [asdict(figure) for figure in study.shares(name)],
                "cumulative_regret": [asdict(figure) for figure in study.regrets(name)],
                "segments": {
                    segment: {
                        "share_after": {n: asdict(study.share_after(name, n, segment)) for n in config.events},
                        "regret": asdict(study.regret(name, segment)),
                    }
                    for segment in study.segments
                },
            }
            for name in study.reports
        },
    }


def chart(study: Study, *, regret: bool) -> str:
    """Share over events, or regret over rounds, of every recommender, as SVG."""
    lines = []
    for name in study.reports:
        figures = study.regrets(name) if regret else study.shares(name)
        values, low, high = zip(*((figure.mean, figure.low, figure.high) for figure in figures), strict=True)
        lines.append(Line(name, values, low, high, is_ours=name == SERVED))
    if regret:
        return line_chart("Regret summed up over rounds", lines, "round", "utility missed, per place, in logits")
    return line_chart("Share of the oracle's utility", lines, "events of a buyer", "share of the oracle's utility")
