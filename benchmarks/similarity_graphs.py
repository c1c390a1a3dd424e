"""Time and peak memory of similarity graphs, beside networkx on the full matrix of cosines.

python benchmarks/similarity_graphs.py --documents 2000 10000
python benchmarks/similarity_graphs.py --documents 20000 --only_ours

The vectors are drawn: 40 groups of unequal size around a common mean, so that all cosines are high, as those of an
anisotropic encoder. Every figure is of a process of its own: processor time of the job alone, which other jobs on the
machine change little, and peak memory above what imports and vectors take. The naive way is
`networkx.from_numpy_array` on the matrix of all cosines at or above the threshold, then networkx's own measures; it is
stopped at the limits given. Louvain's method, which both would take from networkx, runs in the sweeps of
`--only_ours` alone.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

HIDDEN, GROUPS = 384, 40
# Where a graph has few enough edges for networkx to finish at 2,000 documents.
THRESHOLDS = [0.5, 0.6, 0.7, 0.8]
SWEEP = [round(0.1 + 0.05 * step, 2) for step in range(18)]
KS = [5, 10, 20, 50]
DENSITIES = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]


def vectors(documents: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw `(documents, 384)` float32 embeddings and `(documents,)` groups."""
    generator = np.random.default_rng(seed)
    shares = 1 / np.arange(2, GROUPS + 2)
    groups = generator.choice(GROUPS, documents, p=shares / shares.sum())
    spectrum = np.arange(1, HIDDEN + 1) ** -0.35
    spectrum *= math.sqrt(HIDDEN / (spectrum**2).sum())
    centres, mean = generator.standard_normal((GROUPS, HIDDEN)), generator.standard_normal(HIDDEN)
    spread = generator.lognormal(-0.55, 0.25, documents)
    noise = generator.standard_normal((documents, HIDDEN)) * spectrum * spread[:, None]
    return (0.6 * mean + 0.5 * centres[groups] + noise).astype(np.float32), groups


def ours_thresholds(embeddings: np.ndarray, groups: np.ndarray) -> list[dict[str, float]]:
    """Measure the graphs at `THRESHOLDS`."""
    from metrics.graph import GraphLimits
    from metrics.graph_sweep import threshold_sweep

    limits = GraphLimits(edges=5_000_000, triangle_steps=10**11, louvain_edges=-1)
    sweep = threshold_sweep(embeddings, THRESHOLDS, groups, limits=limits)
    return [
        {name: numbers[place] for name, numbers in sweep.measures.items() if not math.isnan(numbers[place])}
        for place in range(len(THRESHOLDS))
    ]


def naive_thresholds(embeddings: np.ndarray, groups: np.ndarray) -> list[dict[str, float]]:
    """Do the same by networkx."""
    import networkx

    cosines = full_matrix(embeddings)
    found = []
    for threshold in THRESHOLDS:
        graph = networkx.from_numpy_array(np.where(cosines >= threshold, cosines, 0))
        networkx.set_node_attributes(graph, dict(enumerate(groups.tolist())), "group")
        degrees = np.array([degree for _, degree in graph.degree()])
        sizes = sorted(map(len, networkx.connected_components(graph)))
        members = [set(np.flatnonzero(groups == group).tolist()) for group in np.unique(groups)]
        found.append(
            {
                "graph_edges": graph.number_of_edges(),
                "graph_density": networkx.density(graph),
                "graph_components": len(sizes),
                "graph_giant_share": sizes[-1] / len(graph),
                "graph_isolated_share": networkx.number_of_isolates(graph) / len(graph),
                "graph_median_degree": float(np.median(degrees)),
                "graph_clustering": networkx.average_clustering(graph),
                "graph_transitivity": networkx.transitivity(graph),
                "graph_assortativity": networkx.attribute_assortativity_coefficient(graph, "group"),
                "graph_category_modularity": networkx.community.modularity(graph, members, weight=None),
            }
        )
    return found


def ours_percolation(embeddings: np.ndarray, groups: np.ndarray) -> list[dict[str, float]]:
    """Find the percolation threshold from the spanning tree in blocks."""
    from metrics.percolation import percolation

    found = percolation(embeddings)
    return [{"threshold": found.threshold, "lowest_join": float(found.joins[-1])}]


def naive_percolation(embeddings: np.ndarray, groups: np.ndarray) -> list[dict[str, float]]:
    """Find it from networkx's maximum spanning tree of the full graph."""
    import networkx

    graph = networkx.from_numpy_array(full_matrix(embeddings))
    edges = networkx.maximum_spanning_edges(graph, data=True)
    components, threshold, lowest = networkx.utils.UnionFind(graph), math.nan, math.nan
    for first, second, data in edges:
        components.union(first, second)
        lowest = data["weight"]
        if math.isnan(threshold) and 2 * components.weights[components[first]] >= len(graph):
            threshold = lowest
    return [{"threshold": threshold, "lowest_join": lowest}]


