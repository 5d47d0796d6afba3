"""What learning tastes costs: one buyer, one more event, many buyers, the population, and a list; beside naive ways.

    python -m benchmarks.taste [--batch 10000] [--population 1000]

128 dimensions, sets of 60 alternatives, features whose spread falls off as an encoder's components do. The naive ways
do the same job with general tools: scipy's BFGS on the textbook's cost function, and scikit-learn's LogisticRegression
on differences (each alternative turned down is one row), which approximates the choice among many by choices among two.
Times are processor time of one thread, because the machine is shared with other work.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the site sets it; small matrices lose by threads

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from scipy import optimize
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from recommendations.engine.arrays import Floats
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.mixture import tastes
from recommendations.engine.policy import ListPolicy, Pool, build_list
from recommendations.engine.population import PriorConfig, fit_prior
from recommendations.engine.taste import Prior, draw, posterior, posterior_batch

N_DIMS, N_ALTERNATIVES = 128, 60
SPREAD = np.exp(-np.arange(N_DIMS) / 60)


def true_population(rng: np.random.Generator) -> Prior:
    return Prior(rng.normal(size=N_DIMS) * 0.3, np.eye(N_DIMS) * 0.09 + 0.02)


def make_buyer(
    population: Prior, rng: np.random.Generator, n_events: int, n_alternatives: int = N_ALTERNATIVES
) -> ChoiceSets:
    features = (rng.normal(size=(n_events, n_alternatives, N_DIMS)) * SPREAD).astype(np.float32)
    utility = features @ draw(population, rng)[0] + rng.gumbel(size=(n_events, n_alternatives))
    return ChoiceSets(features, utility.argmax(axis=1))


def median_ms(job: Callable[[], object], n: int = 15) -> float:
    job()
    times = []
    for _ in range(n):
        start = time.process_time()
        job()
        times.append(time.process_time() - start)
    return 1000 * float(np.median(times))


def by_bfgs(sets: ChoiceSets, prior: Prior) -> Floats:
    differences = sets.differences().astype(np.float64)
    precision = np.linalg.inv(prior.covariance)

    def cost(weights: Floats) -> tuple[float, Floats]:
        utility = differences @ weights
        total = logsumexp(utility, axis=1, keepdims=True)
        pull = precision @ (weights - prior.mean)
        gradient = np.einsum("ea,ead->d", np.exp(utility - total), differences) + pull
        return total.sum() + 0.5 * pull @ (weights - prior.mean), gradient

    mean: Floats = optimize.minimize(cost, prior.mean, jac=True, method="BFGS", options={"gtol": 1e-4}).x
    return mean


def by_logistic_regression(sets: ChoiceSets) -> Floats:
    is_other = np.arange(sets.features.shape[1]) != sets.chosen[:, None]
    rows = -sets.differences()[is_other]
    both = np.concatenate([rows, -rows])
    answers = np.repeat([1, 0], len(rows))
    mean: Floats = LogisticRegression(fit_intercept=False, max_iter=1000).fit(both, answers).coef_[0]
    return mean


def one_buyer(population: Prior, rng: np.random.Generator) -> None:
    print("One buyer, 200 events of 60 alternatives")
    sets = make_buyer(population, rng, 201)
    old = sets.take(np.arange(200))
    known, exact = posterior(old, population), posterior(sets, population)
    scratch = median_ms(lambda: posterior(old, population))
    print(f"  from scratch            {scratch:8.1f} ms")
    print(f"  from the last taste     {median_ms(lambda: posterior(sets, population, start=known)):8.1f} ms")
    bfgs = median_ms(lambda: by_bfgs(old, population), 3)
    print(f"  scipy BFGS, mean only   {bfgs:8.1f} ms   {bfgs / scratch:.1f} times from scratch")
    pairs = median_ms(lambda: by_logistic_regression(old), 3)
    print(f"  LogisticRegression      {pairs:8.1f} ms   {pairs / scratch:.1f} times from scratch, mean only")
    print(f"  three tastes tried      {median_ms(lambda: tastes(old, population), 3):8.1f} ms")
    size = np.linalg.norm(exact.mean)
    print(f"  one new event moves the mean by {np.linalg.norm(exact.mean - known.mean) / size:.2%} of its length; ")
    print(f"  the mean from the last taste by {np.abs(posterior(sets, population, known).mean - exact.mean).max():.0e}")
    print(f"  BFGS's mean is off by {np.linalg.norm(posterior(old, population).mean - by_bfgs(old, population)):.0e}")


def many_buyers(population: Prior, rng: np.random.Generator, n_buyers: int) -> None:
    print(f"{n_buyers:,} buyers in batches of 500")
    for n_events in (1, 5, 20):
        seconds = alone = 0.0
        for start in range(0, n_buyers, 500):
            buyers = [make_buyer(population, rng, n_events) for _ in range(min(500, n_buyers - start))]
            begin = time.process_time()
            posterior_batch(buyers, population)
            seconds += time.process_time() - begin
            if start == 0:
                begin = time.process_time()
                for sets in buyers[:200]:
                    posterior(sets, population)
                alone = 200 / (time.process_time() - begin)
        rate = n_buyers / seconds
        print(f"  {n_events:3} events each: {rate:6.0f} buyers/s, {rate / alone:.1f} times one by one")
    print(f"  peak memory {peak_mb():.0f} MB")


def the_population(population: Prior, rng: np.random.Generator, n_buyers: int) -> None:
    buyers = [make_buyer(population, rng, 20, 24) for _ in range(n_buyers)]
    held_out = [make_buyer(population, rng, 1, 24) for _ in range(500)]
    begin = time.process_time()
    prior = fit_prior(buyers, N_DIMS, PriorConfig(max_buyers=n_buyers))
    seconds = time.process_time() - begin
    cosine = prior.mean @ population.mean / np.linalg.norm(prior.mean) / np.linalg.norm(population.mean)

    def accuracy(weights: Floats) -> float:
        return float(np.mean([(sets.features[0] @ weights).argmax() == sets.chosen[0] for sets in held_out]))

    print(f"The population from {n_buyers:,} buyers, 20 events of 24 alternatives: {seconds:.1f} s, {peak_mb():.0f} MB")
    print(f"  its mean against the true one: cosine {cosine:.3f}; first choices of new buyers predicted ", end="")
    print(f"{accuracy(prior.mean):.3f}, with the true mean {accuracy(population.mean):.3f}, by chance {1 / 24:.3f}")


def a_list(rng: np.random.Generator) -> None:
    pool = Pool(
        scores=rng.normal(size=200),
        features=rng.normal(size=(200, N_DIMS)).astype(np.float32),
        models=rng.integers(0, 40, 200),
        sellers=rng.integers(0, 60, 200),
        exploration_scores=np.where(rng.random(200) < 0.2, rng.normal(size=200), np.nan),
    )
    print(f"A list of 20 from a pool of 200: {median_ms(lambda: build_list(pool, ListPolicy(), rng), 200):.2f} ms")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--population", type=int, default=1000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    population = true_population(rng)
    one_buyer(population, rng)
    a_list(rng)
    many_buyers(population, rng, arguments.batch)
    the_population(population, rng, arguments.population)


if __name__ == "__main__":
    main()
