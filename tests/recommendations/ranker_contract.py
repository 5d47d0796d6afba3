"""One small data set, and every ranker and baseline over it behind one interface: what ``test_ranker_contract`` asks.

Twenty people in two groups meet sixteen items; each likes five of the eight of their group. A new ranker or baseline
gets a subclass of ``Ranking`` here, and the whole contract is asked of it.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.engine.archetypes import CollaborativeConfig
from recommendations.engine.choice_sets import ChoiceSets
from recommendations.engine.collaborative import fit_collaborative
from recommendations.engine.encoder import EncoderConfig, fit_encoder
from recommendations.engine.inner_products import best_products
from recommendations.engine.population import PriorConfig, fit_prior
from recommendations.engine.prices import fit_car_prices
from recommendations.engine.ranker import Ranker, beside
from recommendations.engine.table import ListingTable
from recommendations.engine.taste import posterior, posterior_batch
from recommendations.evaluation.event_file_backtest import baselines
from recommendations.evaluation.event_files import EventFile, ItemFile
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents, ItemQuestion, ask
from recommendations.evaluation.item_lists import lists_of
from recommendations.evaluation.item_ranker import fit_item_ranker
from recommendations.evaluation.item_terms import ItemRankerConfig, LearningData
from recommendations.feed.memory import Items, model_for_items, pack_model
from recommendations.feed.model import FeedEvents, FeedModel, fit_feed
from recommendations.feed.ranking import AGAIN, FeedList, FeedRules, ItemScorer, UserHistory
from recommendations.ratings.baselines import BiasTerms
from recommendations.ratings.fitting import FitConfig, fit
from recommendations.ratings.loaded import LoadedModel, arrays_of, no_report
from recommendations.ratings.store import StoredModel, load_model, save_model
from recommendations.ratings.table import RatingTable

N_PEOPLE, N_ITEMS = 20, 16
GROUP_OF_PERSON = np.arange(N_PEOPLE) * 2 // N_PEOPLE
GROUP_OF_ITEM = np.arange(N_ITEMS) * 2 // N_ITEMS
NOTHING = np.zeros(0, np.intp)
DAY = 100.0


def likes() -> NDArray[np.intp]:
    """UserHistory and item of each like, oldest first, shape (n_likes, 2)."""
    rng = np.random.default_rng(5)
    pairs = [
        (person, int(item))
        for person in range(N_PEOPLE)
        for item in rng.permutation(np.flatnonzero(GROUP_OF_PERSON[person] == GROUP_OF_ITEM))[:5]
    ]
    return rng.permutation(np.array(pairs, np.intp))


LIKES = likes()


def liked_by(person: int) -> NDArray[np.intp]:
    return LIKES[LIKES[:, 0] == person, 1]


def cars() -> ListingTable:
    return ListingTable.from_rows(
        {"make": ("skoda", "bmw")[group], "model": ("octavia", "three")[group], "price": price * (1 + 0.02 * number),
         "year": 2010 + 8 * group, "mileage_km": 90_000 - 70_000 * group}
        for number, (group, price) in enumerate(
            zip(GROUP_OF_ITEM.tolist(), np.array([5e3, 3e4])[GROUP_OF_ITEM].tolist(), strict=True)
        )
    )  # fmt: skip


def through_npz(arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, allow_pickle=False)
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        return dict(stored)


class Ranking(ABC):
    """A ranker, fitted on the world.

    Attributes:
        is_personal: Whether its scores know the person.
        is_stored: Whether a fit is kept anywhere but in memory.
    """

    is_personal: ClassVar[bool] = True
    is_stored: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def fitted(cls, seed: int) -> Ranking:
        """Fitted on ``LIKES``."""

    @abstractmethod
    def scores(self, people: list[int]) -> NDArray[np.floating]:
        """Of every item for some people at once, shape (n_people, N_ITEMS); higher is better."""

    @abstractmethod
    def listed(self, person: int, k: int) -> list[int]:
        """The k best items, without those that the person has liked, best first."""

    def reloaded(self, folder: Path) -> Ranking:
        """The same from its stored form; only where ``is_stored``."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class TasteRanking(Ranking):
    """The preference model: encoder, archetypes, population and a posterior for each person."""

    ranker: Ranker

    @classmethod
    def fitted(cls, seed: int) -> TasteRanking:
        table = cars()
        encoder = fit_encoder(table, EncoderConfig(n_dims=8, min_level_count=1))
        content = encoder.encode(table)
        weights = np.ones(len(LIKES))
        collaborative = fit_collaborative(
            table, content, LIKES[:, 0], LIKES[:, 1], weights, N_PEOPLE, CollaborativeConfig(n_factors=2, seed=seed)
        )
        vectors = beside(content, collaborative.listing_factors(table, content), 10)
        sets = [cls.choices_of(person, vectors) for person in range(N_PEOPLE)]
        prior = fit_prior(sets, 10, PriorConfig(seed=seed))
        return cls(Ranker(encoder, collaborative, prior, vectors.mean(axis=0), 10, fit_car_prices(table)))

    @staticmethod
    def choices_of(person: int, vectors: NDArray[np.float32]) -> ChoiceSets:
        """Each liked item out of all items, the liked one first."""
        others = [np.concatenate([[item], np.delete(np.arange(N_ITEMS), item)]) for item in liked_by(person)]
        return ChoiceSets(vectors[np.array(others)], np.zeros(len(others), np.intp))

    def weights(self, people: list[int]) -> NDArray[np.float64]:
        sets = [self.choices_of(person, self.ranker.vectors(cars())) for person in people]
        tastes = posterior_batch(sets, self.ranker.prior) if len(sets) > 1 else [posterior(sets[0], self.ranker.prior)]
        return np.array([taste.mean for taste in tastes])

    def scores(self, people: list[int]) -> NDArray[np.floating]:
        return self.weights(people) @ self.ranker.vectors(cars()).astype(np.float64).T

    def listed(self, person: int, k: int) -> list[int]:
        allowed = np.setdiff1d(np.arange(N_ITEMS), liked_by(person))
        vectors = self.ranker.vectors(cars())
        return best_products(vectors, np.arange(N_ITEMS), allowed, self.weights([person])[0], k)[0].tolist()

    def reloaded(self, folder: Path) -> TasteRanking:
        return type(self)(Ranker.from_arrays(through_npz(self.ranker.to_arrays())))


