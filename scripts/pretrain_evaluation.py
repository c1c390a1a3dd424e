"""Evaluation of a finished model on validation documents, beside the model that it started from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_options import AttackOptions
from audit_privacy import load_scorer
from corpora.errors import InputError
from modeling.weights_digest import weights_digest

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from frozen_probe import LabelledSplit, ProbeRow

SCHEMA_VERSION = 1
OWN, BASE = "adapted", "base"
SEED = 0
SCORED, ENCODED, HALVED, PROBED = 1_000, 2_000, 1_000, 5_000  # documents at most
FEWEST_OF_A_CLASS = 5
SHOTS = 16


def check_label(corpus: DatasetDict, label: str, file: str) -> None:
    """Look before a training whether a label can be probed after it.

    Raises:
        InputError: Documents bear several values of it, or too few classes have documents on both sides.
    """
    if not hasattr(corpus["train"].features[label], "dtype"):
        raise InputError(
            "documents bear several values of this label", file=file, column=label, remedy="probe a single-valued label"
        )
    train, validation = (labelled_rows(corpus, label)[name] for name in ("train", "validation"))
    both = {str(value) for value in train[label]} & {str(value) for value in validation[label]}
    if len(both) < 2:
        raise InputError(
            f"fewer than two classes have {FEWEST_OF_A_CLASS} training documents and a validation document",
            file=file,
            column=label,
            remedy="give another --probe_label",
        )


def evaluate_run(
    folder: Path, base: str | None, corpus: DatasetDict, label: str | None, *, masked: bool, device: str | None
) -> dict[str, Any]:
    """Measure a finished model, and the one that it started from where there is one.

    Args:
        folder: The finished model.
        base: Folder or Hub id of the model that it started from.
        corpus: Splits `train` and `validation`.
        label: Column of a frozen probe; also the categories of the embedding space, which are `note_category` without.
        masked: Whether the model was trained to predict masked words.
        device: Where to compute; a GPU if there is one by default.

    Returns:
        The content of `results/evaluation.json`: its `results` are what a card shows.
    """
    validation = _drawn(corpus["validation"], SCORED)
    results = [masked_language_modelling(folder, base, validation, device)] if masked else []
    models = {OWN: str(folder)} if base is None else {BASE: base, OWN: str(folder)}
    results.append(embedding_space(models, corpus["validation"], label, device))
    if label is not None:
        results.append(frozen_probe(models, corpus, label, device))
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "evaluation",
        "weights_sha256": weights_digest(str(folder)),
        "label": label,
        "results": results,
    }


def masked_language_modelling(folder: Path, base: str | None, documents: Dataset, device: str | None) -> dict[str, Any]:
    """Return the mean loss of masked tokens (nats) and its exponential, the pseudo-perplexity.

    Every token is hidden once, with one in seven of the others, as in the audit; all models see the same. Documents
    weigh alike, and intervals are over documents.
    """
    from metrics.document_intervals import mean_over_documents

    options = AttackOptions(device=device)
    scorer = load_scorer(str(folder), base, options)
    pairs = zip(documents["document_id"][:], documents["text"][:], strict=True)
    stream = scorer.document_losses(pairs, folds=options.folds, max_windows=options.max_windows, seed=SEED)
    losses = np.stack(list(stream))
    losses = losses[np.isfinite(losses).all(1)]
    found = [mean_over_documents(column, SEED).as_dict() for column in losses.T]
    measures = {
        "loss": found,
        "perplexity": [
            {name: None if value is None else float(np.exp(value)) for name, value in one.items()} for one in found
        ],
    }
    names = [OWN, BASE][: len(found)]
    order = [names.index(name) for name in (BASE, OWN) if name in names]
    return {
        "kind": "masked_lm",
        "label": None,
        "split": "validation",
        "documents": len(losses),
        "models": [names[place] for place in order],
        "measures": {name: [values[place] for place in order] for name, values in measures.items()},
    }


def embedding_space(
    models: dict[str, str], documents: Dataset, label: str | None, device: str | None
) -> dict[str, Any]:
    """Return geometry, clusters and retrieval of validation documents, as analyse_embeddings.py measures them."""
    from corpora.halves import cut_into_halves
    from metrics.clusters import cluster_measures
    from metrics.geometry import geometry
    from metrics.retrieval import category_retrieval
    from model_cards.result_facts import space_result
    from modeling.document_encoder import DocumentEncoder

    documents = _drawn(documents, ENCODED)
    column = label or ("note_category" if "note_category" in documents.column_names else None)
    categories = _categories(documents, column)
    texts = documents["text"][:]
    halves = [part for part in map(cut_into_halves, texts[:HALVED]) if part is not None]
    measured = []
    for name, checkpoint in models.items():
        encoder = DocumentEncoder.from_pretrained(checkpoint, device=device)
        parts = None
        if len(halves) > 1:
            cut = encoder.encode([half for both in halves for half in both])
            parts = (cut[0::2], cut[1::2])
        vectors = encoder.encode(texts)
        measures = geometry(vectors, categories, parts, seed=SEED)
        if categories is not None:
            measures |= cluster_measures(vectors, categories, seed=SEED)
            measures |= category_retrieval(vectors, categories, seed=SEED)
        measured.append({"name": name, "measures": {key: value.as_dict() for key, value in measures.items()}})
    found = space_result(measured, len(documents), column if categories is not None else None)
    return {**found, "split": "validation"}


def frozen_probe(models: dict[str, str], corpus: DatasetDict, label: str, device: str | None) -> dict[str, Any]:
    """Return macro-F1 of logistic regression on frozen embeddings, beside TF-IDF and the majority class."""
    from frozen_probe import LabelledSplit, ProbeSettings, probe_label
    from modeling.document_encoder import DocumentEncoder

    rows = labelled_rows(corpus, label)
    encoders = {name: DocumentEncoder.from_pretrained(path, device=device) for name, path in models.items()}
    sides: dict[str, LabelledSplit] = {
        split: LabelledSplit(
            texts=part["text"][:],
            labels=np.array([str(value) for value in part[label]]),
            embeddings={name: encoder.encode(part["text"][:]) for name, encoder in encoders.items()},
        )
        for split, part in rows.items()
    }
    settings = ProbeSettings(shots=(SHOTS,), seed=SEED)
    return probe_result(probe_label(label, sides["train"], sides["validation"], settings), sides, label, list(models))


def probe_result(
    rows: Sequence[ProbeRow], sides: dict[str, LabelledSplit], label: str, models: list[str]
) -> dict[str, Any]:
    """Return rows of a probe as a card shows them."""
    from frozen_probe import BAG_OF_WORDS
    from model_cards.markdown import short_name

    systems: dict[str, dict[str, Any]] = {}
    for row in rows:
        model = next((name for name in models if row.features in (name, f"{name} + {BAG_OF_WORDS}")), None)
        method = "hybrid with TF-IDF" if row.features.endswith(f"+ {BAG_OF_WORDS}") else "logistic regression"
        name = row.features if model is None else f"{model}, {method}"
        system = systems.setdefault(row.features, {"system": name, "model": model, "scores": {}})
        system["scores"][str(row.shots)] = {
            "mean": row.macro_f1,
            "low": row.interval[0],
            "high": row.interval[1],
            "seeds": len(row.scores),
            "accuracy": row.accuracy,
        }
    return {
        "kind": "classification",
        "label": short_name(label),
        "split": "validation",
        "documents": {name: len(side.labels) for name, side in sides.items()},
        "classes": len(np.unique(sides["train"].labels)),
        "models": models,
        "shots": sorted({row.shots for row in rows}, key=lambda shots: (shots is None, shots)),
        "rows": list(systems.values()),
    }


def labelled_rows(corpus: DatasetDict, label: str) -> dict[str, Dataset]:
    """Return the documents of both splits that bear a label of a class with enough training documents."""
    known = Counter(str(value) for value in corpus["train"][label][:] if value is not None)
    classes = {name for name, count in known.items() if count >= FEWEST_OF_A_CLASS}
    found = {}
    for split in ("train", "validation"):
        rows = [row for row, value in enumerate(corpus[split][label][:]) if value is not None and str(value) in classes]
        found[split] = _drawn(corpus[split].select(rows), PROBED)
    return found


def _categories(documents: Dataset, column: str | None) -> np.ndarray | None:
    """Return the place of each document's category, -1 for none; None below two categories."""
    if column is None or not hasattr(documents.features[column], "dtype"):
        return None
    values = [None if value is None else str(value) for value in documents[column][:]]
    counts = Counter(value for value in values if value is not None)
    names = sorted(name for name, count in counts.items() if count > 1)  # one document has no other of its category
    if len(names) < 2:
        return None
    places = {name: place for place, name in enumerate(names)}
    return np.array([places.get(value, -1) for value in values])


def _drawn(documents: Dataset, most: int) -> Dataset:
    if len(documents) <= most:
        return documents
    draw = np.random.default_rng([SEED, 21]).choice(len(documents), most, replace=False)
    return documents.select(np.sort(draw))
