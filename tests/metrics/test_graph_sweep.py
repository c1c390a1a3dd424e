"""Sweeps against one graph at a time, and the spanning tree against single linkage and against looking."""

import json
import math
import warnings

import networkx
import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage

from metrics.graph import EXPENSIVE, GraphLimits, graph_measures
from metrics.graph_sweep import density_sweep, knn_sweep, threshold_sweep
from metrics.percolation import SpanningTree, percolation, percolation_threshold
from metrics.similarity_graph import density_graph, knn_graph, threshold_graph
from metrics.similarity_pairs import scan_pairs, unit_documents

THRESHOLDS = [0.9, 0.1, 0.6, 0.75, 0.8, 0.5, 0.7, 0.5]


def clustered(documents=90, seed=0, hidden=15):
    rng = np.random.default_rng(seed)
    categories = rng.integers(-1, 5, documents)
    return rng.standard_normal((6, hidden))[categories] + 0.8 * rng.standard_normal((documents, hidden)), categories


def column(sweep, place):
    return {name: values[place] for name, values in sweep.measures.items()}


def values(graph, categories):
    return {name: measured.value for name, measured in graph_measures(graph, categories, seed=3).items()}


@pytest.mark.parametrize("with_categories", [True, False])
def test_threshold_sweep_equals_one_graph_at_a_time(with_categories):
    embeddings, categories = clustered()
    embeddings[11] = 0
    categories = categories if with_categories else None
    sweep = threshold_sweep(embeddings, THRESHOLDS, categories, seed=3)
    assert (sweep.kind, sweep.values) == ("threshold", THRESHOLDS)
    for place, threshold in enumerate(THRESHOLDS):
        expected = values(threshold_graph(embeddings, threshold), categories)
        found = column(sweep, place)
        # Louvain sees the documents in another order only through their numbers, which are the same.
        assert found == pytest.approx(expected, nan_ok=True), threshold
    assert len(set(sweep.measures["graph_components"])) > 3
    assert sweep.percolation.threshold == pytest.approx(percolation_threshold(embeddings))


def test_density_and_neighbour_sweeps_equal_one_graph_at_a_time():
    embeddings, categories = clustered()
    densities, ks = [0.3, 0.0, 0.01, 1.0], [5, 1, 30, 200]
    sweep = density_sweep(embeddings, densities, categories, seed=3)
    for place, density in enumerate(densities):
        expected = values(density_graph(embeddings, density), categories)
        assert column(sweep, place) == pytest.approx(expected, nan_ok=True), density
    for mutual in (False, True):
        sweep = knn_sweep(embeddings, ks, categories, mutual, seed=3)
        assert sweep.kind == ("mutual_knn" if mutual else "knn")
        for place, k in enumerate(ks):
            expected = values(knn_graph(embeddings, k, mutual), categories)
            assert column(sweep, place) == pytest.approx(expected, nan_ok=True), k


def test_above_the_limit_what_can_be_counted_stays_exact():
    embeddings, categories = clustered()
    whole = threshold_sweep(embeddings, THRESHOLDS, categories)
    edges = np.array(whole.measures["graph_edges"])
    limits = GraphLimits(edges=int(np.sort(edges)[-3]))
    cut = threshold_sweep(embeddings, THRESHOLDS, categories, limits=limits)
    for name, numbers in whole.measures.items():
        for place, number in enumerate(numbers):
            found = cut.measures[name][place]
            if name in EXPENSIVE and edges[place] > limits.edges:
                assert math.isnan(found)
            else:
                assert found == pytest.approx(number, nan_ok=True)
    assert 0 < np.isnan(cut.measures["graph_clustering"]).sum() < len(THRESHOLDS)
    assert not np.isnan(whole.measures["graph_clustering"]).any()


@pytest.mark.parametrize("max_candidates", [1, 100, 10_000])
@pytest.mark.parametrize("block_values", [1, 500, 100_000])
def test_spanning_tree_equals_single_linkage(max_candidates, block_values):
    embeddings, _ = clustered(70, seed=2)
    unit, rows = unit_documents(embeddings)
    tree = SpanningTree(len(unit), max_candidates)
    scan_pairs(unit, [tree], block_values)
    found = tree.percolation(rows, 70)
    merged = linkage(unit.astype(np.float64), "single", metric="cosine")
    np.testing.assert_allclose(found.joins, 1 - merged[:, 2], atol=1e-6)
    np.testing.assert_array_equal(found.largest, np.maximum.accumulate(merged[:, 3]))
    cosines = (unit.astype(np.float64) @ unit.T)[tuple(found.pairs.T)]
    np.testing.assert_allclose(cosines, found.joins, atol=1e-6)


