"""What must hold of the stored rows after a fault, asked inside the site's own environment.

python -m benchmarks.chaos.truths ACKNOWLEDGED.json      # ids of events; prints one JSON object
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recommender_site.local import embedded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recommender_site.settings")
embedded.ensure()

import django  # noqa: E402

django.setup()

from django.db import transaction  # noqa: E402
from django.db.models import Count  # noqa: E402

from accounts.models import Buyer  # noqa: E402
from recommendations.buyers.preferences import current_preference  # noqa: E402
from recommendations.models import Interaction, Preference  # noqa: E402
from recommendations.upkeep.consistency import check_data  # noqa: E402

TOLERANCE = 1e-3  # of a preference's length: what is stored is float32, and was updated event by event


def lost_and_doubled(acknowledged: Sequence[str]) -> tuple[int, int]:
    """How many acknowledged events are not in the log, and how many are in it more than once."""
    stored = dict(
        Interaction.objects.filter(event_id__in=acknowledged).order_by().values_list("event_id").annotate(n=Count("id"))
    )
    return len(set(acknowledged) - stored.keys()), sum(n > 1 for n in stored.values())


def differing_preferences() -> list[float]:
    """Where a stored preference differs from the one computed anew: their distance as a share of its length."""
    differing = []
    for buyer in Buyer.objects.filter(external_id__startswith="chaos-"):
        known = current_preference(buyer)
        if known is None:
            continue
        with transaction.atomic():
            Preference.objects.filter(buyer=buyer).delete()
            anew = current_preference(buyer)
            transaction.set_rollback(True)
        if anew is None:
            differing.append(1.0)
            continue
        length = float(np.linalg.norm(anew.mean))
        distance = float(np.linalg.norm(np.asarray(known.mean) - np.asarray(anew.mean))) / max(length, 1e-9)
        if distance > TOLERANCE:
            differing.append(distance)
    return differing


def main() -> None:
    acknowledged = json.loads(Path(sys.argv[1]).read_text())
    lost, doubled = lost_and_doubled(acknowledged)
    found = {name: n for name, n in check_data().items() if n}
    print(
        json.dumps(
            {"lost": lost, "doubled": doubled, "preferences that differ": differing_preferences(), "check_data": found}
        )
    )


if __name__ == "__main__":
    main()
