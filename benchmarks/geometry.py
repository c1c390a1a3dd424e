"""Measures of an embedding space: ours against the naive way, and ours alone on 100,000 embeddings.

python benchmarks/geometry.py                                   # 2,000 and 10,000 documents, side by side
python benchmarks/geometry.py --documents --alone 100000        # ours alone

The embeddings are random, drawn around 20 centres with a common direction, and lie in a memory-mapped file. Everything
is measured in a process of its own, on one thread: seconds of processor time, which other jobs on the machine hardly
touch, and the peak of resident memory beyond what it was when the embeddings had been read once and everything was
imported.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CATEGORIES, NEIGHBOURS = 20, 10


def write_embeddings(folder: Path, documents: int, hidden: int, dtype: str, seed: int = 0) -> None:
    """Write `embeddings.npy` and `categories.npy`.

    Args:
        folder: Where.
        documents: How many.
        hidden: Length of an embedding.
        dtype: Of the numbers.
        seed: Of the draw.
    """
    rng = np.random.default_rng(seed)
    categories = rng.integers(0, CATEGORIES, documents)
    centres = 0.3 + 0.3 * rng.normal(size=(CATEGORIES, hidden))
    stored = np.lib.format.open_memmap(folder / "embeddings.npy", "w+", dtype, (documents, hidden))
    for start in range(0, documents, 4_096):
        own = categories[start : start + 4_096]
        stored[start : start + 4_096] = rng.normal(size=(len(own), hidden)) + centres[own]
    stored.flush()
    np.save(folder / "categories.npy", categories)


def naive_uniformity(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """All distances at once, as the paper's code has it."""
    import torch

    vectors = torch.nn.functional.normalize(torch.from_numpy(np.array(embeddings, dtype=np.float32)), dim=1)
    return float(torch.pdist(vectors).pow(2).mul(-2).exp().mean().log())


