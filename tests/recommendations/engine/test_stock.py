import numpy as np
import pytest
from scipy.stats import chi2

from recommendations.engine.draws import hashed
from recommendations.engine.stock import FOREVER, SETTLED_SECONDS, Stock


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
        # as many draws as there were listings, at most
        n_draws = max((n for n in (4 * 20, 16 * 20, 96 * 20) if n < stock.n_published_by(moment)), default=0)
        live = [row for row in draws_in_order(stock, float(moment), int(seed), n_draws) if stock.was_live(row, moment)]
        if len(live) >= 20:  # else the stock was searched through
            assert rows.tolist() == live[:20]
        assert sample_live(stock, float(moment), 20, int(seed)).tolist() == rows[rows >= 0].tolist()


def draws_in_order(stock: Stock, moment: float, seed: int, n_draws: int) -> list[int]:
    """The slow obvious version: each drawn id that exists, once."""
    had_come = (stock.published_at <= moment) & (stock.ended_at > stock.published_at)
    n_bits = int(stock.listing_ids[had_come].max(initial=0)).bit_length()
    rows: dict[int, None] = {}
    for number in range(n_draws):
        drawn = int(hashed(np.array([number]), seed)[0]) % 2**n_bits
        if 0 < drawn <= len(stock):
            rows[drawn - 1] = None
    return list(rows)


@pytest.mark.parametrize("n_listings", [30, 500, 5_000])  # searched through, a few draws, all draws
@pytest.mark.parametrize("first_new_id", [0, 2**13, 2**20, 2**40])
def test_listings_that_come_later_move_no_sample(n_listings, first_new_id):
    """Nor do those that were sold when they came, whatever their ids, and in whichever order the rows lie."""
    rng = np.random.default_rng(n_listings)
    ids = np.sort(rng.choice(np.arange(1, 2 * n_listings), n_listings, replace=False))
    published = np.sort(rng.uniform(0, 100, n_listings))
    ended = np.where(rng.random(n_listings) < 0.5, published + rng.exponential(40, n_listings), FOREVER)
    moments, seeds = rng.uniform(0, 120, 200), rng.integers(1, 10**12, 200)
    new_ids = max(first_new_id, int(ids[-1])) + np.cumsum(rng.integers(1, 50, 4_000))
    new = rng.uniform(121, 1_000, 4_000)
    came_sold = rng.random(4_000) < 0.3
    new = np.where(came_sold, rng.uniform(0, 100, 4_000), new)
    new_ended = np.where(came_sold, new, FOREVER)
    order = rng.permutation(n_listings + 4_000)
    older = stock_in(ids, published, ended)
    newer = stock_in(*(np.r_[old, more][order] for old, more in ((ids, new_ids), (published, new), (ended, new_ended))))
    assert ids_sampled(newer, moments, seeds) == ids_sampled(older, moments, seeds)
    assert (newer.settled(moments) == older.settled(moments)).all()
    for moment, seed in zip(moments.tolist(), seeds.tolist(), strict=True):
        before, after = older.shuffled_live(moment, seed, 40), newer.shuffled_live(moment, seed, 40)
        assert newer.listing_ids[after].tolist() == older.listing_ids[before].tolist()


def stock_in(ids: np.ndarray, published_at: np.ndarray, ended_at: np.ndarray) -> Stock:
    return Stock(ids.astype(np.int64), np.zeros((len(ids), 2), np.float32), published_at, ended_at)


def ids_sampled(stock: Stock, moments: np.ndarray, seeds: np.ndarray) -> list[list[int]]:
    rows = stock.samples_live(moments, 20, seeds)
    return np.where(rows >= 0, stock.listing_ids[rows], -1).tolist()


