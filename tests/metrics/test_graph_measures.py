"""Graph measures against networkx."""

import math
import warnings

import networkx
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

import metrics.triangles
from metrics.evaluate_graph import GraphMetric
from metrics.graph import EXPENSIVE, GraphLimits, communities, component_sizes, graph_measures
from metrics.measures import MEASURES
from metrics.similarity_graph import knn_graph, threshold_graph
from metrics.triangles import triangles


def plain(graph, *arguments, **options):
    return {name: measured.value for name, measured in graph_measures(graph, *arguments, **options).items()}


def sparse(graph):
    return csr_array(networkx.to_scipy_sparse_array(graph, nodelist=range(len(graph)), dtype=np.float32))


def random_graph(seed, documents=60, share=0.08):
    graph = networkx.gnp_random_graph(documents, share, seed=seed)
    graph.add_nodes_from(range(documents, documents + 3))  # alone
    return graph


def by_networkx(graph, categories):
    """Everything that networkx has, on documents with a category where categories are concerned."""
    documents = len(graph)
    degrees = np.array([degree for _, degree in sorted(graph.degree())])
    sizes = sorted(map(len, networkx.connected_components(graph)), reverse=True)
    spread = np.abs(degrees[:, None] - degrees[None]).mean() / (2 * degrees.mean())
    known = graph.subgraph([node for node in graph if categories[node] >= 0]).copy()
    networkx.set_node_attributes(known, {node: int(categories[node]) for node in known}, "category")
    groups = [{node for node in known if categories[node] == one} for one in set(categories[categories >= 0])]
    found = networkx.community.louvain_communities(graph, weight=None, seed=5)
    label = {node: number for number, members in enumerate(found) for node in members}
    pairs = [(int(categories[node]), label[node]) for node in known]
    return {
        "graph_edges": graph.number_of_edges(),
        "graph_density": networkx.density(graph),
        "graph_components": len(sizes),
        "graph_giant_share": sizes[0] / documents,
        "graph_second_share": sizes[1] / documents,
        "graph_isolated_share": networkx.number_of_isolates(graph) / documents,
        "graph_mean_degree": degrees.mean(),
        "graph_median_degree": np.median(degrees),
        "graph_max_degree": degrees.max(),
        "graph_degree_gini": spread,
        "graph_clustering": networkx.average_clustering(graph),
        "graph_transitivity": networkx.transitivity(graph),
        "graph_assortativity": networkx.attribute_assortativity_coefficient(known, "category"),
        "graph_category_modularity": networkx.community.modularity(known, groups, weight=None),
        "graph_communities": len(found),
        "graph_louvain_modularity": networkx.community.modularity(graph, found, weight=None),
        "graph_community_nmi": normalized_mutual_info_score(*zip(*pairs, strict=True)),
        "graph_community_ari": adjusted_rand_score(*zip(*pairs, strict=True)),
    }


@pytest.mark.parametrize("seed", range(4))
def test_measures_equal_networkx(seed):
    graph = random_graph(seed)
    categories = np.random.default_rng(seed).integers(-1, 4, len(graph))
    assert plain(sparse(graph), categories, seed=5) == pytest.approx(by_networkx(graph, categories), abs=1e-12)


def test_measures_of_a_similarity_graph_equal_networkx():
    rng = np.random.default_rng(1)
    categories = rng.integers(0, 4, 120)
    embeddings = rng.standard_normal((4, 10))[categories] + rng.standard_normal((120, 10))
    graph = knn_graph(embeddings, 4, mutual=True)
    cosines = networkx.from_scipy_sparse_array(graph)
    found = plain(graph, categories, seed=5)
    assert found == pytest.approx(by_networkx(cosines, categories), abs=1e-12)
    assert found["graph_assortativity"] > 0.2 and found["graph_community_nmi"] > 0.2
    assert set(found) == {name for name, info in MEASURES.items() if info.group == "graph"} - {
        "graph_percolation_threshold"
    }


