"""The gate's verdict as an operator sees it: each comparison with its interval and the loss it allows, and figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString

from console.charts import Bar, bar_chart
from console.formats import NONE, table


class Held(NamedTuple):
    """A comparison of the gate, by the names of its figures: the other version's, and the difference from it."""

    label: str
    other: str
    difference: str
    low: str
    high: str
    margin: str

    def bar(self, figures: Mapping[str, float]) -> Bar | None:
        """The difference in percent of the other version's figure; None where it is missing or 0."""
        if not all(figures.get(name) is not None for name in self[1:]) or figures[self.other] <= 0:
            return None
        percent = 100.0 / figures[self.other]
        value, low, high, margin = (figures[name] * percent for name in self[2:])
        return Bar(self.label, value, low, high, limit=-margin)


COMPARISONS = (
    Held("NDCG, live", "ndcg_live", "difference", "low", "high", "margin"),
    Held("NDCG, reference", "ndcg_reference", "reference_difference", "reference_low", "reference_high",
         "reference_margin"),
    Held("Pairs, live", "pairs_live", "pairs_difference", "pairs_low", "pairs_high", "pairs_margin"),
    Held("Pairs, reference", "pairs_reference", "pairs_reference_difference", "pairs_reference_low",
         "pairs_reference_high", "pairs_reference_margin"),
)  # fmt: skip


def verdict_drawn(figures: Mapping[str, float], name: str, live_name: str = "Live then") -> SafeString:
    """Differences in percent with their intervals, and the version's figures beside those it was held against.

    Args:
        figures: ``RankerVersion.gate["figures"]``, also as earlier releases stored them: what is not there is left out.
        name: Of the new version; ``live_name``: of what was live.
    """
    bars = [bar for each in COMPARISONS if (bar := each.bar(figures))]
    chart = bar_chart("Difference from each version it was held against, and the limit of each", bars, unit=" %")
    rows = [
        [
            f"NDCG@{figures.get('k', 20):.0f}",
            *written(figures, "ndcg_new", "ndcg_live", "ndcg_reference", form="{:.3f}"),
        ],
        ["Pairs won", *written(figures, "pairs_new", "pairs_live", "pairs_reference", form="{:.3f}")],
        ["Share of the stock shown", *written(figures, "coverage_new", "coverage_live", "", form="{:.1%}")],
    ]
    caption = (
        f"Over {figures.get('n_buyers', 0):,.0f} buyers. Bars: how much more or less than each, in percent, with 95% "
        "intervals. It passes where no interval reaches below the mark, which is the loss that is tolerated."
    )
    return format_html("{}{}", chart, table(["", name, live_name, "Reference"], rows, caption=caption))


def written(figures: Mapping[str, float], *names: str, form: str) -> list[str]:
    return [form.format(figures[name]) if figures.get(name) is not None else NONE for name in names]
