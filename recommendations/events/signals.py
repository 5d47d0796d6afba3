"""Signals for other packages, in a module of their own, so that senders and receivers need not import each other."""

from django.dispatch import Signal

# buyer_ids: buyers whose log has grown, or whose answers have changed; inside the transaction
events_recorded = Signal()
# version_id: of the version that is live from now on; inside the transaction
ranker_promoted = Signal()
