"""Read the embeddings of a model from two .npy files, and rank the gallery by cosine similarity."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.any_model.queries import handles
from benchmark.datasets.splits import Dataset
from benchmark.errors import BenchmarkError, UsageError
from benchmark.scoring.evaluation import Evaluation, rank


def rank_embeddings(queries: Path, gallery: Path, dataset: Dataset) -> Evaluation:
    """Rank the gallery for each query of the test split. Ties are broken as in every evaluation: see `scoring.ranking`.

    Args:
        queries: a file with (Q, D) numbers, in the order of the table of queries.
        gallery: a file with (G, D) numbers, row i of image i.

    Raises:
        BenchmarkError: a file cannot be read, has another shape, or holds a value that is not finite.
        UsageError: a file is an approximate index.
    """
    split = dataset.test
    of_queries = _unit_rows(queries, len(split.queries), "query of `tirg-bench queries`, in its order")
    of_gallery = _unit_rows(gallery, len(split.gallery), "image of the gallery, in the order of image_id")
    if of_queries.shape[1] != of_gallery.shape[1]:
        raise BenchmarkError(
            f"{queries}: has {of_queries.shape[1]} columns and {gallery} has {of_gallery.shape[1]}; "
            "both need the same number"
        )
    in_order = torch.empty_like(of_queries)
    in_order[torch.from_numpy(handles(dataset).order)] = of_queries
    return rank(in_order, of_gallery, split)


def _unit_rows(path: Path, rows: int, of_what: str) -> Tensor:
    """The rows of a file as float32, each divided by its length; a row of zeros stays as it is."""
    values = _read(path)
    if values.ndim != 2 or len(values) != rows or not values.shape[1]:
        raise BenchmarkError(f"{path}: has shape {values.shape}, expected ({rows}, D): a row for each {of_what}")
    if values.dtype.kind not in "fiu":
        raise BenchmarkError(f"{path}: holds {values.dtype}, expected numbers such as float32")
    wide = values.astype(np.float64)
    is_finite = np.isfinite(wide).all(axis=1)
    if not is_finite.all():
        row = int(np.flatnonzero(~is_finite)[0])
        raise BenchmarkError(f"{path}: row {row} holds NaN or infinity, expected finite numbers")
    # By the largest value first, so that no square is infinite.
    wide /= np.maximum(np.abs(wide).max(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return torch.from_numpy((wide / np.where(lengths > 0, lengths, 1)).astype(np.float32))


def _read(path: Path) -> NDArray[np.generic]:
    if path.suffix == ".faiss":
        raise UsageError(f"{path}: is an approximate index; scores are of exact search: give the .npy file itself")
    try:
        values = np.load(path, allow_pickle=False)
    except OSError as error:
        raise BenchmarkError(f"{path}: cannot be read ({error.strerror or error}); expected a .npy file") from None
    except (ValueError, EOFError) as error:
        raise BenchmarkError(f"{path}: is not a .npy file of numbers ({error})") from None
    if not isinstance(values, np.ndarray):
        raise BenchmarkError(f"{path}: holds several arrays, expected a .npy file with one")
    return values
