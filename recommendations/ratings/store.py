"""Trained models on disk: one folder each, named by when it was trained, newest last.

A folder holds numpy arrays that are mapped into memory, so that all web processes share one copy and a model is there
in milliseconds; an ``about.json``; and the titles. Nothing is pickled, so reading a model can never run code. A folder
appears by a rename when it is complete, and then only figures of evaluations are added until it is removed; a process
that has a removed one mapped goes on with it undisturbed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from recommendations.engine.arrays import Array
from recommendations.ratings.exceptions import ArtefactRefused

FORMAT_VERSION = 1  # raised whenever older code could not read what newer code writes
NAME_FORMAT = "%Y%m%dT%H%M%S.%fZ"  # sorts by time
PARTIAL = ".partial-"
ABANDONED_AFTER_SECONDS = 86_400  # then a folder that was never completed is removed
EVALUATIONS = "evaluations.json"
EVALUATIONS_KEPT = 20


@dataclass(frozen=True, eq=False)
class StoredModel:
    """What a folder holds: arrays mapped from disk, what is to be known about them, and any documents beside."""

    name: str
    arrays: dict[str, Array]
    about: dict[str, Any]
    documents: dict[str, Any]


def save_model(
    folder: Path, *, arrays: Mapping[str, Array], about: Mapping[str, Any], documents: Mapping[str, Any]
) -> str:
    """Write a model that is complete or not there at all; the name it got."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
    try:
        for name, array in arrays.items():
            with (partial / f"{name}.npy").open("wb") as file:
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)
                _sync(file)
        shapes = {name: [str(array.dtype), *array.shape] for name, array in arrays.items()}
        _write_json(partial / "about.json", {"format": FORMAT_VERSION, **about, "arrays": shapes})
        for name, document in documents.items():
            _write_json(partial / f"{name}.json", document)
        partial.chmod(0o755)  # mkdtemp's are for their owner only, but the web server may run as another user
        return _publish(partial)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _publish(partial: Path) -> str:
    """Give a complete folder its name. A rename onto a folder that exists fails, so no two trainings share one."""
    while True:
        name = datetime.now(UTC).strftime(NAME_FORMAT)
        try:
            partial.rename(partial.parent / name)
        except OSError:
            if not (partial.parent / name).exists():
                raise
            continue
        return name


def names_in(folder: Path) -> list[str]:
    """Complete models, newest first; none when there is no folder."""
    try:
        entries = [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".") and entry.is_dir()]
    except FileNotFoundError:
        return []
    return sorted((name for name in entries if (folder / name / "about.json").is_file()), reverse=True)


def load_model(folder: Path, name: str) -> StoredModel:
    """Map a model into memory. Raises ArtefactRefused when it is incomplete, damaged or of another format."""
    path = folder / name
    about = _read_json(path / "about.json")
    if about.get("format") != FORMAT_VERSION:
        raise ArtefactRefused(f"{path} is in format {about.get('format')}, but this release reads {FORMAT_VERSION}")
    arrays = {array_name: _map(path / f"{array_name}.npy", shape) for array_name, shape in about["arrays"].items()}
    documents = {
        file.stem: _read_json(file) for file in path.glob("*.json") if file.name not in ("about.json", EVALUATIONS)
    }
    return StoredModel(name, arrays, about, documents)


def _map(path: Path, expected: list[Any]) -> Array:
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise ArtefactRefused(f"cannot read {path}: {problem}") from problem
    if [str(array.dtype), *array.shape] != expected:
        raise ArtefactRefused(f"{path} is not the array that about.json describes")
    return array


def remove_old_models(folder: Path, n_kept: int) -> None:
    """Keep the newest; and sweep up what a killed training left behind."""
    for name in names_in(folder)[n_kept:]:
        shutil.rmtree(folder / name, ignore_errors=True)
    for partial in folder.glob(f"{PARTIAL}*"):
        if time.time() - partial.stat().st_mtime > ABANDONED_AFTER_SECONDS:
            shutil.rmtree(partial, ignore_errors=True)


def note_evaluation(folder: Path, name: str, figures: Mapping[str, Any]) -> None:
    """Add the figures of an evaluation to those of a model, the newest first."""
    path = folder / name / EVALUATIONS
    _replace_json(path, [dict(figures), *evaluations_of(folder, name)][:EVALUATIONS_KEPT])


def evaluations_of(folder: Path, name: str) -> list[dict[str, Any]]:
    """The figures noted of a model, newest first; none when there are none."""
    path = folder / name / EVALUATIONS
    return list(_read_json(path)) if path.is_file() else []


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise ArtefactRefused(f"cannot read {path}: {problem}") from problem


def _write_json(path: Path, document: Any) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False)
        _sync(file)


def _replace_json(path: Path, document: Any) -> None:
    partial = path.with_name(f"{PARTIAL}{os.getpid()}-{path.name}")
    _write_json(partial, document)
    partial.replace(path)


def _sync(file: Any) -> None:
    """Onto the disk before the rename, so that a power cut leaves no named folder with empty files."""
    file.flush()
    os.fsync(file.fileno())
