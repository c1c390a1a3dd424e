"""The frozen probe: logistic regression on fixed features, with the baselines that belong beside it.

Every row of a table is fitted on the same documents and scored on the same resamples of the test documents, so that
rows differ by their features alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from corpora.few_shot import few_shot_sample
from metrics.intervals import ResampledScores, macro_f1_of_resamples, percentile_interval, resample_within_classes

RESAMPLES = 200
# Above this number of training documents, rotating TF-IDF takes longer than it saves.
ROTATED = 4000
BAG_OF_WORDS = "TF-IDF"
MAJORITY = "majority class"


@dataclass(frozen=True)
class ProbeSettings:
    """How probes are fitted and scored.

    Args:
        c: Inverse strength of the L2 penalty.
        seeds: Number of training samples drawn, for the full set and for each number of shots.
        shots: Labelled documents a class in the few-shot rows.
        fraction: Share of the training documents in a sample of the full set, drawn without replacement within classes.
        seed: First seed.
    """

    c: float = 30.0
    seeds: int = 5
    shots: tuple[int, ...] = (16,)
    fraction: float = 0.9
    seed: int = 0


@dataclass(frozen=True)
class LabelledSplit:
    """Documents with a label.

    Args:
        texts: The documents.
        labels: Their classes, as text.
        embeddings: For each encoder `(documents, hidden)` float32.
    """

    texts: Sequence[str]
    labels: np.ndarray
    embeddings: Mapping[str, np.ndarray]


@dataclass
class ProbeRow:
    """Scores of one kind of features, trained on the full set or on a few documents a class.

    Args:
        label: The label column.
        features: What the probe saw.
        shots: Labelled documents a class, or None for the full set.
        macro_f1: Mean over the training samples, on all test documents.
        interval: 95 % interval of the mean, over training samples and resamples of the test documents.
        accuracy: Mean over the training samples.
        macro_f1_all: Macro-F1 of one fit on all training documents; None in few-shot rows.
        scores: Macro-F1 of each training sample.
    """

    label: str
    features: str
    shots: int | None
    macro_f1: float
    interval: tuple[float, float]
    accuracy: float
    macro_f1_all: float | None = None
    scores: list[float] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def probe_label(label: str, train: LabelledSplit, test: LabelledSplit, settings: ProbeSettings) -> list[ProbeRow]:
    """Probe one label with all features.

    Rows: majority class, TF-IDF of words and word pairs, each encoder alone, each encoder beside TF-IDF. TF-IDF is
    fitted on the texts of all training documents, without their labels, in the few-shot rows too: unlabelled documents
    are at hand where an encoder can be adapted.

    Args:
        label: Name of the label, for the rows.
        train: Documents to fit on.
        test: Documents to score on; the same encoders.
        settings: How to fit and score.

    Returns:
        Rows for the full set, then for each number of shots in turn.
    """
    from sklearn.metrics import f1_score

    features = dict(feature_sets(train, test))
    resamples = resample_within_classes(test.labels, RESAMPLES, settings.seed)
    rows = []
    for shots in (None, *settings.shots):
        samples = [_sample(train.labels, shots, settings, settings.seed + draw) for draw in range(settings.seeds)]
        for name, (x_train, x_test) in features.items():
            predictions = [_predict(x_train, train.labels, rows_, x_test, settings.c) for rows_ in samples]
            scores = [float(f1_score(test.labels, p, average="macro", zero_division=0)) for p in predictions]
            resampled = np.stack([macro_f1_of_resamples(test.labels, p, resamples) for p in predictions])
            row = ProbeRow(
                label=label,
                features=name,
                shots=shots,
                macro_f1=float(np.mean(scores)),
                interval=percentile_interval(ResampledScores(np.array(scores), resampled), settings.seed),
                accuracy=float(np.mean([np.mean(p == test.labels) for p in predictions])),
                scores=scores,
            )
            if shots is None:
                everything = np.arange(len(train.labels))
                whole = _predict(x_train, train.labels, everything, x_test, settings.c)
                row.macro_f1_all = float(f1_score(test.labels, whole, average="macro", zero_division=0))
            rows.append(row)
    return rows


def feature_sets(train: LabelledSplit, test: LabelledSplit) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the name of each kind of features with those of the training and the test documents."""
    from scipy.sparse import csr_matrix, hstack

    yield MAJORITY, (np.zeros((len(train.labels), 0)), np.zeros((len(test.labels), 0)))
    bags = tf_idf(train.texts, test.texts)
    yield BAG_OF_WORDS, rotate(*bags)
    scaled = {name: scale(train.embeddings[name], test.embeddings[name]) for name in train.embeddings}
    yield from scaled.items()
    for name, dense in scaled.items():
        both = (hstack([bag, csr_matrix(part)]).tocsr() for bag, part in zip(bags, dense, strict=True))
        yield f"{name} + {BAG_OF_WORDS}", rotate(*both)


