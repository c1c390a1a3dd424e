"""Made-up results, as scripts/classify.py writes them."""

import json

import numpy as np
import pytest


def made_up_probabilities(targets, labels, quality, noise):
    """Probabilities of one system and seed: the larger the quality, the likelier the truth."""
    truth = targets if targets.ndim == 2 else np.eye(labels)[targets]
    scores = 2.5 * quality * truth + noise
    if targets.ndim == 2:
        return (1 / (1 + np.exp(2 * quality - 2 * scores))).astype(np.float32)
    spread = np.exp(scores - scores.max(1, keepdims=True))
    return (spread / spread.sum(1, keepdims=True)).astype(np.float32)


@pytest.fixture
def write_results(tmp_path):
    """Return a function that writes a folder of results and returns it.

    `systems` maps (model, method, reading, frozen) to its quality with all documents; `shots` to the loss of quality.
    """

    def write(
        systems,
        name="results",
        shots=(8, 64, None),
        seeds=3,
        labels=("cardiology", "general", "neurology", "surgery"),
        documents=120,
        task="single_label",
        baselines=True,
        digest="d1",
        folder=None,
    ):
        folder = folder or tmp_path / name
        (folder / "cells").mkdir(parents=True)
        rng = np.random.default_rng(0)
        classes = len(labels)
        if task == "multi_label":
            targets = (rng.random((documents, classes)) < 0.35).astype(np.int64)
        else:
            targets = np.arange(documents) % classes
        shared = rng.normal(size=(documents, classes))  # hard documents are hard for every system
        ids = np.array([f"note-{number}" for number in range(documents)])
        np.savez(folder / "test_targets.npz", targets=targets, document_ids=ids)
        cells = []
        everything = dict(systems)
        if baselines:
            everything |= {("tfidf", "tfidf", None, None): 1.0, ("majority", "majority", None, None): None}
        for number, ((model, method, reading, frozen), quality) in enumerate(everything.items()):
            for count in shots if quality is not None else [None]:
                for seed in range(seeds if quality is not None else 1):
                    id_ = f"{model}-{method}-{reading}-{frozen}-s{count or 'all'}-{seed}"
                    noise = shared + 0.7 * np.random.default_rng([number + 1, count or 0, seed]).normal(
                        size=shared.shape
                    )
                    if quality is None:
                        probabilities = np.eye(classes, dtype=np.float32)[np.zeros(documents, dtype=int)]
                    else:
                        strength = quality * (1 if count is None else 1 - 1 / (1 + np.log2(count)))
                        probabilities = made_up_probabilities(targets, classes, strength, noise)
                    np.savez(folder / "cells" / f"{id_}.npz", probabilities=probabilities)
                    cells.append(
                        {
                            "id": id_,
                            "model": model,
                            "method": method,
                            "reading": reading,
                            "frozen": frozen,
                            "shots": count,
                            "seed": seed,
                            "trained_parameters": trained_parameters(method, frozen),
                            "seconds": 1.5,
                            "metrics": {"f1_macro": 0.5, "accuracy": 0.25 + 0.25 * seed, "ece": 0.1},
                            "predictions": f"cells/{id_}.npz",
                        }
                    )
        results = {
            "schema_version": 1,
            "kind": "classification",
            "label_column": "specialty",
            "task": task,
            "labels": list(labels),
            "documents": {"train": 1200, "validation": 130, "test": documents},
            "corpus_digest": digest,
            "cells": cells,
        }
        (folder / "results.json").write_text(json.dumps(results))
        return folder

    return write


def trained_parameters(method, frozen):
    if method in ("tfidf", "majority"):
        return None
    if frozen in (None, "all"):
        return 6_160
    layers = {"none": 12, "embeddings": 12}.get(frozen) or 12 - int(frozen)
    return 6_160 + 1_770_000 * layers + (11_900_000 if frozen == "none" else 0)


SPECIALTIES = (
    "Cardiology",
    "Orthopaedics",
    "Gastroenterology",
    "Neurology",
    "Urology",
    "General Medicine",
    "Obstetrics and Gynaecology",
    "Radiology",
    "Ear, Nose and Throat",
    "Ophthalmology",
    "Haematology and Oncology",
    "Nephrology",
    "Paediatrics and Neonatal Care",
    "Psychiatry",
    "Pulmonology",
    "Podiatry",
    "Dermatology",
    "Endocrinology",
    "Rheumatology",
    "Allergy and Immunology",
)
# Spread of the categories' centres and size of the direction that all share, by model.
MADE_UP_SPACES = {"base": (0.55, 1.6), "mlm": (0.75, 0.9), "declutr": (1.25, 0.35)}


