"""Merge the candidates of several sources into one pool, in which each source has its share.

A source's scores are not compared with those of other sources, because sources score by different rules: only its share
decides how many candidates it brings. One score for all, in logits, then decides their positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recommendations.engine.arrays import Integers


def merge(proposals: Sequence[Sequence[int] | Integers], shares: Sequence[float], n: int) -> list[tuple[int, int]]:
    """Return the first ``n`` items of the merged list, each with the position of the source that it counts for.

    The next item comes from the source with the largest ``share / (2 * placed + 1)``. So every prefix of the list is
    divided by the shares as nearly as possible, and the others take over from a source that runs out, in proportion. An
    item that several sources propose counts for the one whose turn comes first.

    Args:
        proposals: Items of each source, the most promising first; a source may repeat itself.
        shares: One for each source, >= 0; they need not add up to one. A source with 0 brings nothing.
        n: Length of the list; it is shorter when the sources have no more items.

    Raises:
        ValueError: If there is not one share for each source, or one is negative.

    Source: highest averages with the divisors of Webster (1832), which favour neither large nor small shares; ties go
    to the earlier source.
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
    """Yield the items that are not taken at the time of the request."""
    return (item for item in map(int, items) if item not in taken)
