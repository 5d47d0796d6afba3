"""One list out of two: the variants of an experiment take turns, and each car belongs to the one that chose it.

Team draft (Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", 2008): in each
round a coin decides who goes first, and each of the two puts in its best car that is not in the list yet. Whatever the
two lists are, each is as likely to stand at a place as the other, so that two rankers alike are chosen alike.
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
    """Which of the two lists each place is from, and which place it has there: (0 or 1, from 0), at most ``k``.

    Args:
        lists: The cars of the control and of the other, best first, by whatever makes two of them the same.
        k: How many are wanted.
        coin: Whether the other goes first in a round.
        may_stand: Whether a car, as (list, place there), may be added to what was chosen before.
        taken: Cars that are in the list already.
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