def tf_idf(train: Sequence[str], test: Sequence[str]) -> tuple[Any, Any]:
    """Return TF-IDF of words and word pairs, fitted on the training texts: `(documents, features)` each, sparse."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2 if len(train) > 50 else 1)
    return vectorizer.fit_transform(train), vectorizer.transform(test)


def rotate(train: Any, test: Any) -> tuple[Any, Any]:
    """Turn features into as many dense ones as there are training documents, where that is fewer.

    A logistic regression with an L2 penalty has its weights in the span of the training rows, and a rotation changes
    neither the penalty nor the scores: the predictions are the same, from some thousand weights a class in place of a
    hundred thousand, some twenty times faster.

    Args:
        train: `(documents, features)`, sparse or dense.
        test: `(test documents, features)`.

    Returns:
        The features in the basis of the training rows' principal axes, or as they were.
    """
    found = principal_axes(train)
    if found is None:
        return train, test
    axes, lengths = found
    return axes * lengths, _dense(test @ train.T) @ axes / lengths


def principal_axes(train: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return `(documents, axes)` orthonormal columns and `(axes,)` lengths; their product is the features rotated.

    None where there are more documents than features, or too many for a rotation to pay.

    Args:
        train: `(documents, features)`, sparse or dense.
    """
    if train.shape[0] > min(train.shape[1], ROTATED):
        return None
    values, vectors = np.linalg.eigh(_dense(train @ train.T))
    kept = values > 1e-10 * values[-1]
    return vectors[:, kept], np.sqrt(values[kept])


def _dense(products: Any) -> np.ndarray:
    return products.toarray() if hasattr(products, "toarray") else products


def scale(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Subtract the training mean and divide by the root mean square length of what is left.

    One number for all dimensions: directions keep their weight, and the same penalty means the same for every encoder
    and for TF-IDF rows, which have length 1. Nothing else differs between encoders but the geometry of their space.
    """
    mean = train.mean(axis=0, dtype=np.float64)
    length = np.sqrt(np.mean(np.sum((train - mean) ** 2, axis=1))) or 1.0
    return (train - mean) / length, (test - mean) / length


def _sample(labels: np.ndarray, shots: int | None, settings: ProbeSettings, seed: int) -> np.ndarray:
    if shots is not None:
        return few_shot_sample(labels, shots, seed)
    generator = np.random.default_rng(seed)
    chosen = []
    for name in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == name))
        chosen.append(rows[: max(1, round(settings.fraction * len(rows)))])
    return np.sort(np.concatenate(chosen))


def _predict(x_train: Any, labels: np.ndarray, rows: np.ndarray, x_test: Any, c: float) -> np.ndarray:
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression

    if x_train.shape[1] == 0 or len(np.unique(labels[rows])) == 1:
        model: Any = DummyClassifier(strategy="most_frequent")
    else:
        model = LogisticRegression(C=c, class_weight="balanced", max_iter=2000)
    return model.fit(x_train[rows], labels[rows]).predict(x_test)
