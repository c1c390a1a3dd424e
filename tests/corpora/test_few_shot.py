"""Few-shot samples: nested, independent of the order of rows, as even as the labels allow, honest about shortages."""

import itertools

import numpy as np
import pytest

from corpora.errors import InputError
from corpora.few_shot import FewShotShortage, few_shot_sample, few_shot_shortage

COUNTS = {"a": 40, "b": 25, "c": 9, "d": 3}
LABELS = np.random.default_rng(1).permutation(np.repeat(list(COUNTS), list(COUNTS.values())))
IDS = np.array([f"note-{number}" for number in np.random.default_rng(2).permutation(len(LABELS))])
SHOTS = (1, 2, 3, 5, 8, 16, 32, 64)


def several_labels(documents=300, seed=0):
    """Classes of very different frequency, some of which come together, and documents of none."""
    random = np.random.default_rng(seed)
    labels = (random.random((documents, 6)) < [0.5, 0.3, 0.1, 0.05, 0.02, 0.0]).astype(np.int64)
    labels[:, 3] |= labels[:, 4]
    return labels


def test_each_class_gives_what_is_asked_for_or_all_it_has():
    for shots in SHOTS:
        sample = few_shot_sample(LABELS, shots, 0, IDS)
        assert sample.dtype == np.int64 and sample.tolist() == sorted(set(sample.tolist()))
        assert {name: int((LABELS[sample] == name).sum()) for name in COUNTS} == {
            name: min(shots, count) for name, count in COUNTS.items()
        }


@pytest.mark.parametrize("labels", [LABELS, several_labels()], ids=["single", "several"])
@pytest.mark.parametrize("seed", range(5))
def test_fewer_shots_are_a_subset_of_more(labels, seed):
    ids = np.array([f"d{number}" for number in range(len(labels))])
    samples = [set(few_shot_sample(labels, shots, seed, ids).tolist()) for shots in SHOTS]
    assert all(small < large or small == large for small, large in itertools.pairwise(samples))
    assert len(samples[0]) < len(samples[3]) < len(samples[6])
    assert samples[2] != set(few_shot_sample(labels, SHOTS[2], seed + 100, ids).tolist())


@pytest.mark.parametrize("labels", [LABELS, several_labels(len(LABELS))], ids=["single", "several"])
def test_the_order_of_rows_does_not_matter(labels):
    shuffle = np.random.default_rng(7).permutation(len(labels))
    for shots in (2, 8):
        sample = few_shot_sample(labels, shots, 3, IDS)
        again = few_shot_sample(labels[shuffle], shots, 3, IDS[shuffle].tolist())
        assert set(IDS[sample]) == set(IDS[shuffle][again])
        rows = few_shot_sample(labels, shots, 3)  # without ids, rows count: another draw
        assert set(rows.tolist()) != set(sample.tolist())


def test_every_document_of_a_class_is_as_likely_as_another():
    labels = np.repeat([0, 1], [10, 30])
    draws = np.zeros(40)
    for seed in range(2_000):
        draws[few_shot_sample(labels, 3, seed)] += 1
    for members, expected in ((slice(0, 10), 600), (slice(10, 40), 200)):
        assert np.abs(draws[members] - expected).max() < 4.5 * np.sqrt(expected)  # binomial, some 0.0002 by chance


def test_texts_numbers_and_lists_are_classes():
    numbers = np.array([{"a": 0, "b": 1, "c": 2, "d": 3}[name] for name in LABELS])
    sample = few_shot_sample(LABELS, 4, 5, IDS).tolist()
    assert few_shot_sample(numbers, 4, 5, IDS).tolist() == sample
    assert few_shot_sample(LABELS.tolist(), 4, 5, IDS.tolist()).tolist() == sample


