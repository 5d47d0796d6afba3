"""What other rooms may listen to. Declared apart, so that who sends and who listens need not know each other."""

from django.dispatch import Signal

events_recorded = (
    Signal()
)  # buyer_ids: buyers whose log has grown, or whose answers have changed; inside the transaction
ranker_promoted = Signal()  # version_id: of the version that is live from now on; inside the transaction