class FeedRanking(Ranking):
    """The feed model: bare items with likes."""

    def __init__(self, model: FeedModel) -> None:
        self.model, self.scorer = model, ItemScorer(model, self.items().tags, self.items().is_live)

    @staticmethod
    def items() -> Items:
        ids = np.arange(1, N_ITEMS + 1)
        tags = csr_array(np.eye(2)[GROUP_OF_ITEM])
        names = [str(key) for key in ids.tolist()]
        rows = {key: row for row, key in enumerate(ids.tolist())}
        return Items(ids, names, np.ones(N_ITEMS, bool), tags, rows, dict(zip(names, ids.tolist(), strict=True)))

    @classmethod
    def fitted(cls, seed: int) -> FeedRanking:
        shown = np.array([(person, item) for person in range(N_PEOPLE) for item in range(N_ITEMS)])
        signs = np.ones(len(LIKES), np.int8)
        events = FeedEvents(shown[:, 0], shown[:, 1], LIKES[:, 0], LIKES[:, 1], signs, N_PEOPLE, N_ITEMS)
        return cls(fit_feed(events, cls.items().tags))

    def scores(self, people: list[int]) -> NDArray[np.floating]:
        scores = np.empty((len(people), N_ITEMS))
        for row, person in enumerate(people):
            made = self._list(person, N_ITEMS)
            scores[row, made.rows] = made.scores
        return scores

    def _list(self, person: int, k: int) -> FeedList:
        who = UserHistory(NOTHING, liked_by(person), NOTHING)
        return self.scorer.make_list(who, self.rules(k), np.random.default_rng(0))

    @staticmethod
    def rules(k: int) -> FeedRules:
        return FeedRules(length=k, thompson=0.0, unseen_share=0.0, new_user_unseen_share=0.0, diversity=0.0)

    def listed(self, person: int, k: int) -> list[int]:
        made = self._list(person, k)  # what was liked comes back at the end when nothing else is left
        return [row for row, source in zip(made.rows.tolist(), made.sources, strict=True) if source != AGAIN]

    def reloaded(self, folder: Path) -> FeedRanking:
        file = folder / "fit"
        file.write_bytes(pack_model(self.model, self.items().listing_ids))
        with np.load(file, allow_pickle=False) as arrays:
            return type(self)(model_for_items(dict(arrays), self.items()))


