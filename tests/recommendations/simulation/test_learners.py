import numpy as np
import pytest

from recommendations.engine.encoder import EncoderConfig, fit_encoder
from recommendations.engine.policy import ListPolicy
from recommendations.engine.taste import Prior
from recommendations.simulation import browsing as sim
from recommendations.simulation.buyers import Menu, draw_buyers
from recommendations.simulation.car_specs import read_specs
from recommendations.simulation.closed_loop import LoopConfig, Round, ShowLikeLiked, run_loop
from recommendations.simulation.learners import LearnerConfig, Population, ShowByTaste, learn_population
from recommendations.simulation.market import DAY, build_market, read_towns

MARKET = build_market(800, seed=2, anchor_year=2026)
ENCODER = fit_encoder(MARKET.table, EncoderConfig(n_dims=32))
VECTORS = ENCODER.encode(MARKET.table)
ALL_BUYERS = draw_buyers(90, 2, Menu.of(read_specs()), read_towns())
BUYERS, OTHERS = ALL_BUYERS[:20], ALL_BUYERS[20:]
HISTORY = sim.simulate(MARKET, OTHERS, 2_000, seed=2)
KNOWN = 14  # events after which much is known
CONFIG = LoopConfig(n_rounds=KNOWN + 6)
PLAIN = ListPolicy(diversity=0, max_per_model=0, max_per_seller=0, exploration_share=0)


@pytest.fixture(scope="module")
def population():
    return learn_population(MARKET, HISTORY, VECTORS, until_s=0)


def asked(number=0, live=None, **changes):
    """A round of one buyer with lists of three, the first event a day ago."""
    given = {
        "number": number, "age_days": np.arange(number, 0, -1.0), "live": np.arange(6) if live is None else live,
        "shown": np.full((number, 1, 3), -1), "chosen": np.full((number, 1, 1), -1), "searched": [[None]] * number,
        "n_buyers": 1, "k": 3, "rng": np.random.default_rng(0),
    }  # fmt: skip
    return Round(**(given | changes))


def test_it_does_better_than_the_average_of_what_was_opened_and_learns(population):
    ours = run_loop(MARKET, BUYERS, ShowByTaste(MARKET, ENCODER, population), CONFIG)
    liked = run_loop(MARKET, BUYERS, ShowLikeLiked(VECTORS), CONFIG)
    assert ours.mean_share_after(9) > liked.mean_share_after(9) + 0.1
    assert ours.mean_share_after(KNOWN) > ours.share[0].mean() + 0.05
    assert ours.share[KNOWN:].mean() > ours.share[:5].mean() + 0.05


def test_the_same_seed_shows_the_same_lists(population):
    config = LoopConfig(n_rounds=4)
    one, other = (run_loop(MARKET, BUYERS, ShowByTaste(MARKET, ENCODER, population), config) for _ in "ab")
    np.testing.assert_array_equal(one.share, other.share)


def test_before_the_first_event_every_buyer_sees_the_best_of_the_population():
    population = Population(Prior(np.eye(32)[0], np.eye(32)), 0.0)
    learner = ShowByTaste(MARKET, ENCODER, population, LearnerConfig(policy=PLAIN))
    best = np.argsort(-VECTORS[:6, 0], kind="stable")[:3]
    np.testing.assert_array_equal(learner(asked()), [best])


def test_an_opened_car_raises_similar_cars():
    learner = ShowByTaste(
        MARKET, ENCODER, Population(Prior(np.zeros(32), np.eye(32)), 0.0), LearnerConfig(policy=PLAIN)
    )
    first = asked(1, shown=np.array([[[4, 1, 2]]]), chosen=np.array([[[1]]]))
    learner(first)
    taste, scores = learner.learn_and_score(0, first, VECTORS[:6])
    assert scores[1] > max(scores[2], scores[4])
    event = learner.events[0][0]
    np.testing.assert_array_equal(event.features, VECTORS[[4, 1, 2]])
    assert event.chosen == 1
    assert np.isfinite(taste.covariance).all()


def test_a_condition_informs_its_field_alone():
    learner = ShowByTaste(
        MARKET, ENCODER, Population(Prior(np.zeros(32), np.eye(32)), 0.0), LearnerConfig(policy=PLAIN)
    )
    live, price = np.arange(400), MARKET.table.price[:400]
    cheap = np.flatnonzero(price < 8_000)
    round_ = asked(1, searched=[[{"price": cheap}]], live=live)
    learner(round_)
    (event,) = learner.events[0]
    part = ENCODER.encode_field(MARKET.table, "price")
    np.testing.assert_allclose(event.features[0], part[cheap].mean(axis=0), rtol=1e-5)
    assert event.features.shape == (61, 32)
    taste, _ = learner.learn_and_score(0, round_, VECTORS[:400])
    curve = ENCODER.curve(taste.mean, "price", [5_000, 30_000])
    assert curve[0] > curve[1] + 0.5


