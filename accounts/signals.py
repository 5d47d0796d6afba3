"""What other apps may want to know about people; they listen, so that this app need not know them."""

from django.dispatch import Signal

# Sent with ``guest`` and ``into`` (both Buyer) inside the transaction that folds a guest into another buyer. Whoever
# keeps rows of buyers moves the guest's now: what raises here undoes the whole merge.
buyers_merged = Signal()
