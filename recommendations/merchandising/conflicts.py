"""Conflicts between a rule and other active ones, and which of them takes precedence: in the order of ``plan``.

They are shown before a rule is saved and on its page. Dates, hours and holdouts are ignored: rules that may apply
together are reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import expm1

from catalog.models import Listing
from recommendations.merchandising.rules import Action, Audience, Rule

MOVES = (Action.BOOST, Action.BURY)
COUNTED_TO = 1_000  # cars in common; more are said to be as many


def conflicts_of(rule: Rule, others: Sequence[Rule]) -> list[str]:
    """Return a sentence for each rule that it conflicts with, in the order of the rules; empty where there is none.

    Args:
        rule: The rule to check; it need not be stored.
        others: The active rules; the rule itself among them is left out.
    """
    met = [
        other for other in sorted(others, key=lambda one: one.order) if other.id != rule.id and may_meet(rule, other)
    ]
    ranks = ranks_of([rule, *met])
    return [sentence for other in met for sentence in meeting(rule, other, ranks)]


def may_meet(rule: Rule, other: Rule) -> bool:
    """Whether both may apply to one list: of one placement, for one buyer."""
    shares_place = not rule.placements or not other.placements or bool({*rule.placements} & {*other.placements})
    return shares_place and {rule.audience, other.audience} != {Audience.COLD, Audience.INTERESTED}


def ranks_of(rules: Sequence[Rule]) -> dict[int, list[int]]:
    """Return by id of each pin the ranks it gets if every pin has cars: its own, or the next free ones."""
    taken: set[int] = set()
    found = {}
    for pin in sorted((rule for rule in rules if rule.action == Action.PIN), key=lambda rule: rule.order):
        wanted = range(pin.position, pin.position + pin.n_pinned + len(taken))
        found[pin.id] = [rank for rank in wanted if rank not in taken][: pin.n_pinned]
        taken.update(found[pin.id])
    return found


def meeting(rule: Rule, other: Rule, ranks: dict[int, list[int]]) -> Iterator[str]:
    """Yield what happens where two rules apply to the same cars."""
    if rule.action == other.action == Action.PIN:
        yield from between_pins(rule, other, ranks)
    elif (n := n_in_common(rule, other)) and (sentence := between(rule, other, cars(n))):
        yield sentence


def between(rule: Rule, other: Rule, common: str) -> str:
    """Describe two rules with cars in common, not both of them pins; "" where neither affects the other."""
    by_action = {one.action: one for one in (other, rule)}
    kinds = set(by_action)
    if kinds == {Action.HIDE}:
        return ""
    if Action.HIDE in kinds:
        (shown,) = kinds - {Action.HIDE}
        hiding, done = by_action[Action.HIDE], {"pin": "pinned", "cap": "counted"}.get(shown, "moved")
        return f"“{hiding.name}” hides {common} of “{by_action[shown].name}”: hidden cars are never {done}."
    if kinds == {Action.PIN, Action.CAP}:
        pin, cap = by_action[Action.PIN], by_action[Action.CAP]
        return (
            f"“{pin.name}” pins cars that “{cap.name}” caps at {cap.share:.0%} of a list ({common}): the cap counts "
            "pinned cars and removes none, so fewer others of its cars are listed."
        )
    if kinds <= set(MOVES):
        odds = expm1(rule.logits + other.logits)
        return f"“{other.name}” moves {common} of it, too: together their odds change by {odds:+.0%}."
    if Action.CAP in kinds and kinds & set(MOVES):
        (move,) = kinds - {Action.CAP}
        cap = by_action[Action.CAP]
        return f"“{by_action[move].name}” moves {common} that “{cap.name}” caps: the cap of {cap.share:.0%} holds."
    return ""


def between_pins(rule: Rule, other: Rule, ranks: dict[int, list[int]]) -> Iterator[str]:
    first, second = sorted((rule, other), key=lambda one: one.order)
    wanted = [set(range(pin.position, pin.position + pin.n_pinned)) for pin in (rule, other)]
    why = (
        "of equal priority, the older rule goes first"
        if first.priority == second.priority
        else f"priority {first.priority} goes before {second.priority}"
    )
    if both := sorted(wanted[0] & wanted[1]):
        goes_to = ", ".join(map(str, ranks[second.id]))
        yield (
            f"“{first.name}” and “{second.name}” want rank {both[0]}: “{first.name}” has it ({why}), "
            f"and “{second.name}” goes to rank {goes_to}."
        )
    if set(rule.target.listing_ids) & set(other.target.listing_ids):
        yield f"A car stands in a list once: “{first.name}” pins what “{second.name}” wants, too ({why})."


def n_in_common(rule: Rule, other: Rule) -> int:
    """Count the cars for sale that both apply to, up to ``COUNTED_TO``."""
    both = Listing.objects.available().matching(rule.target).matching(other.target)
    return int(both.order_by()[:COUNTED_TO].count())


def cars(n: int) -> str:
    return "1 car" if n == 1 else f"{n:,} cars" if n < COUNTED_TO else f"{COUNTED_TO:,} cars or more"
