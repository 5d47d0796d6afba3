"""The rating model beside simpler ways, in one run on one split: error, processor time, and the time of an answer.

    python -m benchmarks.ratings PATH [--titles PATH] [--draws 200] [--test 0.1] [--seed 0]

PATH is a file of ratings (recommendations/ratings/files.py). A random part is tested on; nothing is chosen by it.

* ``mean`` and ``bias terms``: recommendations/ratings/baselines.py;
* ``ALS``: matrix factorisation over bias terms by alternating ridge regressions, numpy; rank and strength are chosen by
  a validation part of the training;
* ``plain Bayesian FM``: myfm as its first example has it, ids only, the same factors and draws;
* ``the model``: as ``manage.py ratings train`` makes it, its validation chain included; where ``--titles`` names genres
  and years, with and without them.

An answer (fold in a new person, estimate everything, list 20) is timed in processor time beside the same written as a
loop over draws and items, which has to agree. Times are of a machine that may be busy: read ratios.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from scipy import sparse
from tqdm import tqdm

from recommendations.engine.arrays import Integers, Reals
from recommendations.ratings.baselines import BiasTerms, rmse
from recommendations.ratings.descriptions import descriptions_of
from recommendations.ratings.files import read_ratings, read_titles
from recommendations.ratings.fitting import FitConfig, fit
from recommendations.ratings.gibbs import Standard
from recommendations.ratings.loaded import LoadedModel, arrays_of
from recommendations.ratings.posterior import estimates, fold_in, uncertainties
from recommendations.ratings.store import load_model, save_model
from recommendations.ratings.table import RatingTable

ALS_CHOICES = [(rank, strength) for rank in (4, 16) for strength in (5.0, 15.0, 40.0)]
ALS_ROUNDS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--titles", type=Path)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--test", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table, _ = read_ratings(arguments.file)
    train, test = table.split(arguments.test, np.random.default_rng(arguments.seed))
    print(f"{len(train):,} ratings to learn from, {len(test):,} to predict, scale {train.scale}\n")
    config = FitConfig(n_draws=arguments.draws, seed=arguments.seed)
    show("mean", test, lambda: np.full(len(test), train.ratings.mean()))
    show("bias terms", test, lambda: BiasTerms.fit(train).estimates(test.person_rows, test.item_rows))
    show("ALS", test, lambda: als(train, test))
    show("plain Bayesian FM", test, lambda: plain_machine(train, test, config))
    with tempfile.TemporaryDirectory() as folder:
        holder: list[LoadedModel] = []
        show("the model", test, lambda: the_model(train, test, config, Path(folder), holder))
        if arguments.titles:
            described = replace(train, descriptions=descriptions_of(train.items, read_titles(arguments.titles)[0]))
            show("... with titles", test, lambda: the_model(described, test, config, Path(folder), holder))
        describe(holder[-1], test)


def show(name: str, test: RatingTable, estimate: Callable[[], Reals]) -> None:
    started = processor_seconds()
    stars = test.scale.clip(estimate())
    print(f"{name:<20} RMSE {rmse(stars, test.ratings):.4f}   {processor_seconds() - started:8.1f} s", flush=True)


def processor_seconds() -> float:
    """Of this process and of those it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def the_model(
    train: RatingTable, test: RatingTable, config: FitConfig, folder: Path, holder: list[LoadedModel]
) -> Reals:
    with tqdm(total=1.0, bar_format="{percentage:3.0f}% {desc}", leave=False) as bar:

        def report(fraction: float, sentence: str) -> None:
            bar.set_description_str(sentence, refresh=False)
            bar.update(fraction - bar.n)

        fitted = fit(train, config, report)
    about = {
        "standard": {"mean": fitted.standard.mean, "std": fitted.standard.std},
        "dataset": {"scale": [train.scale.low, train.scale.high]},
        "chain_length": fitted.chain_length,
        "weight": fitted.weight,
        "drift": fitted.validation and fitted.validation.drift,
    }
    documents = {"titles": {}, "people": list(train.people), "items": list(train.items)}
    name = save_model(folder, arrays=arrays_of(train, fitted), about=about, documents=documents)
    holder.append(LoadedModel.of(load_model(folder, name)))
    return holder[-1].estimates_of(test)


def plain_machine(train: RatingTable, test: RatingTable, config: FitConfig) -> Reals:
    from myfm import MyFMGibbsRegressor

    standard = Standard.of(train.ratings)

    def one_hot(table: RatingTable) -> sparse.csr_matrix:
        people = sparse.identity(table.n_people, format="csr")[table.person_rows]
        items = sparse.identity(table.n_items, format="csr")[table.item_rows]
        return sparse.hstack([people, items], format="csr")

    machine = MyFMGibbsRegressor(rank=config.n_factors, random_seed=config.seed)
    machine.fit(
        one_hot(train),
        standard.units(train.ratings),
        n_iter=config.n_draws,
        n_kept_samples=config.n_draws - config.burn_in,
        group_shapes=[train.n_people, train.n_items],
        callback=lambda *_: (False, None),
    )
    return standard.stars(machine.predict(one_hot(test)))


def als(train: RatingTable, test: RatingTable) -> Reals:
    rest, held_out = train.split(0.05, np.random.default_rng(0))
    errors = {choice: rmse(als_estimates(rest, held_out, *choice), held_out.ratings) for choice in ALS_CHOICES}
    return als_estimates(train, test, *min(errors, key=lambda choice: errors[choice]))