def test_percolation_equals_looking_at_every_threshold():
    embeddings, _ = clustered(50, seed=4)
    found = percolation(embeddings)
    unit, _ = unit_documents(embeddings)
    cosines = unit @ unit.T
    pairs = np.transpose(np.triu_indices(50, 1))
    ranked = pairs[np.argsort(-cosines[tuple(pairs.T)])]
    graph = networkx.empty_graph(50)
    first = None
    for pair in ranked:
        graph.add_edge(*pair)
        threshold = cosines[tuple(pair)] - 1e-6
        sizes = sorted(map(len, networkx.connected_components(graph)), reverse=True)
        assert found.components([threshold]) == len(sizes)
        assert found.giant_share([threshold]) == pytest.approx(sizes[0] / 50)
        assert found.component_sizes(threshold).tolist() == sizes
        if first is None and sizes[0] >= 25:
            first = cosines[tuple(pair)]
        if len(sizes) == 1:
            break
    assert found.threshold == percolation_threshold(embeddings) == pytest.approx(first, abs=1e-6)
    thresholds, shares = found.curve(20)
    assert len(thresholds) == 21 and shares[0] == 1 and (np.diff(shares) <= 0).all()
    assert shares[thresholds.tolist().index(found.threshold)] >= 0.5 > found.giant_share([found.threshold + 1e-6])[0]
    assert found.components([2.0]) == 50 and found.giant_share([2.0]) == 1 / 50


def test_percolation_by_hand():
    angles = np.radians([0, 10, 30, 70, 150])
    found = percolation(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    np.testing.assert_allclose(found.joins, np.cos(np.radians([10, 20, 40, 80])), atol=1e-6)
    assert found.largest.tolist() == [2, 3, 4, 5] and sorted(map(sorted, found.pairs.tolist())) == [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 4],
    ]
    assert found.threshold == pytest.approx(np.cos(np.radians(20)))
    written = json.loads(json.dumps(found.as_dict(3)))
    assert written["threshold"] == found.threshold
    assert written["curve"]["giant_share"] == [1.0, 0.8, 0.6, 0.4]


def test_the_tree_of_many_documents_takes_few_candidates():
    rng = np.random.default_rng(0)
    unit, rows = unit_documents(rng.standard_normal((1_500, 12)))
    tree, taken = SpanningTree(1_500, max_candidates=20_000), []
    merge = tree._merge
    tree._merge = lambda: (taken.append(tree._count), merge())
    scan_pairs(unit, [tree])
    found = tree.percolation(rows, 1_500)
    np.testing.assert_allclose(
        found.joins.sum(), (1 - linkage(unit.astype(np.float64), "single", metric="cosine")[:, 2]).sum(), rtol=1e-5
    )
    assert sum(taken) < 0.2 * 1_500 * 1_499 / 2


def test_input_of_every_kind():
    categories = np.array([0, 0, 1, 1, -1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for documents in (0, 1):
            embeddings = np.ones((documents, 3))
            assert math.isnan(percolation_threshold(embeddings))
            assert percolation(embeddings).as_dict()["threshold"] is None
            for sweep in (
                threshold_sweep(embeddings, [0.5], categories[:documents]),
                density_sweep(embeddings, [0.5], categories[:documents]),
                knn_sweep(embeddings, [2], categories[:documents]),
            ):
                assert sweep.measures["graph_components"] == [documents]
                assert sweep.as_dict()["measures"]["graph_density"] == [None]
        zeros = threshold_sweep(np.zeros((5, 3)), [0.5, -1], categories)
        assert zeros.measures["graph_isolated_share"] == [1, 1] and math.isnan(zeros.percolation.threshold)
        equal = threshold_sweep(np.full((5, 3), 0.3, dtype=np.float16), [0.999, -np.inf], categories)
        assert equal.measures["graph_edges"] == [10, 10] and equal.measures["graph_components"] == [1, 1]
        assert equal.percolation.threshold == pytest.approx(1, abs=1e-6)
        # Half have a direction and lie together, so the threshold exists; with one fewer it does not.
        assert percolation_threshold(np.vstack([np.ones((4, 2)), np.zeros((4, 2))])) == pytest.approx(1)
        assert math.isnan(percolation_threshold(np.vstack([np.ones((3, 2)), np.zeros((5, 2))])))
        assert threshold_sweep(np.ones((5, 3)), []).as_dict() == {"values": [], "measures": {}}
        assert knn_sweep(np.ones((5, 3)), []).as_dict() == {"values": [], "measures": {}}
    for make in (percolation, lambda x: threshold_sweep(x, [0.5]), lambda x: knn_sweep(x, [1])):
        with pytest.raises(ValueError, match="row 1"):
            make(np.array([[1.0, 2.0], [np.nan, 1.0]]))
    with pytest.raises(ValueError, match="not a number"):
        threshold_sweep(np.ones((5, 3)), [math.nan])
    with pytest.raises(ValueError, match="k is 0"):
        knn_sweep(np.ones((5, 3)), [3, 0])
    with pytest.raises(ValueError, match="no share"):
        density_sweep(np.ones((5, 3)), [-0.1])
    with pytest.raises(ValueError, match="5 documents"):
        threshold_sweep(np.ones((5, 3)), [0.5], categories[:4])


def test_equal_documents_are_joined_at_a_threshold_of_one():
    embeddings = np.repeat(np.random.default_rng(0).normal(size=(20, 384)).astype(np.float32), 2, axis=0)
    sweep = threshold_sweep(embeddings, [0.999, 1.0, 1.5])
    assert sweep.measures["graph_edges"] == [20.0, 20.0, 0.0]
    assert threshold_graph(embeddings, 1.0).nnz == 40