def full_matrix(embeddings: np.ndarray) -> np.ndarray:
    """Return all cosines, zero on the diagonal."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, 0)
    return cosines


def threshold_sweep_alone(embeddings: np.ndarray, groups: np.ndarray) -> Any:
    """Run the whole sweep over thresholds."""
    from metrics.graph_sweep import threshold_sweep

    return threshold_sweep(embeddings, SWEEP, groups).as_dict()


def knn_sweep_alone(embeddings: np.ndarray, groups: np.ndarray) -> Any:
    """Run the whole sweep over numbers of neighbours."""
    from metrics.graph_sweep import knn_sweep

    return knn_sweep(embeddings, KS, groups).as_dict()


def density_sweep_alone(embeddings: np.ndarray, groups: np.ndarray) -> Any:
    """Run the whole sweep over densities."""
    from metrics.graph_sweep import density_sweep

    return density_sweep(embeddings, DENSITIES, groups).as_dict()


JOBS: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "thresholds ours": ours_thresholds,
    "thresholds naive": naive_thresholds,
    "percolation ours": ours_percolation,
    "percolation naive": naive_percolation,
    "threshold sweep": threshold_sweep_alone,
    "knn sweep": knn_sweep_alone,
    "density sweep": density_sweep_alone,
}


def peak() -> float:
    """Return the largest resident size of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform != "darwin" else 2**20)


def run_job(job: str, file: str) -> None:
    """Run one job in this process and print its figures as JSON."""
    with np.load(file) as saved:
        embeddings, groups = saved["embeddings"], saved["groups"]
    JOBS[job](embeddings[:200], groups[:200])  # imports what it needs
    before, start = peak(), time.process_time()
    found = JOBS[job](embeddings, groups)
    seconds = time.process_time() - start
    print(json.dumps({"seconds": seconds, "mib": peak() - before, "found": found}))


def measured(job: str, documents: int, seconds: float, gigabytes: float) -> dict[str, Any] | str:
    """Run one job in a child process; a line that says why where it did not finish."""

    def limit() -> None:
        size = int(gigabytes * 2**30)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds) + 5))

    with tempfile.TemporaryDirectory() as folder:
        embeddings, groups = vectors(documents)
        np.savez(f"{folder}/vectors.npz", embeddings=embeddings, groups=groups)
        command = [sys.executable, __file__, "--job", job, "--vectors", f"{folder}/vectors.npz"]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit)
    if done.returncode == -signal.SIGXCPU:
        return f"not finished after {seconds:,.0f} s"
    if done.returncode:
        if "MemoryError" in done.stderr or "Unable to allocate" in done.stderr or done.returncode < 0:
            return f"out of memory at {gigabytes:g} GiB"
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def largest_difference(first: list[dict[str, float]], second: list[dict[str, float]]) -> float:
    """Return the largest relative difference of what both measured."""
    return max(
        abs(one[name] - other[name]) / max(1.0, abs(one[name]))
        for one, other in zip(first, second, strict=True)
        for name in one.keys() & other.keys()
    )


def compare(documents: int, seconds: float, gigabytes: float) -> None:
    """Print ours beside the naive way."""
    for job in ("thresholds", "percolation"):
        ours, naive = (measured(f"{job} {way}", documents, seconds, gigabytes) for way in ("ours", "naive"))
        assert isinstance(ours, dict), ours
        print(f"{documents:>7,}  {job:<16} ours   {ours['seconds']:8.1f} s {ours['mib']:8,.0f} MiB", flush=True)
        if isinstance(naive, str):
            print(f"{documents:>7,}  {job:<16} naive  {naive}", flush=True)
            continue
        difference = largest_difference(ours["found"], naive["found"])
        print(
            f"{documents:>7,}  {job:<16} naive  {naive['seconds']:8.1f} s {naive['mib']:8,.0f} MiB; ours is "
            f"{naive['seconds'] / ours['seconds']:,.0f} times as fast with {ours['mib'] / naive['mib']:.1%} of the "
            f"memory; largest relative difference {difference:.0e}",
            flush=True,
        )
        if difference > 1e-4:
            raise SystemExit("the values differ")


def alone(documents: int, seconds: float, gigabytes: float) -> None:
    """Print our sweeps."""
    for job in ("threshold sweep", "percolation ours", "knn sweep", "density sweep"):
        found = measured(job, documents, seconds, gigabytes)
        if isinstance(found, str):
            print(f"{documents:>7,}  {job:<16} {found}", flush=True)
            continue
        print(f"{documents:>7,}  {job:<16} {found['seconds']:8.1f} s {found['mib']:8,.0f} MiB", flush=True)
        if "sweep" in job:
            measures = found["found"]["measures"]
            print("         values            ", *found["found"]["values"])
            for name in ("edges", "components", "giant_share", "clustering", "assortativity", "louvain_modularity"):
                numbers = ("-" if number is None else f"{number:.4g}" for number in measures[f"graph_{name}"])
                print(f"         {name:<18}", *numbers)


def main() -> None:
    """Run the comparison, or one job of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, nargs="+", default=[2_000, 10_000])
    parser.add_argument("--only_ours", action="store_true", help="our sweeps, without the naive way")
    parser.add_argument("--max_seconds", type=float, default=1_800, help="of processor time of one process")
    parser.add_argument("--max_gigabytes", type=float, default=8, help="of one process (address space)")
    parser.add_argument("--job", choices=JOBS, help="run this job alone and print its figures as JSON")
    parser.add_argument("--vectors", help="the vectors of that job")
    arguments = parser.parse_args()
    if arguments.job:
        run_job(arguments.job, arguments.vectors)
        return
    for documents in arguments.documents:
        way = alone if arguments.only_ours else compare
        way(documents, arguments.max_seconds, arguments.max_gigabytes)


if __name__ == "__main__":
    main()
