"""Candidates of several sources become one pool, in which every source has the share it was given.

*Calibrated* means two things here. What a source brings is decided by its share alone, not by how loudly it praises
its own: sources score by rules that cannot be compared, so their scores are left behind. And what becomes of a
candidate is decided afterwards by one score for all, in logits, in which the source plays no part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recommendations.engine.arrays import Integers


def merge(proposals: Sequence[Sequence[int] | Integers], shares: Sequence[float], n: int) -> list[tuple[int, int]]:
    """The first ``n`` of a merged list, each as the item and the position of the source that it counts for.

    Place by place, the source goes next whose share is furthest ahead of what it has placed: the largest
    ``share / (2 * placed + 1)``. So any beginning of the list is divided nearly by the shares, and a source that runs
    out leaves its places to the others, in proportion. An item that several propose counts for the one whose turn
    comes first; the others go on to their next.

    Args:
        proposals: Items of each source, the most promising first; a source may repeat itself.
        shares: One for each source, >= 0; they need not add up to one. A source with 0 brings nothing.
        n: Length wanted; shorter when the sources have no more to say.

    Raises:
        ValueError: If there is not one share for each source, or one is negative.

    Source: highest averages with the divisors of Webster (1832), the rule that favours neither large nor small shares;
    ties go to the earlier source.
    """
    if len(proposals) != len(shares) or any(not share >= 0 for share in shares):
        raise ValueError(f"{len(proposals)} sources need as many shares of at least 0, not {list(shares)}")
    taken: set[int] = set()
    waiting = {source: _new_items(proposals[source], taken) for source, share in enumerate(shares) if share > 0}
    placed = dict.fromkeys(waiting, 0)
    ahead = {source: (shares[source], -source) for source in waiting}  # the largest goes next
    merged: list[tuple[int, int]] = []
    while waiting and len(merged) < n:
        source = max(ahead, key=ahead.__getitem__)
        item = next(waiting[source], None)
        if item is None:
            del waiting[source], ahead[source]
            continue
        taken.add(item)
        placed[source] += 1
        ahead[source] = shares[source] / (2 * placed[source] + 1), -source
        merged.append((item, source))
    return merged


def _new_items(items: Sequence[int] | Integers, taken: set[int]) -> Iterator[int]:
    """Items that are not taken by the time they are asked for."""
    return (item for item in map(int, items) if item not in taken)