def rating_table() -> RatingTable:
    """Every person's five likes with 5 stars, and three items of the other group with 1."""
    rng = np.random.default_rng(6)
    bad = [
        (person, int(item))
        for person in range(N_PEOPLE)
        for item in rng.permutation(np.flatnonzero(GROUP_OF_PERSON[person] != GROUP_OF_ITEM))[:3]
    ]
    triples = [(str(person), str(item), 5.0) for person, item in LIKES.tolist()]
    return RatingTable.of([*triples, *((str(person), str(item), 1.0) for person, item in bad)])


class StarRanking(Ranking):
    """The rating model: stars for items, answers in stars."""

    def __init__(self, stored: StoredModel) -> None:
        self.stored, self.model = stored, LoadedModel.of(stored)

    @classmethod
    def fitted(cls, seed: int) -> StarRanking:
        table = rating_table()
        made = fit(table, FitConfig(n_factors=4, n_draws=30, burn_in=10, n_kept=10, seed=seed), no_report)
        about = {"dataset": {"scale": [1, 5]}, "standard": asdict(made.standard), "weight": made.weight}
        documents = {"titles": {}, "people": list(table.people), "items": list(table.items)}
        return cls(StoredModel("fresh", arrays_of(table, made), about, documents))

    def scores(self, people: list[int]) -> NDArray[np.floating]:
        pairs = [(str(person), str(item), 1.0) for person in people for item in range(N_ITEMS)]
        return self.model.estimates_of(RatingTable.of(pairs)).reshape(len(people), N_ITEMS)

    def listed(self, person: int, k: int) -> list[int]:
        mine = [str(item) for item in liked_by(person).tolist()]
        return [int(each.item_id) for each in self.model.recommend(mine, [5.0] * len(mine), k)]

    def reloaded(self, folder: Path) -> StarRanking:
        stored = self.stored
        name = save_model(folder, arrays=stored.arrays, about=stored.about, documents=stored.documents)
        return type(self)(load_model(folder, name))


@dataclass(frozen=True, eq=False)
class BiasRanking(Ranking):
    """Bias terms of people and items, the baseline of the rating model; a person's own only moves all items alike."""

    is_personal = False
    terms: BiasTerms
    table: RatingTable

    @classmethod
    def fitted(cls, seed: int) -> BiasRanking:
        return cls(BiasTerms.fit(rating_table()), rating_table())

    def scores(self, people: list[int]) -> NDArray[np.floating]:
        rows = [self.table.people.index(str(person)) for person in people]
        items = np.array([self.table.items.index(str(item)) for item in range(N_ITEMS)])
        return np.stack([self.terms.estimates(np.full(N_ITEMS, row), items) for row in rows])

    def listed(self, person: int, k: int) -> list[int]:
        scores = self.scores([person])[0]
        scores[liked_by(person)] = -np.inf
        return [row for row in np.argsort(-scores, kind="stable").tolist() if np.isfinite(scores[row])][:k]

    def reloaded(self, folder: Path) -> BiasRanking:
        arrays = through_npz({"people": self.terms.person_biases, "items": self.terms.item_biases})
        return type(self)(BiasTerms(self.terms.mean, arrays["people"], arrays["items"]), self.table)


