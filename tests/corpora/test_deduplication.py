"""Duplicates: signatures against exact Jaccard, groups against a plain loop over all pairs."""

import functools
import random
import re

import numpy as np
import pytest

from corpora.deduplication import (
    DuplicateOptions,
    as_hash_array,
    bands_for,
    first_of_each,
    group_near_duplicates,
    number_by_appearance,
    signatures,
    text_hash,
)
from corpora.errors import InputError


@functools.cache
def shingles(text):
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[start : start + 5]) for start in range(max(len(words) - 4, 1))}


def jaccard(one, other):
    one, other = shingles(one), shingles(other)
    return len(one & other) / len(one | other)


def made_up_notes(families, members, seed=0):
    """Families of notes that differ from each other in a few words, shuffled."""
    generator = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(500)]
    notes = []
    for _ in range(families):
        base = generator.choices(vocabulary, k=generator.randint(30, 200))
        for _ in range(members):
            note = list(base)
            for _ in range(generator.randint(0, 4)):
                note[generator.randrange(len(note))] = generator.choice(vocabulary)
            notes.append(" ".join(note))
    generator.shuffle(notes)
    return notes


def test_signatures_estimate_jaccard():
    notes = made_up_notes(40, 3)
    matrix = signatures(notes)
    assert matrix.shape == (120, 128) and matrix.dtype == np.uint16
    errors = [
        (matrix[i] == matrix[j]).mean() - jaccard(notes[i], notes[j]) for i in range(120) for j in range(i) if i != j
    ]
    assert max(map(abs, errors)) < 0.2  # the standard deviation of 128 slots is at most .044
    assert abs(np.mean(errors)) < 0.005


def test_signatures_do_not_depend_on_the_batch_or_on_case():
    notes = made_up_notes(5, 2)
    assert (signatures(notes) == np.concatenate([signatures([note.upper()]) for note in notes])).all()


def test_short_notes_resemble_only_their_equals():
    notes = ["ok", "OK", "no change", "no change today", "normal ecg", "???", "!!!", "...", "a b c d e", "a b c d f"]
    group = group_near_duplicates(signatures(notes), 0.8)
    assert group.tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_groups_are_the_components_of_a_plain_loop(threshold):
    notes = made_up_notes(60, 4, seed=1)
    matrix = signatures(notes)
    expected = list(range(len(notes)))
    for i in range(len(notes)):
        for j in range(i):
            if (matrix[i] == matrix[j]).mean() >= threshold and expected[i] != expected[j]:
                old, new = expected[i], expected[j]
                expected = [new if label == old else label for label in expected]
    group = group_near_duplicates(matrix, threshold)
    assert len(set(expected)) > 60  # some families fall apart, so the threshold matters
    # Banding may miss a pair at the threshold with probability .01; none of these is missed.
    assert group.tolist() == number_by_appearance(np.array(expected)).tolist()


def test_a_template_of_thousands_is_one_group_and_other_notes_stay_out():
    generator = random.Random(2)
    template = [f"t{number}" for number in range(120)]
    notes = []
    for number in range(3_000):
        note = list(template)
        note[generator.randrange(120)] = f"value{number}"
        notes.append(" ".join(note))
    others = made_up_notes(200, 1, seed=3)
    group = group_near_duplicates(signatures(notes + others), 0.8)
    assert set(group[:3_000]) == {0}
    assert len(set(group[3_000:])) == 200 and 0 not in group[3_000:]


def test_threshold_zero_groups_nothing():
    assert group_near_duplicates(signatures(["a b"] * 3), 0).tolist() == [0, 1, 2]
    assert group_near_duplicates(np.empty((0, 128), np.uint16), 0.8).tolist() == []


def test_bands_meet_at_the_threshold():
    for threshold in (0.3, 0.5, 0.8, 0.9, 1.0):
        bands, rows = bands_for(threshold)
        assert bands * rows <= 128
        assert 1 - (1 - threshold**rows) ** bands >= 0.99


def test_exact_duplicates_point_to_the_first_or_to_the_lowest_rank():
    hashes = as_hash_array([text_hash(text) for text in ["a", "b", "a", "A", "b", "a"]])
    assert first_of_each(hashes).tolist() == [0, 1, 0, 3, 1, 0]
    rank = np.array([0, 0, -2, 0, 0, -1])
    assert first_of_each(hashes, rank).tolist() == [2, 1, 2, 3, 1, 2]


def test_threshold_out_of_range_is_refused():
    for threshold in (0.1, 1.1, -1):
        with pytest.raises(InputError, match="--near_duplicate_threshold"):
            DuplicateOptions(near_duplicate_threshold=threshold)
