import numpy as np
import pytest
from scipy.stats import chi2

from recommendations.engine.draws import hashed
from recommendations.engine.stock import FOREVER, Stock


def stock_of(n: int, ended_at: float = FOREVER) -> Stock:
    """Listings 1 to n, on sale from time 0."""
    ids = np.arange(1, n + 1)
    return Stock(ids, np.zeros((n, 2), np.float32), np.zeros(n), np.full(n, ended_at))


def sample_live(stock: Stock, moment: float, n: int, seed: int) -> np.ndarray:
    """One sample, without the places that could not be filled."""
    rows = stock.samples_live(np.array([moment]), n, np.array([seed]))[0]
    return rows[rows >= 0]


def test_a_sample_holds_each_listing_at_most_once_and_only_live_ones():
    stock = stock_of(1000)
    stock.ended_at[::2] = 50.0  # every odd id has ended by then
    rows = sample_live(stock, moment=60.0, n=40, seed=7)
    assert len(set(rows.tolist())) == 40
    assert (stock.listing_ids[rows] % 2 == 0).all()


def test_a_sample_depends_on_the_seed_and_not_on_the_order_of_the_rows():
    stock = stock_of(500)
    columns = (stock.listing_ids, stock.vectors, stock.published_at, stock.ended_at)
    shuffled = Stock(*(column[::-1] for column in columns))
    once, again = sample_live(stock, 1.0, 20, seed=3), sample_live(shuffled, 1.0, 20, seed=3)
    assert stock.listing_ids[once].tolist() == shuffled.listing_ids[again].tolist()
    other = sample_live(stock, 1.0, 20, seed=4)
    assert stock.listing_ids[once].tolist() != stock.listing_ids[other].tolist()


def test_a_new_listing_leaves_most_old_draws_alone():
    before = set(sample_live(stock_of(600), 1.0, 30, seed=5).tolist())
    after = set(sample_live(stock_of(601), 1.0, 30, seed=5).tolist())
    assert len(before & after) >= 29


def test_draws_are_about_even_over_the_stock():
    stock = stock_of(300)
    drawn = np.concatenate([sample_live(stock, 1.0, 10, seed) for seed in range(3000)])
    counts = np.bincount(drawn, minlength=300)  # 100 expected each, standard deviation 10
    assert counts.min() > 50
    assert counts.max() < 150


@pytest.mark.parametrize("n_listings", [0, 1, 3, 41])
def test_a_small_stock_gives_what_it_has(n_listings):
    assert len(sample_live(stock_of(n_listings), 1.0, 40, seed=1)) == min(n_listings, 40)


def test_a_stock_that_is_nearly_all_gone_is_searched_through():
    stock = stock_of(5000, ended_at=10.0)
    stock.ended_at[17] = FOREVER
    assert sample_live(stock, 20.0, 40, seed=1).tolist() == [17]


def test_rows_are_found_by_id_and_unknown_ids_are_minus_one():
    stock = Stock(np.array([30, 10, 20]), np.zeros((3, 2), np.float32), np.zeros(3), np.zeros(3))
    assert stock.rows_of(np.array([10, 20, 30, 40, 5])).tolist() == [1, 2, 0, -1, -1]
    assert stock_of(0).rows_of(np.array([1])).tolist() == [-1]


def test_many_samples_are_those_drawn_one_by_one():
    rng = np.random.default_rng(1)
    stock = stock_of(5000)
    stock.published_at[:], stock.ended_at[:] = rng.uniform(0, 50, 5000), rng.uniform(0, 60, 5000)  # a sixth live, late
    moments, seeds = rng.uniform(0, 60, 300), rng.integers(1, 10**12, 300)
    many = stock.samples_live(moments, 20, seeds)
    for rows, moment, seed in zip(many, moments, seeds, strict=True):
        live = [row for row in draws_in_order(stock, int(seed), 96 * 20) if stock.was_live(row, moment)]
        if len(live) >= 20:  # else the stock was searched through
            assert rows.tolist() == live[:20]
        assert sample_live(stock, float(moment), 20, int(seed)).tolist() == rows[rows >= 0].tolist()


def draws_in_order(stock: Stock, seed: int, n_draws: int) -> list[int]:
    """The slow obvious version: each drawn id, or the next that exists, once."""
    rows: dict[int, None] = {}
    for number in range(n_draws):
        drawn = int(hashed(np.array([number]), seed)[0]) % 8192  # the power of two above the highest id
        if 0 < drawn <= 5000:
            rows[drawn - 1] = None
    return list(rows)


def test_every_row_is_as_likely_as_any_other_however_the_ids_lie_and_whatever_has_ended():
    """Chi-square over stocks with gaps, an undone import in between, and old cars among new ones."""
    rng = np.random.default_rng(0)
    for ids in (np.arange(1, 301), np.r_[1:101, 5_101:5_301], rng.choice(np.arange(1, 3_000), 300, replace=False)):
        is_old = rng.random(300) < 0.3
        stock = Stock(
            listing_ids=ids.astype(np.int64),
            vectors=np.zeros((300, 1), np.float32),
            published_at=np.where(is_old, -1e9, 0.0),
            ended_at=np.where(rng.random(300) < 0.4, 0.5, FOREVER),
        )
        live = np.flatnonzero(stock.ended_at > 1.0)
        drawn = stock.samples_live(np.full(6_000, 1.0), 5, np.arange(6_000))
        counts = np.bincount(drawn.ravel(), minlength=300)
        assert counts[stock.ended_at <= 1.0].sum() == 0
        expected = drawn.size / len(live)
        # draws without replacement vary a little less than a multinomial, so the bound errs on the safe side
        assert ((counts[live] - expected) ** 2 / expected).sum() < chi2.ppf(0.9999, len(live) - 1)
