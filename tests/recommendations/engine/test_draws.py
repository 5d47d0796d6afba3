import numpy as np

from recommendations.engine.draws import hashed, point_of


def test_pseudo_random_numbers_differ_by_id_and_seed():
    assert len(set(hashed(np.arange(1000), 1).tolist()) | set(hashed(np.arange(1000), 2).tolist())) == 2000


def test_the_numbers_are_those_of_splitmix64():
    # the first three of the authors' program, begun at 0; other numbers would move every list at an upgrade
    assert hashed(np.array([0]), np.array([1, 2, 3])).tolist() == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_the_draw_of_an_id_depends_on_neither_the_order_nor_the_others():
    ids = np.random.default_rng(0).permutation(1000)
    draws = dict(zip(ids.tolist(), hashed(ids, 7).tolist(), strict=True))
    assert hashed(np.array([3, 500]), 7).tolist() == [draws[3], draws[500]]


def test_points_of_texts_are_even_from_0_to_1_and_always_the_same():
    points = np.array([point_of(f"home:{buyer_id}") for buyer_id in range(10_000)])
    assert np.abs(np.sort(points) - (np.arange(10_000) + 0.5) / 10_000).max() < 0.02
    assert point_of("home:1") == points[1]