def item_file() -> ItemFile:
    """The likes as an event file, in the days before ``DAY``, and items with content and prices beside it."""
    days = np.linspace(DAY - 60, DAY - 1, len(LIKES))
    events = ItemEvents(LIKES[:, 0], LIKES[:, 1], days, np.ones(len(LIKES)), N_PEOPLE, N_ITEMS)
    names = (tuple(map(str, range(N_PEOPLE))), tuple(map(str, range(N_ITEMS))))
    rng = np.random.default_rng(7)
    content = np.eye(2)[GROUP_OF_ITEM] + 0.1 * rng.random((N_ITEMS, 2))
    content /= np.linalg.norm(content, axis=1, keepdims=True)
    prices = np.array([5e3, 3e4])[GROUP_OF_ITEM] * (1 + np.arange(N_ITEMS) / 100)
    listed, ended = np.linspace(0.0, 20.0, N_ITEMS), np.full(N_ITEMS, np.inf)
    catalogue = ItemCatalogue(listed, ended, csr_array(content), prices)
    return ItemFile(EventFile("world", events, *names, {}), catalogue)


def question() -> ItemQuestion:
    """What each person may be listed: all items but those they have liked."""
    file = item_file()
    later = ItemEvents(
        np.arange(N_PEOPLE), np.arange(N_PEOPLE) % N_ITEMS, np.full(N_PEOPLE, DAY + 1.0), np.ones(N_PEOPLE),
        N_PEOPLE, N_ITEMS,
    )  # fmt: skip
    events = file.file.events
    both = ItemEvents(
        *(
            np.concatenate([getattr(each, of) for each in (events, later)])
            for of in ("users", "items", "days", "weights")
        ),
        N_PEOPLE,
        N_ITEMS,
    )
    asked = ask(both, file.catalogue, DAY, known_only=False, unseen_only=False)
    seen = csr_array((np.ones(len(LIKES)), (LIKES[:, 0], LIKES[:, 1])), shape=(N_PEOPLE, N_ITEMS))
    return ItemQuestion(asked.user_rows, asked.relevant, csr_array(seen[asked.user_rows]), asked.candidates)


class FileRanking(Ranking):
    """A ranker of event files, as ``evaluation.event_file_backtest`` asks it; its fit is kept as long as the
    evaluation."""

    is_stored = False

    def __init__(self, score: Callable[[NDArray[np.intp]], NDArray[np.floating]]) -> None:
        self.score = score

    def scores(self, people: list[int]) -> NDArray[np.floating]:
        return self.score(np.array(people, np.intp))

    def listed(self, person: int, k: int) -> list[int]:
        found = lists_of(self.score, question().take(np.array([person])), k)[0]
        return found[found >= 0].tolist()


class ItemRanking(FileRanking):
    """The ranker for items that are known by who went for them."""

    @classmethod
    def fitted(cls, seed: int) -> ItemRanking:
        file = item_file()
        return cls(fit_item_ranker(file.file.events, file.catalogue, DAY, 10.0, small_config(seed)).scores)


def small_config(seed: int) -> ItemRankerConfig:
    return ItemRankerConfig(n_factors=2, factor_regularisation=0.1, known_only=False, shortlists=(8,), seed=seed)


def baseline(name: str, *, is_personal: bool = True) -> type[FileRanking]:
    """A baseline as ``evaluation.event_file_backtest`` asks it."""

    def fitted(cls: type[FileRanking], seed: int) -> FileRanking:
        file = item_file()
        learning_data = LearningData(file.file.events, file.catalogue, DAY, small_config(seed))
        return cls(baselines(learning_data)[name])

    members: dict[str, Any] = {"fitted": classmethod(fitted), "is_personal": is_personal, "__doc__": f"“{name}”."}
    return type(f"Baseline {name}", (FileRanking,), members)


BASELINES: dict[str, type[Ranking]] = {
    "popular": baseline("popular", is_personal=False),
    **{
        name: baseline(name, is_personal=False)
        for name in ("recently popular", *(f"recently popular, {days} days" for days in (0.25, 1, 3, 14, 30, 90)))
    },
    "newest in budget": baseline("newest in budget"),
    "average of liked": baseline("average of liked"),
    "item-kNN": baseline("item-kNN"),
    "EASE": baseline("EASE"),
    "ALS": baseline("ALS"),
}
RANKINGS: dict[str, type[Ranking]] = {
    "taste": TasteRanking,
    "feed": FeedRanking,
    "ratings": StarRanking,
    "bias terms": BiasRanking,
    "items": ItemRanking,
    **BASELINES,
}
