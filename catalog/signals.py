"""Signals of the catalogue; single saves send Django's own signals."""

from django.dispatch import Signal

# Listings written in bulk, after their transaction was committed. Arguments: listing_ids, a list of database keys.
listings_stored = Signal()

# Asked while the quality of the stock is measured, with ``factor``: how many times too high or too low a price is odd.
# A receiver that knows what cars cost answers with the ids of live listings whose price is, in order, or None when it
# cannot say.
odd_prices_asked = Signal()