def test_what_is_asked_of_a_moment_is_known_by_then():
    """What a long transaction stores, and what a clock stamps that was set back by an hour, comes later."""
    now = 10 * SETTLED_SECONDS
    known = stock_of(100)
    late = stock_in(
        np.arange(1, 151), np.r_[np.zeros(100), np.full(50, now - 3_600)], np.r_[np.full(90, FOREVER), np.full(60, now)]
    )
    late.ended_at[:5] = now - 3_600  # sold an hour ago, by a clock that was set back
    moments, seeds = np.full(50, now), np.arange(50)
    assert ids_sampled(late, late.settled(moments), seeds) == ids_sampled(known, known.settled(moments), seeds)


def test_while_a_small_stock_is_mostly_new_the_moment_itself_is_asked():
    now = 10 * SETTLED_SECONDS
    for n_old, n_new, is_earlier in (
        (2, 0, True),
        (2, 2, True),
        (2, 3, False),
        (999, 2_000, False),
        (1_000, 2_000, True),
    ):
        published_at = np.r_[np.zeros(n_old), np.full(n_new, now)]
        stock = stock_in(np.arange(len(published_at)) + 1, published_at, np.full(len(published_at), FOREVER))
        assert (stock.settled(np.array([now])) < now).all() == is_earlier


def test_after_a_stock_was_replaced_the_moment_itself_is_asked_too():
    """A demo that was taken down before the first feed came leaves nothing to choose from two hours before."""
    now = 10 * SETTLED_SECONDS
    published_at = np.r_[np.zeros(1_200), np.full(5_000, now - 3_600)]
    ended_at = np.r_[np.full(1_200, now - 2 * SETTLED_SECONDS), np.full(5_000, FOREVER)]
    stock = stock_in(np.arange(6_200) + 1, published_at, ended_at)
    moments = np.array([now])
    assert stock.n_live_at(moments).tolist() == [5_000]
    assert (stock.samples_live(stock.settled(moments), 20, np.array([1])) >= 1_200).all()


def test_a_large_sample_in_an_order_of_chance_holds_every_listing_equally_often():
    stock = stock_of(1_000)
    stock.ended_at[::2] = 50.0
    parts = [stock.shuffled_live(60.0, seed, at_least=100) for seed in range(2_000)]
    assert 100 <= np.mean([len(part) for part in parts]) <= 200
    counts, first = (np.bincount(rows, minlength=1_000)[1::2] for rows in
                     (np.concatenate(parts), np.array([part[0] for part in parts])))  # fmt: skip
    assert sum(map(len, parts)) == counts.sum()
    for found in (counts, first):
        assert ((found - found.mean()) ** 2 / found.mean()).sum() < chi2.ppf(0.9999, 499)
    assert sorted(stock.shuffled_live(60.0, 1).tolist()) == list(range(1, 1_000, 2))


@pytest.mark.parametrize("n", [0, 1, 20, 499, 500, 501])
def test_the_first_listings_in_an_order_of_chance_are_those_of_the_whole_order(n):
    stock = stock_of(1_000)
    stock.ended_at[::2] = 50.0
    assert stock.shuffled(stock.live_rows(60.0), 7, n).tolist() == stock.shuffled_live(60.0, 7)[:n].tolist()


@pytest.mark.parametrize("n_rows", [0, 3, 60, 500, 1_000])
@pytest.mark.parametrize("at_least", [20, 100, 2_000])
def test_a_sample_among_some_rows_is_what_they_have_of_the_sample_of_the_stock(n_rows, at_least):
    stock, n = stock_of(1_000), 5
    stock.ended_at[::2] = 50.0
    rows = np.random.default_rng(n_rows).permutation(1_000)[:n_rows]
    for moment, seed in ((60.0, 1), (60.0, 2), (40.0, 3), (-1.0, 4)):
        in_sample, in_stock = (
            found[np.isin(found, rows)]
            for found in (stock.shuffled_live(moment, seed, at_least), stock.shuffled_live(moment, seed))
        )
        expected = in_sample if len(in_sample) >= n else in_stock
        found = stock.shuffled_live_among(rows, moment, seed, n, at_least)
        assert found.tolist() == expected[:n].tolist()


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
