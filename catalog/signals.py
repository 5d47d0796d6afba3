"""What the catalogue tells whoever listens; single saves send Django's own signals."""

from django.dispatch import Signal

# Listings written in bulk, after their transaction was committed. Arguments: listing_ids, a list of database keys.
listings_stored = Signal()