def our_uniformity(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """With its interval."""
    from metrics.alignment import uniformity

    return uniformity(embeddings).value


def naive_cosines(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """The matrix of all cosines, histograms and moments from it, and scikit-learn's area under the ROC curve."""
    from sklearn.metrics import roc_auc_score
    from sklearn.metrics.pairwise import cosine_similarity

    upper = np.triu_indices(len(embeddings), 1)
    cosines = cosine_similarity(np.asarray(embeddings))[upper]
    same = (categories[:, None] == categories)[upper]
    for part in (cosines[same], cosines[~same]):
        np.histogram(part, np.linspace(-1, 1, 101))
        part.mean(), part.std()
    return float(roc_auc_score(same, cosines))


def our_cosines(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """With intervals."""
    from metrics.cosine_similarity import cosine_by_category

    return cosine_by_category(embeddings, categories).superiority.value


def naive_neighbours(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """The matrix of all cosines, and each row sorted."""
    from sklearn.metrics.pairwise import cosine_similarity

    cosines = cosine_similarity(np.asarray(embeddings))
    np.fill_diagonal(cosines, -np.inf)
    return float(np.argsort(-cosines, axis=1)[:, :NEIGHBOURS].astype(np.float64).mean())


def our_neighbours(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """Exact, ties by row."""
    from metrics.neighbours import nearest_neighbours

    return float(nearest_neighbours(embeddings, NEIGHBOURS).indices.mean())


def naive_silhouette(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """scikit-learn, from all cosine distances."""
    from sklearn.metrics import silhouette_score

    return float(silhouette_score(np.asarray(embeddings), categories, metric="cosine"))


def our_silhouette(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """Without pairs."""
    from metrics.clusters import silhouettes

    return float(silhouettes(embeddings, categories).mean())


def naive_map(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """The matrix of all cosines, and scikit-learn's average precision of each row."""
    from sklearn.metrics import average_precision_score
    from sklearn.metrics.pairwise import cosine_similarity

    cosines, rows = cosine_similarity(np.asarray(embeddings)), np.arange(len(embeddings))
    scores = [
        average_precision_score(np.delete(categories == categories[row], row), np.delete(cosines[row], row))
        for row in rows
    ]
    return float(np.mean(scores))


def our_map(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """With recall, nDCG and intervals."""
    from metrics.retrieval import category_retrieval

    return category_retrieval(embeddings, categories)["retrieval_map"].value


def our_geometry(embeddings: np.ndarray, categories: np.ndarray) -> float:
    """Everything of `metrics.geometry`."""
    from metrics.geometry import geometry

    return geometry(embeddings, categories, k=NEIGHBOURS)["uniformity"].value


SIDE_BY_SIDE: dict[str, tuple[Callable, Callable]] = {
    "uniformity": (naive_uniformity, our_uniformity),
    "cosines": (naive_cosines, our_cosines),
    "neighbours": (naive_neighbours, our_neighbours),
    "silhouette": (naive_silhouette, our_silhouette),
    "retrieval": (naive_map, our_map),
}
ALL = {function.__name__: function for both in SIDE_BY_SIDE.values() for function in both}
ALL["our_geometry"] = our_geometry


def measure_here(name: str, folder: Path) -> None:
    """Run one function in this process and print value, seconds of processor time and GiB as JSON."""
    import resource

    import psutil

    embeddings = np.load(folder / "embeddings.npy", mmap_mode="r")
    categories = np.load(folder / "categories.npy")
    # Imports, and the pages of the file.
    ALL[name](np.asarray(embeddings[:60], dtype=np.float32), np.arange(60) % 3)
    for start in range(0, len(embeddings), 4_096):
        embeddings[start : start + 4_096].max()
    before, start = psutil.Process().memory_info().rss, time.process_time()
    value = ALL[name](embeddings, categories)
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(json.dumps({"value": value, "seconds": seconds, "gib": max(0, peak - before) / 2**30}))


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Run one function in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--measure", name, "--folder", str(folder)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | threads)
    return json.loads(result.stdout)


def main() -> None:
    """Make the embeddings, measure, print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="*", default=[2_000, 10_000], help="side by side")
    parser.add_argument("--alone", type=int, nargs="*", default=[], help="all of geometry, ours alone")
    parser.add_argument("--hidden", type=int, default=768)
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float32")
    parser.add_argument("--folder", help="where to work; a temporary folder by default")
    parser.add_argument("--measure", choices=sorted(ALL), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure_here(arguments.measure, Path(arguments.folder))
        return
    for documents in arguments.documents:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            write_embeddings(Path(folder), documents, arguments.hidden, arguments.dtype)
            print(f"\n{documents:,} x {arguments.hidden} {arguments.dtype}\n")
            print("| | naive CPU s | ours CPU s | ratio | naive GiB | ours GiB | ratio | naive value | our value |")
            print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
            for name, (theirs, ours) in SIDE_BY_SIDE.items():
                one, other = (measure(function.__name__, Path(folder)) for function in (theirs, ours))
                cells = [
                    f"{one[unit]:.2f} | {other[unit]:.2f} | {one[unit] / max(other[unit], 1e-3):.1f}"
                    for unit in ("seconds", "gib")
                ]
                print(f"| {name} | {' | '.join(cells)} | {one['value']:.6f} | {other['value']:.6f} |", flush=True)
            alone = measure("our_geometry", Path(folder))
            print(f"\nall of geometry: {alone['seconds']:.1f} CPU s, {alone['gib']:.2f} GiB", flush=True)
    for documents in arguments.alone:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            write_embeddings(Path(folder), documents, arguments.hidden, arguments.dtype)
            alone = measure("our_geometry", Path(folder))
            size = documents * arguments.hidden * np.dtype(arguments.dtype).itemsize / 2**30
            print(
                f"\n{documents:,} x {arguments.hidden} {arguments.dtype}, {size:.2f} GiB: all of geometry in", end=" "
            )
            print(f"{alone['seconds']:,.0f} CPU s, {alone['gib']:.2f} GiB beyond the embeddings", flush=True)


if __name__ == "__main__":
    main()
