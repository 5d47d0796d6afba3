"""How much of a planted truth the served lists recover, through the whole product: log, preference, list.

    python -m benchmarks.recovery [--buyers 100] [--events 0 1 5 20]

Run it on a seeded and trained site. Each tested buyer is a made-up one of ``seed_data``. A probe, a new buyer, gets
a copy of the newest events, and is served a list of 20 by ``serving.recommend``, as any buyer is. The figure is the
share of the utility of an oracle's 20 cars; a random list scores 0. Nothing is kept: every probe lives in a transaction
that is rolled back.
"""

import argparse
import os

import numpy as np

from recommender_site.local import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
os.environ["SERVED_LIST_THREAD"] = "False"
embedded.ensure()

import django  # noqa: E402

django.setup()

from django.db import transaction  # noqa: E402

from accounts.models import Buyer  # noqa: E402
from catalog.models import Listing  # noqa: E402
from recommendations.engine.arrays import Ids, Rows  # noqa: E402
from recommendations.listings.index import borrow_index  # noqa: E402
from recommendations.listings.market_statistics import current_market_statistics  # noqa: E402
from recommendations.listings.rows import read_listings  # noqa: E402
from recommendations.models import Interaction, SimulatedTaste  # noqa: E402
from recommendations.serving.lists import ListRequest, recommend  # noqa: E402
from recommendations.simulation.true_taste import CodedTable, TrueTaste, oracle_share, utility  # noqa: E402

K = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--buyers", type=int, default=100)
    parser.add_argument("--events", type=int, nargs="+", default=[0, 1, 5, 20])
    arguments = parser.parse_args()

    live = read_listings(Listing.objects.available())
    coded = CodedTable(live.table)
    demand = current_market_statistics().demand
    popular = np.argsort([-demand.get(key, 0.0) for key in live.listing_ids.tolist()], kind="stable")[:K]
    tastes = SimulatedTaste.objects.select_related("buyer").order_by("buyer_id")
    print("events   served  average of chosen  popularity  (share of an oracle's utility, mean over buyers)")
    for n_events in arguments.events:
        shares: dict[str, list[float]] = {"served": [], "average": [], "popular": []}
        for truth in tastes[: arguments.buyers]:
            worth = utility(TrueTaste.from_json(truth.parameters), coded)
            history = list(truth.buyer.interactions.order_by("-occurred_at", "-id")[:n_events])
            shares["served"].append(oracle_share(worth, rows_of(live.listing_ids, served_to_probe(history)), K))
            shares["popular"].append(oracle_share(worth, popular, K))
            if (average := nearest_to_average(history, live.listing_ids)) is not None:
                shares["average"].append(oracle_share(worth, rows_of(live.listing_ids, average), K))
        means = {name: np.mean(values) if values else np.nan for name, values in shares.items()}
        print(f"{n_events:>6}  {means['served']:>7.3f}  {means['average']:>17.3f}  {means['popular']:>10.3f}")


def served_to_probe(history: list[Interaction]) -> list[int]:
    """Ids of the list a new buyer with this history is served."""
    with transaction.atomic():
        probe = Buyer.objects.create(external_id="probe")
        copies = [
            Interaction(
                event_id=f"probe-{event.pk}", buyer=probe, kind_id=event.kind_id, listing_id=event.listing_id,
                query=event.query, occurred_at=event.occurred_at, served_list_id=event.served_list_id,
                position=event.position,
            )
            for event in reversed(history)
        ]  # fmt: skip
        Interaction.objects.bulk_create(copies)
        ids = [item.listing.pk for item in recommend(ListRequest(buyer=probe, k=K)).items]
        transaction.set_rollback(True)
    return ids


def nearest_to_average(history: list[Interaction], live_ids: Ids) -> list[int] | None:
    """What the usual recommender would show: the live cars nearest, by cosine, to the mean of the cars chosen."""
    chosen = [event.listing_id for event in history if event.listing_id and event.kind_id not in ("dislike", "hide")]
    with borrow_index() as listing_index:
        assert listing_index is not None  # a version is live
        vectors, known = listing_index.vectors_of(chosen)
        if not known.any():
            return None
        stock, _ = listing_index.vectors_of(live_ids)
    cosine = stock @ vectors[known].mean(axis=0) / np.maximum(np.linalg.norm(stock, axis=1), 1e-9)
    nearest: list[int] = live_ids[np.argsort(-cosine, kind="stable")[:K]].tolist()
    return nearest


def rows_of(sorted_ids: Ids, listing_ids: list[int]) -> Rows:
    return np.searchsorted(sorted_ids, listing_ids)


if __name__ == "__main__":
    main()
