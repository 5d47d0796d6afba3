import gc
import weakref
from dataclasses import replace

import numpy as np

from catalog.models import Listing
from recommendations.listings.index import borrow_index
from recommendations.listings.rows import table_of
from recommendations.serving.encodings import encodings_of


def test_what_is_kept_of_a_car_is_what_the_ranker_makes_of_its_row_as_it_is(market_of_module):
    with borrow_index() as listing_index:
        ranker = listing_index.ranker
    listings = list(Listing.objects.order_by("pk").with_card_data()[:8])
    encodings_of(listings[:5], ranker)  # some are known, and some are not
    changed = Listing.objects.with_card_data().get(pk=listings[0].pk)
    changed.price = 2 * changed.price
    asked = [listings[6], changed, *listings[1:6]]
    found, table = encodings_of(asked, ranker), table_of(asked)
    np.testing.assert_array_equal(found.encoded.vectors, ranker.vectors(table))
    np.testing.assert_array_equal(found.encoded.archetypes, ranker.collaborative.archetypes.assign(table))
    np.testing.assert_allclose(found.deals, ranker.prices.deals(table), rtol=1e-12)
    np.testing.assert_array_equal(found.encoded.mixture.toarray(), ranker.encoder.mixture(table).toarray())
    weights = np.linspace(-1, 1, ranker.n_dims)
    of_kept, anew = ranker.breakdown_of(weights, found.encoded), ranker.breakdown(weights, table)
    assert of_kept.names == anew.names
    np.testing.assert_allclose(of_kept.values, anew.values, rtol=1e-12, atol=1e-15)
    prices = ranker.prices.appraise(table)
    assert [price and price.label for price in found.market_prices] == [price and price.label for price in prices]


def test_a_ranker_that_was_replaced_is_not_held_by_what_is_kept_of_cars(market_of_module):
    with borrow_index() as listing_index:
        other = replace(listing_index.ranker)
    listings = list(Listing.objects.order_by("pk").with_card_data()[:3])
    encodings_of(listings, other)
    held = weakref.ref(other)
    del other
    gc.collect()
    assert held() is None