def test_a_condition_that_nothing_meets_or_everything_says_nothing():
    learner = ShowByTaste(MARKET, ENCODER, Population(Prior(np.zeros(32), np.eye(32)), 0.0))
    learner(asked(1, searched=[[{"price": np.zeros(0, int), "body": np.arange(6)}]]))
    assert learner.events[0] == []


def test_an_older_event_weighs_less():
    learner = ShowByTaste(
        MARKET, ENCODER, Population(Prior(np.zeros(32), np.eye(32)), 0.0), LearnerConfig(half_life_days=1.0)
    )
    learner(asked(1, shown=np.array([[[4, 1, 2]]]), chosen=np.array([[[1]]])))
    sets = learner.choices(learner.events[0], np.array([3.0]))
    assert sets.weights.tolist() == [0.125]


def test_where_less_is_for_sale_than_asked_for_places_stay_empty(population):
    got = ShowByTaste(MARKET, ENCODER, population)(asked(live=np.array([5, 7])))
    assert sorted(got[0].tolist()) == [-1, 5, 7]


def test_the_position_bias_to_lower_places_is_found_in_the_log():
    """Buyers without preferences whose position bias is 0.8, beside some without position bias."""

    def learned_position_bias(strength):
        rng = np.random.default_rng(1)
        lists = np.stack([rng.permutation(800)[: sim.LIST_LENGTH] for _ in range(1_500)])
        places = strength * np.log2(np.arange(1, sim.LIST_LENGTH + 1))
        at = (rng.gumbel(size=lists.shape) - places).argmax(axis=1)
        n = len(lists)
        nothing, buyer = np.zeros(n, int), np.arange(n) % 60
        moments = np.full(n, DAY)
        history = sim.History(
            list_buyer=buyer, list_kind=nothing, list_s=moments, list_rows=lists, list_query=[{}] * n,
            event_buyer=buyer, event_kind=nothing + sim.VIEW, event_row=lists[np.arange(n), at],
            event_list=np.arange(n), event_position=at + 1, event_s=moments,
        )  # fmt: skip
        return learn_population(MARKET, history, VECTORS[:, :4], until_s=0).position_bias

    assert learned_position_bias(0.8) == pytest.approx(0.8, abs=0.1)
    assert learned_position_bias(0.0) < 0.05


def test_what_happened_later_is_not_known(population):
    nothing = learn_population(MARKET, HISTORY, VECTORS, until_s=200 * DAY)
    np.testing.assert_array_equal(nothing.prior.mean, np.zeros(32))
    assert nothing.position_bias == 0
    assert population.prior.mean.any()


def test_a_buyer_may_have_two_interests():
    """One wants the first dimension, the other the opposite; both find their cars on the list."""
    line = np.zeros((40, 32), np.float32)
    line[:, 0] = np.linspace(-3, 3, 40)
    shown = np.tile(np.array([[0, 15, 39, 20, 25]]), (30, 1))[:, None]
    chosen = np.where(np.arange(30) % 2, 0, 39)[:, None, None]
    lists = {}
    for n in (1, 2):
        settings = LearnerConfig(policy=PLAIN, max_tastes=n)
        learner = ShowByTaste(
            MARKET.take(np.arange(40)), ENCODER, Population(Prior(np.zeros(32), np.eye(32)), 0.0), settings
        )
        learner.vectors = line
        for number in range(1, 31):
            round_ = asked(
                number, live=np.arange(40), k=5, shown=shown[:number], chosen=chosen[:number], age_days=np.zeros(number)
            )  # fmt: skip
            lists[n] = set(learner(round_)[0].tolist())
    assert {0, 39} <= lists[2]
    assert not {0, 39} <= lists[1]


@pytest.mark.parametrize("fault", [{"n_pool": 0}, {"n_beside_search": 0}, {"max_tastes": 0}, {"half_life_days": 0}])
def test_settings_that_cannot_work_are_refused_by_name(fault):
    with pytest.raises(ValueError, match=next(iter(fault))):
        LearnerConfig(**fault)
