"""Everything one version has learned, as one object: what is trained, stored, loaded and asked."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.engine.arrays import Array
from recommendations.engine.collaborative import CollaborativeModel
from recommendations.engine.columns import Columns
from recommendations.engine.encoder import Contributions, Encoder, ListingTable
from recommendations.engine.prices import CarPrices
from recommendations.engine.scoring import LinearScore
from recommendations.engine.similarity import Similarity
from recommendations.engine.taste import Prior

SourceSwitch = Literal["hybrid", "content", "collaborative"]
COLLABORATIVE = "similar buyers"  # the name of the collaborative part in a breakdown
STORED_COLD_SCORE = "stranger_score"  # the name of ``cold_score`` in stored artifacts, of every release


@dataclass(frozen=True, eq=False)
class Encoded(Columns):
    """Listings as a ranker reads them.

    Attributes:
        mixture: Which states of the encoder each is in, shape (n, n_states).
        vectors: As ``Ranker.vectors`` makes them, shape (n, n_dims).
        archetypes: Codes, shape (n,).
    """

    mixture: csr_array
    vectors: NDArray[np.float32]
    archetypes: NDArray[np.int32]


@dataclass(frozen=True)
class Ranker:
    """A vector space and the population's taste in it.

    Attributes:
        encoder: Listing fields -> the content part of a vector.
        collaborative: Listing fields -> the factors of its archetype, the rest of the vector.
        prior: Taste of a buyer without history.
        baseline: Mean vector of the live listings at training, shape (n_dims,); reasons compare with it.
        n_dims: Width of a vector; parts that are narrower leave zeros at the end.
        prices: What cars cost, for the deal term.
        score: Weights of the terms for a buyer of whom something is known.
        cold_score: The same for a cold buyer, for whom the population's taste says less and demand says more.
        position_bias: Logits that a listing loses with each doubling of its position in a list, >= 0; learned with the
            prior, and taken out of every choice from a list.
        fitted_similarity: Which cars are alike, as fitted; None in versions that were stored before there was any.
    """

    encoder: Encoder
    collaborative: CollaborativeModel
    prior: Prior
    baseline: NDArray[np.float32]
    n_dims: int
    prices: CarPrices = field(default_factory=CarPrices.nothing)
    score: LinearScore = field(default_factory=LinearScore.default)
    cold_score: LinearScore = field(default_factory=LinearScore.default_for_cold_buyers)
    position_bias: float = 0.0
    fitted_similarity: Similarity | None = None

    @cached_property
    def similarity(self) -> Similarity:
        """The space in which cars that people find alike lie close; not the one of preferences."""
        return self.fitted_similarity or Similarity.of_encoder(self.encoder)

    @property
    def n_content(self) -> int:
        return self.encoder.config.n_dims

    def vectors(self, table: ListingTable) -> NDArray[np.float32]:
        """Feature vectors of listings, float32, shape (n_listings, n_dims), always finite."""
        return join_parts(self.encoder, self.collaborative, table, self.n_dims)

    def encode(self, table: ListingTable) -> Encoded:
        """The vectors of a few listings, with what they are made of, each worked out once."""
        mixture = self.encoder.mixture(table)
        content = self.encoder.encode_mixture(mixture)
        archetypes = self.collaborative.archetypes.assign(table)
        factors = self.collaborative.factors_of(archetypes, content)
        return Encoded(mixture, beside(content, factors, self.n_dims), archetypes)

    def switched(self, weights: NDArray[np.floating], source: SourceSwitch) -> NDArray[np.float64]:
        """The weights with only one of the two pipelines left on, shape (n_dims,)."""
        kept = np.array(weights, np.float64)
        if source == "content":
            kept[self.n_content :] = 0.0
        elif source == "collaborative":
            kept[: self.n_content] = 0.0
        return kept

    def breakdown(
        self, weights: NDArray[np.floating], table: ListingTable, vectors: NDArray[np.float32] | None = None
    ) -> Contributions:
        """The utility of each listing by readable feature; rows sum to ``vectors(table) @ weights`` within 1e-6.

        Vectors that are known already save making them.
        """
        weights = np.asarray(weights, np.float64)
        vectors = self.vectors(table) if vectors is None else vectors
        content = self.encoder.contributions(weights[: self.n_content], table, vectors[:, : self.n_content])
        return self._with_factors(content, weights, vectors)

    def breakdown_of(self, weights: NDArray[np.floating], encoded: Encoded) -> Contributions:
        """The same of listings that are encoded already."""
        weights, vectors = np.asarray(weights, np.float64), encoded.vectors
        content = self.encoder.contributions_of(
            weights[: self.n_content], encoded.mixture, vectors[:, : self.n_content]
        )
        return self._with_factors(content, weights, vectors)

    def _with_factors(
        self, content: Contributions, weights: NDArray[np.floating], vectors: NDArray[np.float32]
    ) -> Contributions:
        factors = vectors[:, self.n_content :].astype(np.float64)
        return replace(
            content,
            names=(*content.names, COLLABORATIVE),
            values=np.column_stack([content.values, factors @ weights[self.n_content :]]),
        )

    def with_population(self, prior: Prior, position_bias: float) -> Self:
        return replace(self, prior=prior, position_bias=position_bias)

    def with_scores(self, score: LinearScore, cold_score: LinearScore) -> Self:
        return replace(self, score=score, cold_score=cold_score)

    def score_for(self, *, is_personal: bool) -> LinearScore:
        return self.score if is_personal else self.cold_score

    def to_arrays(self) -> dict[str, Array]:
        """Plain arrays, from which ``from_arrays`` makes an equal ranker."""
        parts: dict[str, CarPrices | LinearScore] = {
            "prices": self.prices,
            "score": self.score,
            STORED_COLD_SCORE: self.cold_score,
        }
        return {
            **{f"{of}.{name}": array for of, part in parts.items() for name, array in part.to_arrays().items()},
            **{f"encoder.{name}": array for name, array in self.encoder.to_arrays().items()},
            **{f"collaborative.{name}": array for name, array in self.collaborative.to_arrays().items()},
            "prior.mean": self.prior.mean,
            "prior.covariance": self.prior.covariance,
            "baseline": self.baseline,
            "n_dims": np.array(self.n_dims),
            "position_bias": np.array(self.position_bias),
            **{f"similarity.{name}": array for name, array in self._similarity_arrays().items()},
        }

    def _similarity_arrays(self) -> dict[str, Array]:
        return self.fitted_similarity.encoder.to_arrays() if self.fitted_similarity else {}

    @classmethod
    def from_arrays(cls, arrays: dict[str, Array]) -> Self:
        """The reverse of ``to_arrays``, also of another release's.

        What was stored before there were prices, scores or a similarity takes the a-priori ones, a score term that was
        not known weighs 0, and arrays, options, fields and terms that this release does not know are ignored.
        """
        later: dict[str, Any] = {}
        if "prices.groups" in arrays:
            later["prices"] = CarPrices.from_arrays(part(arrays, "prices."))
        if "similarity.states" in arrays:
            later["fitted_similarity"] = Similarity(Encoder.from_arrays(part(arrays, "similarity.")))
        score, cold_score = scores_of(arrays)
        return cls(
            **later,
            score=score,
            cold_score=cold_score,
            encoder=Encoder.from_arrays(part(arrays, "encoder.")),
            collaborative=CollaborativeModel.from_arrays(part(arrays, "collaborative.")),
            prior=Prior(arrays["prior.mean"], arrays["prior.covariance"]),
            baseline=arrays["baseline"],
            n_dims=int(arrays["n_dims"]),
            position_bias=float(arrays.get("position_bias", 0.0)),
        )


def scores_of(arrays: dict[str, Array]) -> tuple[LinearScore, LinearScore]:
    """The scores of known and of cold buyers among stored arrays; the a-priori one where none was stored."""
    known, cold = (
        LinearScore.from_arrays(part(arrays, f"{name}.")) if f"{name}.names" in arrays else a_priori()
        for name, a_priori in (
            ("score", LinearScore.default),
            (STORED_COLD_SCORE, LinearScore.default_for_cold_buyers),
        )
    )
    return known, cold


def join_parts(
    encoder: Encoder, collaborative: CollaborativeModel, table: ListingTable, n_dims: int
) -> NDArray[np.float32]:
    """Content features, then archetype factors, then zeros up to ``n_dims``; shape (n_listings, n_dims)."""
    content = encoder.encode(table)
    return beside(content, collaborative.listing_factors(table, content), n_dims)


def beside(content: NDArray[np.float32], factors: NDArray[np.float32], n_dims: int) -> NDArray[np.float32]:
    """Content features and factors of the same listings as vectors, filled up with zeros; shape (n, n_dims)."""
    vectors = np.zeros((len(content), n_dims), np.float32)
    vectors[:, : content.shape[1]] = content
    vectors[:, content.shape[1] : content.shape[1] + factors.shape[1]] = factors
    return vectors


def part(arrays: dict[str, Array], prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