def test_a_graph_by_hand():
    # A triangle 0 1 2 with a tail 3, an edge 4 5, and 6 alone.
    graph = networkx.Graph([(0, 1), (1, 2), (0, 2), (2, 3), (4, 5)])
    graph.add_node(6)
    found = plain(sparse(graph), np.array([0, 0, 0, 1, 1, 1, -1]))
    assert found["graph_edges"] == 5 and found["graph_density"] == pytest.approx(5 / 21)
    assert (found["graph_components"], found["graph_giant_share"], found["graph_second_share"]) == (3, 4 / 7, 2 / 7)
    assert (found["graph_mean_degree"], found["graph_median_degree"], found["graph_max_degree"]) == (10 / 7, 1, 3)
    assert found["graph_isolated_share"] == 1 / 7
    assert found["graph_clustering"] == pytest.approx((1 + 1 + 1 / 3) / 7)
    assert found["graph_transitivity"] == pytest.approx(3 / 5)
    # Four of five edges within; categories have 7 and 3 of the 10 ends.
    assert found["graph_category_modularity"] == pytest.approx(0.8 - 0.58)
    assert found["graph_assortativity"] == pytest.approx(0.22 / 0.42)
    assert component_sizes(sparse(graph)).tolist() == [4, 2, 1]
    assert triangles(sparse(graph)).tolist() == [1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_triangles_of_both_products_and_of_small_blocks(share, monkeypatch):
    graph = random_graph(7, 80, share)
    counted = networkx.triangles(graph)
    expected = [counted[node] for node in range(len(graph))]
    for dense_documents, block in ((4096, 5_000_000), (0, 5_000_000), (0, 700), (0, 1)):
        monkeypatch.setattr(metrics.triangles, "DENSE_DOCUMENTS", dense_documents)
        monkeypatch.setattr(metrics.triangles, "BLOCK_STEPS", block)
        assert triangles(sparse(graph)).tolist() == expected
    if share > 0.9:  # and the dense product was chosen in the first round
        monkeypatch.setattr(metrics.triangles, "DENSE_DOCUMENTS", 4096)
        degrees = np.diff(sparse(graph).indptr)
        assert metrics.triangles.wedge_work(degrees) == (degrees > 1).sum() ** 3 // 100 < (degrees**2).sum()


def test_a_stored_zero_is_an_edge():
    graph = threshold_graph(np.array([[1, 0], [0, 1], [-1, 0]]), 0.0)
    assert graph.nnz == 4 and not graph.data.any()
    found = plain(graph)
    assert found["graph_edges"] == 2 and found["graph_components"] == 1 and found["graph_mean_degree"] == 4 / 3


def test_above_the_limits_measures_are_no_number():
    graph, categories = sparse(random_graph(1)), np.arange(63) % 3
    whole = plain(graph, categories)
    assert not any(map(math.isnan, whole.values()))
    for limits, missing in (
        (GraphLimits(triangle_steps=10), EXPENSIVE[:2]),
        (GraphLimits(louvain_edges=10), EXPENSIVE[2:]),
    ):
        found = plain(graph, categories, limits=limits)
        assert {name for name, value in found.items() if math.isnan(value)} == set(missing)
        assert {name: found[name] for name in whole if name not in missing} == {
            name: value for name, value in whole.items() if name not in missing
        }


def test_communities_of_two_cliques():
    graph = networkx.disjoint_union(networkx.complete_graph(5), networkx.complete_graph(4))
    graph.add_edge(0, 5)
    labels = communities(sparse(graph))
    assert len(set(labels[:5])) == len(set(labels[5:])) == 1 and labels[0] != labels[5]


def empty(documents):
    return csr_array((documents, documents), dtype=np.float32)


def test_graphs_that_leave_measures_undefined():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nothing = plain(empty(0), np.empty(0, dtype=np.int64))
        assert nothing["graph_edges"] == nothing["graph_components"] == 0
        assert all(
            math.isnan(value) for name, value in nothing.items() if name not in ("graph_edges", "graph_components")
        )
        one = plain(empty(1), np.array([0]))
        assert math.isnan(one["graph_density"]) and one["graph_isolated_share"] == one["graph_giant_share"] == 1
        alone = plain(empty(4), np.arange(4))
        assert alone["graph_components"] == alone["graph_communities"] == 4 and alone["graph_clustering"] == 0
        for name in ("assortativity", "category_modularity", "louvain_modularity", "degree_gini"):
            assert math.isnan(alone[f"graph_{name}"])
        whole = sparse(networkx.complete_graph(6))
        single = plain(whole, np.zeros(6, dtype=np.int64))
        assert math.isnan(single["graph_assortativity"]) and single["graph_category_modularity"] == 0
        apart = plain(whole, np.arange(6))
        assert apart["graph_assortativity"] == pytest.approx(-0.2) and apart["graph_clustering"] == 1
        without = plain(whole, np.full(6, -1))
        assert math.isnan(without["graph_assortativity"]) and math.isnan(without["graph_community_nmi"])
        assert not {"graph_assortativity", "graph_community_ari"} & set(plain(whole))
    with pytest.raises(ValueError, match="square"):
        graph_measures(csr_array((2, 3)))
    with pytest.raises(ValueError, match=r"shape \(3,\) for 6 documents"):
        graph_measures(whole, np.zeros(3, dtype=np.int64))


def test_as_an_evaluate_metric(tmp_path):
    rng = np.random.default_rng(3)
    embeddings, categories = rng.standard_normal((40, 5)).astype(np.float32), rng.integers(0, 3, 40)
    metric = GraphMetric("mutual_knn", cache_dir=str(tmp_path))
    for batch in (slice(0, 25), slice(25, None)):
        metric.add_batch(predictions=embeddings[batch], references=categories[batch])
    assert metric.compute(k=3, seed=2) == plain(knn_graph(embeddings, 3, mutual=True), categories, seed=2)
    found = GraphMetric("threshold", cache_dir=str(tmp_path)).compute(
        predictions=embeddings, references=categories, threshold=0.3
    )
    assert found == plain(threshold_graph(embeddings, 0.3), categories)
    dense = GraphMetric("density", cache_dir=str(tmp_path))
    assert dense.compute(predictions=embeddings, references=categories, density=0.1)["graph_edges"] == 78
    with pytest.raises(ValueError, match="choose from knn"):
        GraphMetric("nearest", cache_dir=str(tmp_path))
