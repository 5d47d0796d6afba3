"""Interleave the lists of two variants of an experiment; each car counts for the variant that chose it.

Team draft (Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", 2008): in each round
a coin decides which variant goes first, and each adds its best car that is not in the list yet. So both variants are
equally likely at each position, and two equal rankers get equally many clicks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

TEAMS = ("a", "b")  # letters of ``ServedList.teams``: the control, the other
NEITHER = "-"


def team_draft(
    lists: tuple[Sequence[str], Sequence[str]],
    k: int,
    coin: Callable[[int], bool],
    may_stand: Callable[[int, int], bool] = lambda team, at: True,
    taken: Sequence[str] = (),
) -> list[tuple[int, int]]:
    """Return for each position the list it comes from and the index in that list: (0 or 1, from 0), at most ``k``.

    Args:
        lists: Keys of the cars of the control and of the other variant, best first.
        k: Length of the result.
        coin: Whether the other variant goes first in a round.
        may_stand: Whether the car at (list, index) may be added to those chosen before.
        taken: Keys of cars that are in the list already.
    """
    chosen: list[tuple[int, int]] = []
    seen, starts = set(taken), [0, 0]

    def choose(team: int) -> None:
        cars = lists[team]
        while starts[team] < len(cars) and len(chosen) < k:
            at, starts[team] = starts[team], starts[team] + 1
            if cars[at] not in seen and may_stand(team, at):
                seen.add(cars[at])
                chosen.append((team, at))
                return

    n_rounds = 0
    while len(chosen) < k and any(start < len(cars) for start, cars in zip(starts, lists, strict=True)):
        first = int(coin(n_rounds))
        choose(first)
        choose(1 - first)
        n_rounds += 1
    return chosen
