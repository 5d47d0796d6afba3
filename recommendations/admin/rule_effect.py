"""The effect of a merchandising rule: buyers with it beside those held out of it."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import reverse

from console.formats import NONE, badge
from recommendations.admin.pages import RowsPage
from recommendations.insight.rule_effects import LOOKBACK_DAYS, OUTCOME_DAYS, Arm, Difference, effect_of
from recommendations.metrics.experiments import RATIO_ALPHA
from recommendations.models import MerchandisingRule, ServedList

VERDICTS = {"more": ("More", "success"), "less": ("Less", "danger"), "open": ("Open", ""), "unknown": ("Too early", "")}


class RuleEffectPage(RowsPage):
    """``/admin/recommendations/merchandisingrule/<id>/effect/``."""

    template_name = "console/rule_effect.html"
    shows = (MerchandisingRule, ServedList)

    @property
    def title(self) -> str:  # type: ignore[override]
        return f"Effect of “{self.rule}”"

    @property
    def rule(self) -> MerchandisingRule:
        if not hasattr(self, "_rule"):
            self._rule = get_object_or_404(MerchandisingRule, pk=self.kwargs["rule_id"])
        return self._rule

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        effect = effect_of(self.rule)
        return super().get_context_data(
            **kwargs,
            rule=self.rule,
            effect=effect,
            arms=[shown("With the rule", effect.with_it), shown("Held out", effect.without)],
            differences=[difference_shown(one) for one in effect.differences],
            is_ratio_wrong=effect.ratio_p < RATIO_ALPHA,
            lookback_days=LOOKBACK_DAYS,
            outcome_days=OUTCOME_DAYS,
            back=reverse("admin:recommendations_merchandisingrule_change", args=[self.rule.pk]),
        )


def shown(name: str, arm: Arm) -> tuple[str, ...]:
    """A row of the table: its cars are those that the rule is about."""
    of_shown = f" ({arm.own_clicks / arm.shown:.1%})" if arm.shown else ""
    led = f" ({arm.own_contacts / arm.shown:.2%})" if arm.shown else ""
    counts = (f"{n:,}" for n in (arm.n_entered, arm.n_buyers, arm.n_lists, arm.shown))
    return name, *counts, f"{arm.own_clicks:,}{of_shown}", f"{arm.own_contacts:,}{led}"


def difference_shown(one: Difference) -> dict[str, Any]:
    low, high = one.low, one.high
    return {
        "outcome": f"{one.outcome.capitalize()} per buyer, all cars of the lists",
        "with_it": f"{one.with_it:.3f}",
        "without": f"{one.without:.3f}",
        "interval": NONE if low is None or high is None else f"{low:+.3f} to {high:+.3f}",
        "verdict": badge(*VERDICTS[one.verdict]),
    }
