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
