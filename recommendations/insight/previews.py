"""Lists of real buyers under two setups, for an operator to compare before saving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from django.db.models import Q

from accounts.models import Buyer
from recommendations.insight.reverse_match import active_buyers
from recommendations.insight.what_if import Answer, WhatIf, answer, market_statistics_of
from recommendations.merchandising.rules import Rule
from recommendations.models import EventKind
from recommendations.serving.rules import Rules

DRAWN_FROM = 300  # buyers who were active last
POSITIONS_SHOWN = 20


@dataclass(frozen=True)
class ListSetup:
    """A placement's rules, with event kinds and merchandising rules that replace the stored ones; None for the
    stored ones."""

    kinds: Mapping[str, EventKind] | None
    rules: Rules
    merchandising: tuple[Rule, ...] | None = None

    def question(self, buyer: Buyer) -> WhatIf:
        k = min(self.rules.placement.k, POSITIONS_SHOWN)
        return WhatIf(
            buyer=buyer,
            k=k,
            placement=self.rules.placement.slug,
            kinds=self.kinds,
            rules=self.rules,
            merchandising=self.merchandising,
        )


@dataclass(frozen=True, eq=False)
class Preview:
    """One buyer's list under both setups."""

    buyer: Buyer
    before: Answer
    after: Answer


def previews_of(buyers: Sequence[Buyer], before: ListSetup, after: ListSetup) -> list[Preview]:
    """Make both lists of each buyer; the market statistics are read once for each setup. Raises RankerRefused
    without a live version."""
    made = []
    statistics_by_setup = (
        [market_statistics_of(setup.question(buyers[0])) for setup in (before, after)] if buyers else []
    )
    for buyer in buyers:
        setups = zip((before, after), statistics_by_setup, strict=True)
        was, is_now = (
            answer(replace(setup.question(buyer), market_statistics=market_statistics))
            for setup, market_statistics in setups
        )
        made.append(Preview(buyer, was, is_now))
    return made


def drawn_buyers(n: int, seed: int) -> list[Buyer]:
    """Draw ``n`` of the buyers who were active last; the same for the same seed as long as no other buyer is active."""
    known = sorted(active_buyers(DRAWN_FROM))
    drawn = np.random.default_rng(seed).permutation(known)[:n].tolist()
    buyers = Buyer.objects.select_related("user").in_bulk(drawn)
    return [buyers[key] for key in drawn if key in buyers]


def buyer_named(name: str) -> Buyer | None:
    """Return the buyer with an id, an email or an external id."""
    found = Q(user__email__iexact=name) | Q(external_id=name)
    if name.isdecimal() and len(name) < 19:
        found |= Q(pk=int(name))
    return Buyer.objects.select_related("user").filter(found).order_by("pk").first()