@pytest.fixture
def write_space(tmp_path):
    """Return a function that writes a folder as scripts/analyse_embeddings.py does, and returns it."""

    def write(name="space", **options):
        return write_space_results(tmp_path / name, **options)

    return write


def write_space_results(folder, documents=1_200, categories=SPECIALTIES, models=MADE_UP_SPACES, change=None):
    """Embeddings of invented documents, with values that are computed where that is short and made up elsewhere.

    `change` is called with the content of results.json before it is written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "coordinates").mkdir(parents=True)
    rng = np.random.default_rng(0)
    classes = len(categories)
    shares = 1 / np.arange(2, classes + 2)
    numbers = np.sort(rng.choice(classes, documents, p=shares / shares.sum())) if classes else np.full(documents, -1)
    numbers[:classes] = np.arange(classes)  # one of each at least
    numbers = rng.permutation(numbers)
    numbers[rng.random(documents) < 0.01] = -1
    counts = np.bincount(numbers[numbers >= 0], minlength=classes)
    ids = [f"note-{number:05d}" for number in range(documents)]
    centres, noise = rng.normal(size=(classes + 1, 64)), rng.normal(size=(documents, 64))
    plane, jitter = rng.normal(size=(classes + 1, 2)), rng.normal(size=(documents, 2))
    entries = []
    for name, (spread, cone) in models.items():
        vectors = spread * centres[numbers] + 1.3 * noise + 2.2 * cone
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        centred = vectors - vectors.mean(0)
        pca = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
        tsne = 14 * spread * plane[numbers] + (9 - 3 * spread) * jitter
        entries.append({"name": name, **made_up_model(unit, numbers, classes, tsne, spread, cone)})
        table = {
            "document_id": ids,
            "category": [categories[number] if number >= 0 else None for number in numbers],
            "split": ["train" if number % 5 else "validation" for number in range(documents)],
            "pca_x": pca[:, 0].astype(np.float32),
            "pca_y": pca[:, 1].astype(np.float32),
            "tsne_x": tsne[:, 0].astype(np.float32),
            "tsne_y": tsne[:, 1].astype(np.float32),
        }
        pq.write_table(pa.table(table), folder / "coordinates" / f"{name}.parquet")
    size = len(models)
    results = {
        "schema_version": 1,
        "kind": "embedding_space",
        "notespace_version": "0.1.0",
        "documents": documents,
        "without_category": int((numbers < 0).sum()),
        "label_column": "specialty" if classes else None,
        "categories": list(categories),
        "category_counts": counts.tolist(),
        "corpus_digest": "3f6c1b0d9e8a",
        "reference": next(iter(models)),
        "settings": {"k": 10, "seed": 0, "label_column": "specialty", "resamples": 1000, "perplexity": 30.0},
        "models": entries,
        "cka": [[round(0.72 ** abs(a - b), 3) for b in range(size)] for a in range(size)] if size > 1 else None,
    }
    if change:
        change(results)
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def made_up_model(unit, numbers, classes, tsne, spread, cone):
    documents = len(unit)
    cosine = unit @ unit.T
    first, second = np.triu_indices(documents, 1)
    known = ((numbers[first] >= 0) & (numbers[second] >= 0)) | (classes == 0)
    pairs, same = cosine[first, second][known], (numbers[first] == numbers[second])[known]
    edges = np.linspace(-1, 1, 101)
    within, between = (np.histogram(pairs[chosen], edges)[0] for chosen in (same, ~same))
    matrix = np.full((classes, classes), np.nan)
    for a in range(classes):
        for b in range(classes):
            block = cosine[np.ix_(numbers == a, numbers == b)]
            block = block[~np.eye(len(block), dtype=bool)] if a == b else block
            matrix[a, b] = block.mean() if block.size else np.nan
    measures = {
        "uniformity": (np.log(np.exp(4 * pairs - 4).mean()), 0.05),
        "category_alignment": (2 - 2 * pairs[same].mean() if classes else None, 0.02),
        "mean_cosine": (pairs.mean() if len(pairs) else cosine.mean(), 0.01),
        "mean_cosine_centred": (-0.0004, 0.0001),
        "cosine_within": (pairs[same].mean() if classes else None, 0.01),
        "cosine_between": (pairs[~same].mean() if classes else None, 0.01),
        "cosine_effect_size": ((pairs[same].mean() - pairs[~same].mean()) / pairs.std() if classes else None, 0.06),
        "cosine_superiority": (0.5 + 0.3 * spread / (1 + spread) if classes else None, 0.02),
        "isoscore": (0.11 / (1 + cone), 0.01),
        "effective_rank": (38 + 12 * spread, 1.5),
        "participation_ratio": (17 + 9 * spread, 1.2),
        "intrinsic_dimension": (14.2 - spread, 0.8),
        "hubness": (1 + 2 * cone, 0.3),
        "silhouette": (0.12 * spread - 0.06 if classes else None, 0.02),
        "davies_bouldin": (4.1 - 1.5 * spread if classes else None, None),
        "calinski_harabasz": (1_234.5 * spread if classes else None, None),
        "kmeans_v_measure": (0.2 + 0.2 * spread if classes else None, None),
        "knn_purity": (0.25 + 0.3 * spread if classes else None, 0.02),
        "retrieval_map": (0.15 + 0.25 * spread if classes else None, 0.02),
        "retrieval_recall_at_1": (0.3 + 0.3 * spread if classes else None, 0.03),
        "graph_percolation_threshold": (0.35 + 0.5 * cone / (1 + cone), None),
        "graph_components": (87.0, None),
        "graph_category_modularity": (0.1 + 0.2 * spread, None),
        "graph_assortativity": (0.15 + 0.25 * spread, 0.012),
    }
    thresholds = np.linspace(-0.2, 1, 600)
    centre = 0.35 + 0.5 * cone / (1 + cone)
    share = 1 / (1 + np.exp((thresholds - centre) * 40))
    chosen = np.random.default_rng(1).permutation(documents)[:300]
    neighbours = np.argsort(-cosine[np.ix_(chosen, chosen)] + 2 * np.eye(len(chosen)), axis=1, kind="stable")[:, :3]
    joined = {tuple(sorted((a, int(b)))) for a, row in enumerate(neighbours) for b in row}
    kinds = {
        "threshold": np.linspace(0.1, 0.95, 18),
        "knn": np.array([2, 5, 10, 20, 50]),
        "mutual_knn": np.array([2, 5, 10, 20, 50]),
        "density": np.array([0.001, 0.003, 0.01, 0.03, 0.1]),
    }
    return {
        "hidden": unit.shape[1],
        "zero_vectors": 0,
        "measures": {name: made_up_measure(*given) for name, given in measures.items()},
        "cosines": {"edges": edges.tolist(), "within": within.tolist(), "between": between.tolist()}
        if classes
        else None,
        "category_cosine": [[None if np.isnan(v) else round(v, 4) for v in row] for row in matrix] if classes else None,
        "sweeps": {kind: made_up_sweep(kind, values, centre, spread) for kind, values in kinds.items()},
        "percolation": {
            "threshold": float(centre),
            "curve": {"thresholds": thresholds.tolist(), "giant_share": share.round(5).tolist()},
        },
        "drawing": {
            "documents": chosen.tolist(),
            "x": tsne[chosen, 0].round(3).tolist(),
            "y": tsne[chosen, 1].round(3).tolist(),
            "edges": sorted(joined),
            "kind": "mutual_knn",
        },
        "seconds": {"geometry": 1.25, "clusters": 3.5},
    }


def made_up_measure(value, half_width):
    if value is None or not np.isfinite(value):
        return {"value": None, "low": None, "high": None}
    ends = (None, None) if half_width is None else (float(value - half_width), float(value + half_width))
    return {"value": float(value), "low": ends[0], "high": ends[1]}


def made_up_sweep(kind, values, centre, spread):
    fall = 1 / (1 + np.exp((values - centre) * 25)) if kind == "threshold" else np.log1p(values) / np.log1p(values[-1])
    measures = {
        "graph_components": 1 + 1_199 * (1 - fall) ** 2,
        "graph_giant_share": fall,
        "graph_isolated_share": (1 - fall) ** 3,
        "graph_density": fall**3,
        "graph_clustering": np.where(fall > 0.97, np.nan, 0.3 + 0.4 * fall),
        "graph_category_modularity": (0.1 + 0.3 * spread) * (1 - fall / 2),
        "graph_louvain_modularity": np.where(fall > 0.97, np.nan, 0.8 - 0.5 * fall),
    }
    listed = {name: [None if np.isnan(v) else float(v) for v in found] for name, found in measures.items()}
    return {"values": values.tolist(), "measures": listed}
