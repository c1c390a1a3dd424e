"""Similarity graphs against the full matrix of cosines."""

import warnings

import numpy as np
import pytest

from metrics.similarity_graph import density_graph, knn_graph, threshold_graph
from metrics.similarity_pairs import CosineRanks, scan_pairs, unit_documents


def vectors(documents=60, hidden=7, seed=0):
    return np.random.default_rng(seed).standard_normal((documents, hidden)) + 0.4


def full(embeddings):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    return cosines


def check_form(graph):
    assert (graph != graph.T).nnz == 0 and not graph.diagonal().any() and graph.dtype == np.float32
    assert graph.has_sorted_indices


def edges(graph):
    graph = graph.tocoo()
    return {(int(a), int(b)) for a, b in zip(*graph.coords, strict=True) if a < b}


def test_a_graph_by_hand():
    corner = np.array([[1, 0], [0, 2], [1, 1], [-1, 0]])
    graph = threshold_graph(corner, 0.7)
    assert edges(graph) == {(0, 2), (1, 2)}
    assert graph[2, 0] == pytest.approx(0.5**0.5)
    # Right angles are edges too when the threshold says so, though scipy stores a zero for them.
    assert edges(threshold_graph(corner, 0.0)) == {(0, 1), (0, 2), (1, 2), (1, 3)}
    assert edges(threshold_graph(corner, -5)) == {(a, b) for a in range(4) for b in range(a + 1, 4)}
    assert edges(threshold_graph(corner, 1.1)) == set()
    # 2 is as near to 0 as to 1; the lower row wins.
    assert edges(knn_graph(corner, 1)) == {(0, 2), (1, 2), (1, 3)}
    assert edges(knn_graph(corner, 1, mutual=True)) == {(0, 2)}
    assert edges(density_graph(corner, 0.3)) == {(0, 2), (1, 2)}


@pytest.mark.parametrize("threshold", [-0.3, 0.2, 0.6])
def test_threshold_graph_equals_the_full_matrix(threshold):
    embeddings = vectors()
    cosines = full(embeddings)
    graph = threshold_graph(embeddings, threshold)
    check_form(graph)
    np.testing.assert_array_equal(graph.toarray() != 0, cosines >= threshold)
    kept = cosines >= threshold
    np.testing.assert_allclose(graph.toarray()[kept], cosines[kept], atol=1e-6)


@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("k", [1, 4, 100])
def test_knn_graph_equals_the_full_matrix(k, mutual):
    embeddings = vectors(40)
    cosines = full(embeddings)
    nearest = np.zeros((40, 40), dtype=bool)
    for document in range(40):
        nearest[document, np.argsort(-cosines[document])[: min(k, 39)]] = True
    graph = knn_graph(embeddings, k, mutual)
    check_form(graph)
    np.testing.assert_array_equal(graph.toarray() != 0, nearest & nearest.T if mutual else nearest | nearest.T)


@pytest.mark.parametrize("density", [0.0, 0.001, 0.1, 0.73, 1.0])
def test_density_graph_holds_the_most_similar_pairs(density):
    embeddings = vectors()
    cosines = full(embeddings)
    ranked = np.sort(cosines[np.triu_indices(60, 1)])[::-1]
    wanted = round(density * len(ranked))
    graph = density_graph(embeddings, density)
    check_form(graph)
    assert graph.nnz == 2 * wanted
    if wanted:
        np.testing.assert_array_equal(graph.toarray() != 0, cosines >= ranked[wanted - 1] - 1e-7)


def test_pairs_as_similar_as_the_last_are_joined_too():
    # Rows 0 to 2 point one way, 3 and 4 another: four pairs of cosine 1.
    graph = density_graph(np.array([[1, 0], [2, 0], [3, 0], [0, 1], [0, 2]]), 0.1)
    assert edges(graph) == {(0, 1), (0, 2), (1, 2), (3, 4)}


@pytest.mark.parametrize("block_values", [1, 50, 333])
def test_every_pair_is_shown_once_whatever_the_block(block_values):
    unit, _ = unit_documents(vectors(23))
    seen = np.zeros((23, 23))

    class Reader:
        def add(self, first, cosines):
            assert cosines.shape[1] == 23 - first and cosines.size <= max(block_values, cosines.shape[1])
            seen[first : first + len(cosines), first:] += np.isfinite(cosines)

    scan_pairs(unit, [Reader()], block_values)
    np.testing.assert_array_equal(seen, np.triu(np.ones((23, 23)), 1))


def test_cosines_of_given_rank():
    unit, _ = unit_documents(vectors(50))
    ranks = [1, 2, 600, 611, 612, 1225]
    reader = CosineRanks(ranks)
    scan_pairs(unit, [reader], 400)
    reader.refine()
    scan_pairs(unit, [reader], 400)
    ranked = []

    class Reader:
        def add(self, first, cosines):
            ranked.extend(cosines[np.isfinite(cosines)].tolist())

    scan_pairs(unit, [Reader()], 400)
    ranked.sort(reverse=True)
    assert min(ranked) < 0 < max(ranked)
    assert reader.cosines() == [ranked[rank - 1] for rank in ranks]


@pytest.mark.parametrize(
    "make", [lambda x: threshold_graph(x, 0.5), lambda x: knn_graph(x, 3), lambda x: density_graph(x, 0.1)]
)
def test_input_of_every_kind(make, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for documents in (0, 1):
            assert make(np.ones((documents, 3))).shape == (documents, documents)
            assert make(np.ones((documents, 3))).nnz == 0
        assert make(np.zeros((5, 3))).nnz == 0
        equal = make(np.ones((5, 3), dtype=np.float16))
        assert equal.shape == (5, 5) and equal.nnz >= 8
        embeddings = vectors().astype(np.float16)
        np.save(tmp_path / "embeddings.npy", embeddings)
        mapped = make(np.load(tmp_path / "embeddings.npy", mmap_mode="r"))
        assert (mapped != make(embeddings.astype(np.float64))).nnz == 0
        # A document of length zero is joined to none, and the others as without it.
        holed = np.insert(vectors(), 17, 0.0, axis=0)
        graph = make(holed)
        if make(vectors()).nnz == graph.nnz:  # of densities the pairs are more
            others = np.delete(np.arange(61), 17)
            assert (graph[others][:, others] != make(vectors())).nnz == 0
        assert graph[[17]].nnz == 0
        for bad in (np.nan, np.inf):
            with pytest.raises(ValueError, match="row 3"):
                make(np.where(np.arange(8)[:, None] == 3, bad, vectors(8)))
        with pytest.raises(ValueError):
            make(np.ones(4))


def test_too_many_edges_are_refused():
    with pytest.raises(ValueError, match=r"more than max_edges \(100\) .* raise the threshold"):
        threshold_graph(vectors(), 0.0, max_edges=100)
    with pytest.raises(ValueError, match=r"density of 0.5 among 60 documents is 885 edges"):
        density_graph(vectors(), 0.5, max_edges=100)
    with pytest.raises(ValueError, match="no share"):
        density_graph(vectors(), 1.5)
    with pytest.raises(ValueError, match="not a number"):
        threshold_graph(vectors(), np.nan)
    with pytest.raises(ValueError, match="k is 0"):
        knn_graph(vectors(), 0)