def als_estimates(train: RatingTable, test: RatingTable, rank: int, strength: float) -> Reals:
    bias = BiasTerms.fit(train)
    rest = train.ratings - bias.estimates(train.person_rows, train.item_rows)
    shape = (train.n_people, train.n_items)
    matrix = sparse.csr_matrix((rest, (train.person_rows, train.item_rows)), shape=shape)
    items: Reals = np.random.default_rng(0).normal(scale=0.1, size=(train.n_items, rank))
    for _ in range(ALS_ROUNDS):
        people = ridge(matrix, items, strength)
        items = ridge(matrix.T.tocsr(), people, strength)
    products = np.einsum("ij,ij->i", people[test.person_rows], items[test.item_rows])
    estimated: Reals = bias.estimates(test.person_rows, test.item_rows) + products
    return estimated


def ridge(matrix: sparse.csr_matrix, factors: Reals, strength: float) -> Reals:
    """Factors of every row that explain its values by the columns' factors."""
    found = np.zeros((matrix.shape[0], factors.shape[1]))
    for row in np.flatnonzero(np.diff(matrix.indptr)):
        positions = slice(matrix.indptr[row], matrix.indptr[row + 1])
        of_columns = factors[matrix.indices[positions]]
        inner = of_columns.T @ of_columns + strength * np.eye(factors.shape[1])
        found[row] = np.linalg.solve(inner, of_columns.T @ matrix.data[positions])
    return found


def describe(loaded: LoadedModel, test: RatingTable) -> None:
    draws = loaded.draws
    length = loaded.about["chain_length"]
    print(f"\n{length} draws, {draws.n_draws} kept, weight {loaded.weight:.2f}, {draws.n_items:,} items")
    rng = np.random.default_rng(0)
    for n_ratings in (5, 20, 100):
        rows = rng.choice(draws.n_items, n_ratings, replace=False)
        item_ids, stars = [loaded.table.items[row] for row in rows], rng.choice(test.ratings, n_ratings)
        units = loaded.standard.units(stars)
        answer = milliseconds(partial(loaded.recommend, item_ids, stars.tolist(), 20), 21)
        loop = milliseconds(partial(slow_estimates, loaded, rows, units), 1)
        print(
            f"an answer to {n_ratings:>3} ratings {answer:6.1f} ms, as a loop {loop:8.0f} ms, {loop / answer:.0f} times"
        )
    print(f"similar titles {milliseconds(lambda: loaded.similar(item_ids[0], 5), 21):.1f} ms")
    within = coverage(loaded, test)
    print(f"ratings within one and two standard deviations: {within[0]:.1%}, {within[1]:.1%} (Gaussian 68.3%, 95.4%)")


def milliseconds(run: Callable[[], object], times: int) -> float:
    """Median processor time."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return 1000 * float(np.median(taken))


def slow_estimates(loaded: LoadedModel, rows: Integers, units: Reals) -> Reals:
    """The same as the engine's, draw by draw and item by item."""
    draws = loaded.draws
    total = np.zeros(draws.n_items)
    root = len(rows) ** -0.5
    for d in range(draws.n_draws):
        met = root * draws.met_factors[rows, d].astype(float).sum(axis=0)
        own = root**2 * (draws.met_factors[rows, d].astype(float) ** 2).sum()
        base = draws.intercepts[d] + root * draws.met_linear[rows, d].sum() + (met @ met - own) / 2
        inner = np.diag(draws.prior_precisions[d])
        pull = draws.prior_precisions[d] * draws.prior_means[d]
        for row, unit in zip(rows, units, strict=True):
            vector = draws.item_vectors[row, d].astype(float)
            features = np.append(1.0, met + vector)
            inner = inner + draws.noise_precisions[d] * np.outer(features, features)
            pull = pull + draws.noise_precisions[d] * features * (
                unit - base - draws.item_biases[row, d] - met @ vector
            )
        weights = np.linalg.solve(inner, pull)
        for item in range(draws.n_items):
            vector = draws.item_vectors[item, d]
            total[item] += base + draws.item_biases[item, d] + met @ vector + weights[0] + weights[1:] @ (met + vector)
    slow = total / draws.n_draws
    np.testing.assert_allclose(estimates(draws, fold_in(draws, rows, units))[:-1], slow, atol=1e-3)
    return slow


def coverage(loaded: LoadedModel, test: RatingTable, n_people: int = 300) -> tuple[float, float]:
    """Shares of ratings within one and two predictive standard deviations of their estimates."""
    known, distances = loaded.table.matrix(), []
    for person in np.unique(test.person_rows)[:n_people]:
        is_theirs = test.person_rows == person
        rated = known[person]
        belief = fold_in(loaded.draws, rated.indices, loaded.standard.units(rated.data))
        rows = test.item_rows[is_theirs]
        spread = uncertainties(loaded.draws, belief, rows, with_noise=True)
        missed = loaded.standard.units(test.ratings[is_theirs]) - estimates(loaded.draws, belief, rows)
        distances.append(np.abs(missed) / spread)
    distance = np.concatenate(distances)
    return float((distance <= 1).mean()), float((distance <= 2).mean())


if __name__ == "__main__":
    main()
