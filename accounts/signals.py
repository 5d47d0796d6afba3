"""Signals about people for other apps; they listen, so that this app need not import them."""

from django.dispatch import Signal

# Sent with ``guest`` and ``into`` (both Buyer) inside the transaction that folds a guest into another buyer. An app
# that keeps rows of buyers moves the guest's now: what raises here undoes the whole merge.
buyers_merged = Signal()

# Sent with ``buyer`` inside the transaction that erases a person, before the rows go. Rows that hang on the buyer go by
# themselves; an app that keeps anything else of the person removes it now.
person_erased = Signal()

# Sent with ``buyers`` (a person, and the guests the person has been). Each receiver answers a dictionary: what it knows
# of them, by name, as plain values that JSON can hold.
person_exported = Signal()
