"""The measures of an embedding space: what each is called, what it says, and which direction is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Group = Literal["geometry", "clusters", "retrieval", "graph"]


@dataclass(frozen=True)
class MeasureInfo:
    """What a reader needs to know of a measure.

    Args:
        name: Key in result files.
        title: In tables and figures.
        group: Where it stands in tables.
        better: Whether higher or lower values speak for a space whose categories are to be told apart; None where
            neither does by itself.
        explanation: One sentence.
        source: Where the definition is from.
    """

    name: str
    title: str
    group: Group
    better: Literal["higher", "lower"] | None
    explanation: str
    source: str


_ALL = (
    MeasureInfo(
        "alignment",
        "Alignment of two parts of a document",
        "geometry",
        "lower",
        "Mean squared distance of the unit embeddings of two parts of the same document; 0 when they coincide.",
        "Wang and Isola 2020, eq. 6",
    ),
    MeasureInfo(
        "category_alignment",
        "Alignment within categories",
        "geometry",
        "lower",
        "Mean squared distance of the unit embeddings of two documents of one category; 0 when they coincide.",
        "Wang and Isola 2020, eq. 6",
    ),
    MeasureInfo(
        "uniformity",
        "Uniformity",
        "geometry",
        "lower",
        "Logarithm of the mean Gaussian potential of two unit embeddings; -4 on a sphere filled evenly in high "
        "dimension, 0 when all coincide.",
        "Wang and Isola 2020, eq. 7",
    ),
    MeasureInfo(
        "mean_cosine",
        "Mean cosine",
        "geometry",
        "lower",
        "Mean cosine of two documents; high when all embeddings lie in one narrow cone.",
        "Ethayarajh 2019",
    ),
    MeasureInfo(
        "mean_cosine_centred",
        "Mean cosine, centred",
        "geometry",
        None,
        "Mean cosine of two documents once the mean embedding is taken away: what no common direction explains.",
        "Mu and Viswanath 2018",
    ),
    MeasureInfo(
        "cosine_within",
        "Cosine within categories",
        "geometry",
        None,
        "Mean cosine of two documents of one category, over all such pairs.",
        "Taylor et al. 2024",
    ),
    MeasureInfo(
        "cosine_between",
        "Cosine between categories",
        "geometry",
        None,
        "Mean cosine of two documents of different categories, over all such pairs.",
        "Taylor et al. 2024",
    ),
    MeasureInfo(
        "cosine_effect_size",
        "Effect size of categories on cosine",
        "geometry",
        "higher",
        "Difference of the mean cosine within and between categories, in pooled standard deviations.",
        "Cohen 1988",
    ),
    MeasureInfo(
        "cosine_superiority",
        "Within above between",
        "geometry",
        "higher",
        "Probability that a pair within a category has a higher cosine than a pair between categories; 0.5 by chance.",
        "Vargha and Delaney 2000",
    ),
    MeasureInfo(
        "isoscore",
        "IsoScore",
        "geometry",
        "higher",
        "How evenly the variance fills the dimensions: 0 for a line, 1 for a ball.",
        "Rudman et al. 2022",
    ),
    MeasureInfo(
        "effective_rank",
        "Effective rank",
        "geometry",
        "higher",
        "Exponential of the entropy of the shares of variance: how many dimensions are in use.",
        "Roy and Vetterli 2007",
    ),
    MeasureInfo(
        "participation_ratio",
        "Participation ratio",
        "geometry",
        "higher",
        "Squared sum of the variances over the sum of their squares: how many dimensions carry the bulk.",
        "Gao et al. 2017",
    ),
    MeasureInfo(
        "intrinsic_dimension",
        "Intrinsic dimension",
        "geometry",
        None,
        "Dimension of the surface on which the documents lie, from the distances to their two nearest neighbours.",
        "Facco et al. 2017 (TwoNN)",
    ),
    MeasureInfo(
        "hubness",
        "Hubness",
        "geometry",
        "lower",
        "Skewness of how often a document is among the nearest neighbours of others; high when a few hubs are "
        "everyone's neighbour.",
        "Radovanovic et al. 2010",
    ),
    MeasureInfo(
        "silhouette",
        "Silhouette",
        "clusters",
        "higher",
        "How much nearer documents are to their own category than to the next one, by cosine; from -1 to 1.",
        "Rousseeuw 1987",
    ),
    MeasureInfo(
        "davies_bouldin",
        "Davies-Bouldin",
        "clusters",
        "lower",
        "Mean over categories of the worst ratio of spread to distance between two centres.",
        "Davies and Bouldin 1979",
    ),
    MeasureInfo(
        "calinski_harabasz",
        "Calinski-Harabasz",
        "clusters",
        "higher",
        "Variance between categories over variance within them, by degrees of freedom.",
        "Calinski and Harabasz 1974",
    ),
    MeasureInfo(
        "kmeans_v_measure",
        "k-means V-measure",
        "clusters",
        "higher",
        "Agreement of k-means clusters (as many as categories) with the categories; from 0 to 1.",
        "Rosenberg and Hirschberg 2007",
    ),
    MeasureInfo(
        "kmeans_ari",
        "k-means ARI",
        "clusters",
        "higher",
        "Share of pairs on which k-means and the categories agree, corrected for chance.",
        "Hubert and Arabie 1985",
    ),
    MeasureInfo(
        "kmeans_nmi",
        "k-means NMI",
        "clusters",
        "higher",
        "Normalised mutual information of k-means clusters and the categories; from 0 to 1.",
        "Strehl and Ghosh 2002",
    ),
    MeasureInfo(
        "knn_purity",
        "Neighbour purity",
        "clusters",
        "higher",
        "Share of a document's nearest neighbours that have its category.",
        "Manning et al. 2008, sec. 16.3",
    ),
    MeasureInfo(
        "retrieval_map",
        "Retrieval MAP",
        "retrieval",
        "higher",
        "Mean average precision when each document asks for the others of its category.",
        "Manning et al. 2008, sec. 8.4",
    ),
    MeasureInfo(
        "retrieval_recall_at_1",
        "Recall@1",
        "retrieval",
        "higher",
        "Share of documents whose nearest neighbour has their category.",
        "Musgrave et al. 2020",
    ),
    MeasureInfo(
        "retrieval_recall_at_10",
        "Recall@10",
        "retrieval",
        "higher",
        "Share of documents that have one of their category among the ten nearest.",
        "Musgrave et al. 2020",
    ),
    MeasureInfo(
        "retrieval_ndcg_at_10",
        "nDCG@10",
        "retrieval",
        "higher",
        "Discounted gain of same-category documents among the ten nearest, over the best possible.",
        "Jarvelin and Kekalainen 2002",
    ),
    MeasureInfo(
        "similarity_spearman",
        "Rated similarity",
        "retrieval",
        "higher",
        "Rank correlation of cosine and people's ratings of text pairs.",
        "Cer et al. 2017",
    ),
    MeasureInfo(
        "graph_percolation_threshold",
        "Percolation threshold",
        "graph",
        None,
        "Highest cosine at which half of the documents hang together; anisotropic spaces have it near 1.",
        "Newman 2010, ch. 16",
    ),
    MeasureInfo(
        "graph_edges",
        "Edges",
        "graph",
        None,
        "Pairs of documents that are joined.",
        "Newman 2010",
    ),
    MeasureInfo("graph_density", "Density", "graph", None, "Share of all pairs that are joined.", "Newman 2010"),
    MeasureInfo(
        "graph_components",
        "Components",
        "graph",
        None,
        "Groups of documents that hang together.",
        "Newman 2010",
    ),
    MeasureInfo(
        "graph_giant_share",
        "Share of the largest component",
        "graph",
        None,
        "Share of the documents in the largest group that hangs together.",
        "Newman 2010",
    ),
    MeasureInfo(
        "graph_second_share",
        "Share of the second largest component",
        "graph",
        None,
        "Share of the documents in the second largest group that hangs together; high where communities are about to "
        "merge.",
        "Newman 2010",
    ),
    MeasureInfo(
        "graph_isolated_share",
        "Isolated documents",
        "graph",
        "lower",
        "Share of the documents that are joined to none.",
        "Newman 2010",
    ),
    MeasureInfo(
        "graph_mean_degree",
        "Mean degree",
        "graph",
        None,
        "Documents that a document is joined to, on average.",
        "Newman 2010",
    ),
    MeasureInfo(
        "graph_median_degree",
        "Median degree",
        "graph",
        None,
        "Documents that the middle document is joined to.",
        "Newman 2010",
    ),
    MeasureInfo(
        "graph_max_degree",
        "Highest degree",
        "graph",
        None,
        "Documents that the best joined document is joined to.",
        "Newman 2010",
    ),
    MeasureInfo(
        "graph_degree_gini",
        "Inequality of degrees",
        "graph",
        "lower",
        "Gini coefficient of the degrees: 0 when all documents have as many partners, near 1 when a few have them all.",
        "Gini 1912",
    ),
    MeasureInfo(
        "graph_clustering",
        "Clustering coefficient",
        "graph",
        None,
        "Share of a document's partners that are joined among themselves, averaged over documents.",
        "Watts and Strogatz 1998",
    ),
    MeasureInfo(
        "graph_transitivity",
        "Transitivity",
        "graph",
        None,
        "Share of all connected triples that are closed.",
        "Newman 2010",
    ),
    MeasureInfo(
        "graph_assortativity",
        "Category assortativity",
        "graph",
        "higher",
        "How much more often joined documents share a category than by chance; 1 when always.",
        "Newman 2003",
    ),
    MeasureInfo(
        "graph_category_modularity",
        "Modularity of the categories",
        "graph",
        "higher",
        "Share of edges within categories beyond what the degrees alone would give.",
        "Newman and Girvan 2004",
    ),
    MeasureInfo(
        "graph_communities",
        "Louvain communities",
        "graph",
        None,
        "Communities that Louvain's method finds.",
        "Blondel et al. 2008",
    ),
    MeasureInfo(
        "graph_louvain_modularity",
        "Modularity of the communities",
        "graph",
        None,
        "Share of edges within Louvain communities beyond what the degrees alone would give.",
        "Blondel et al. 2008",
    ),
    MeasureInfo(
        "graph_community_nmi",
        "Communities and categories (NMI)",
        "graph",
        "higher",
        "Normalised mutual information of Louvain communities and categories; from 0 to 1.",
        "Strehl and Ghosh 2002",
    ),
    MeasureInfo(
        "graph_community_ari",
        "Communities and categories (ARI)",
        "graph",
        "higher",
        "Share of pairs on which Louvain communities and categories agree, corrected for chance.",
        "Hubert and Arabie 1985",
    ),
)
MEASURES = {measure.name: measure for measure in _ALL}
