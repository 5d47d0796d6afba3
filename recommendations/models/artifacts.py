"""Save and load a fitted ranker.

A ranker is kept in the database beside its version: written in one transaction with it, found by every machine, gone
with it. The content is numpy's npz without pickle, so reading it can never run code.
"""

from __future__ import annotations

import hashlib
import io
from functools import lru_cache

import numpy as np

from recommendations.engine.ranker import STORED_COLD_SCORE, Ranker, scores_of
from recommendations.engine.scoring import LinearScore
from recommendations.exceptions import RankerRefused
from recommendations.models import RankerArtifact, RankerVersion

FORMAT_VERSION = 1  # raised whenever older code could not read what newer code writes
SCORES = ("score.", f"{STORED_COLD_SCORE}.")  # where their arrays begin


def save_ranker(ranker: Ranker, version: RankerVersion) -> RankerArtifact:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **ranker.to_arrays(), allow_pickle=False)
    content = buffer.getvalue()
    return RankerArtifact.objects.create(
        version=version,
        format_version=FORMAT_VERSION,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
    )


@lru_cache(maxsize=3)
def load_ranker(version_id: int) -> Ranker:
    """The ranker of a version; raises RankerRefused when it is missing, damaged or of another format.

    A version's artifact never changes, so a process reads it once.
    """
    with np.load(io.BytesIO(content_of(version_id)), allow_pickle=False) as arrays:
        return Ranker.from_arrays(dict(arrays))


def load_scores(version_id: int) -> tuple[LinearScore, LinearScore]:
    """The scores of known and of cold buyers, without the rest, which takes the place of no ranker that is kept.

    Raises:
        RankerRefused: As ``load_ranker``.
    """
    with np.load(io.BytesIO(content_of(version_id)), allow_pickle=False) as arrays:
        return scores_of({name: arrays[name] for name in arrays.files if name.startswith(SCORES)})


def content_of(version_id: int) -> bytes:
    """The artifact of a version, checked."""
    artifact = RankerArtifact.objects.filter(pk=version_id).first()
    if artifact is None:
        raise RankerRefused(f"v{version_id} has no artifact: it was never trained to the end")
    if artifact.format_version != FORMAT_VERSION:
        raise RankerRefused(
            f"v{version_id} is in format {artifact.format_version}, but this release reads {FORMAT_VERSION}: retrain"
        )
    content = bytes(artifact.content)
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise RankerRefused(f"the artifact of v{version_id} is damaged: its checksum does not match")
    return content