def test_documents_without_a_label_are_never_drawn():
    assert few_shot_sample([-100, 0, 1, -100, 1], 8, 0).tolist() == [1, 2, 4]
    missing = [[np.nan, np.nan], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    assert few_shot_sample(missing, 8, 0).tolist() == [1, 3]
    assert few_shot_shortage([-100, 0, 1, -100, 1], 2).available == {"0": 1}
    for labels in (np.array([{"a": 0, "b": 1, "c": 2, "d": 3}[name] for name in LABELS]), several_labels(len(LABELS))):
        more = np.concatenate([labels, np.full((50, *labels.shape[1:]), -100)])
        ids = np.concatenate([IDS, [f"a{number}" for number in range(50)]])  # first in order
        assert few_shot_sample(more, 4, 6, ids).tolist() == few_shot_sample(labels, 4, 6, IDS).tolist()
    for empty in ([-100, -100], [[0, 0], [0, 0]], [[np.nan], [np.nan]], np.empty((0, 3))):
        with pytest.raises(InputError, match="no training document bears a label"):
            few_shot_sample(empty, 8, 0)


def plain_rounds(labels, shots, seed):
    """The documented rounds once more, in plain loops over all documents."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels.sum(axis=1))).tolist()
    classes = sorted(range(labels.shape[1]), key=lambda number: labels[:, number].sum())
    sample = []
    for wanted in range(1, shots + 1):
        for number in classes:
            if sum(labels[document, number] for document in sample) < wanted:
                rest = [document for document in order if labels[document, number] and document not in sample]
                sample += rest[:1]
    return sorted(sample)


def test_several_labels_are_drawn_in_rounds():
    labels = several_labels(80)
    for shots, seed in itertools.product((1, 2, 5, 20, 200), range(3)):
        assert few_shot_sample(labels, shots, seed).tolist() == plain_rounds(labels, shots, seed)


def test_several_labels_have_enough_documents_each_and_few_too_many():
    labels = several_labels()
    available = labels.sum(axis=0)
    for shots in (4, 16):
        sample = few_shot_sample(labels, shots, 1)
        drawn = labels[sample].sum(axis=0)
        assert (drawn >= np.minimum(shots, available)).all()
        assert labels[sample].any(axis=1).all()  # none without a label
        # The last document of a sample is drawn for a class that still lacks one: no sample without it would do.
        assert len(sample) <= shots * 5
    # Without the overlap of classes, exactly as many as asked for.
    apart = np.eye(4, dtype=int)[np.repeat(range(4), [30, 20, 10, 2])]
    assert apart[few_shot_sample(apart, 8, 0)].sum(axis=0).tolist() == [8, 8, 8, 2]


def test_shortages_are_named_for_results_and_counted_for_messages():
    short = few_shot_shortage(LABELS, 16)
    assert short == FewShotShortage(16, {"c": 9, "d": 3}, 4) and short.classes == 2
    assert short.line() == "2 of 4 classes have fewer than 16 training documents (3 to 9)"
    assert few_shot_shortage(LABELS, 5).line() == "1 of 4 classes have fewer than 5 training documents (3)"
    assert few_shot_shortage(LABELS, 3).line() == "all 4 classes have 3 training documents or more"
    named = few_shot_shortage(np.array([0, 0, 2]), 2, names=["mild", "moderate", "severe"])
    assert named.available == {"moderate": 0, "severe": 1}
    assert few_shot_shortage([[1, 0], [1, 1]], 2, names=["renal", "skin"]).available == {"skin": 1}


def test_strict_refuses_shortages_in_one_line():
    assert len(few_shot_sample(LABELS, 3, 0, strict=True)) == 12
    with pytest.raises(InputError, match=r"2 of 4 classes have fewer than 16 .*\(3 to 9\); ask for fewer shots"):
        few_shot_sample(LABELS, 16, 0, strict=True)
    with pytest.raises(InputError, match="1 of 2 classes have fewer than 2"):
        few_shot_sample([[1, 0], [1, 1]], 2, 0, strict=True)
    with pytest.raises(InputError, match="0 documents a class"):
        few_shot_sample(LABELS, 0, 0)
