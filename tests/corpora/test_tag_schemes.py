import itertools
import random

import numpy as np
import pytest

from corpora.tag_schemes import (
    SCHEMES,
    allowed_ends,
    allowed_starts,
    allowed_transitions,
    bioes_to_iob2,
    detect_scheme,
    entity_spans,
    iob2_to_bioes,
    repair_tags,
    scheme_faults,
    split_tag,
    tag_names,
    tags_of_spans,
    to_iob2,
)

# One sentence: Drug of two words, Drug of one word right behind it, O, Route of three words.
SPANS = [("Drug", 0, 2), ("Drug", 2, 3), ("Route", 4, 7)]
SPELLED = {
    "IOB2": "B-Drug I-Drug B-Drug O B-Route I-Route I-Route".split(),
    "IOB1": "I-Drug I-Drug B-Drug O I-Route I-Route I-Route".split(),
    "BIOES": "B-Drug E-Drug S-Drug O B-Route I-Route E-Route".split(),
    "IO": "I-Drug I-Drug I-Drug O I-Route I-Route I-Route".split(),
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_sentence_is_spelled_and_detected_in_every_scheme(scheme):
    assert tags_of_spans(SPANS, 7, scheme) == SPELLED[scheme]
    assert tags_of_spans(SPANS[::-1], 7, scheme) == SPELLED[scheme]
    assert detect_scheme([["O"], SPELLED[scheme], []]) == scheme
    assert scheme_faults(SPELLED[scheme], scheme) == []
    found = entity_spans(to_iob2(SPELLED[scheme], scheme))
    assert found == (SPANS if scheme != "IO" else [("Drug", 0, 3), ("Route", 4, 7)])


def test_detection_of_unclear_corpora():
    assert detect_scheme([]) == detect_scheme([["O", "O"]]) == "IOB2"
    assert detect_scheme([["B-a", "O"], ["I-a"]]) == "IOB2"  # the lone I is a fault, not a scheme
    assert detect_scheme([["I-b", "B-a"]]) == "IOB2"  # this B follows another type
    assert detect_scheme([["I-a", "B-a", "B-a"]]) == "IOB1"
    assert detect_scheme([["B-a", "L-a", "O", "U-a"]]) == "BIOES"  # BILOU


@pytest.mark.parametrize("tag", ["", "o", "X-a", "B", "B-", "B- ", "word", "-a", "b-a"])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match="B-, I-, E- and S-"):
        split_tag(tag)


def test_a_label_may_hold_dashes():
    assert split_tag("B-Mid-line-shift") == ("B", "Mid-line-shift")


def test_faults_are_found_where_they_are():
    assert scheme_faults("O I-a O".split(), "IOB2") == [1]
    assert scheme_faults("B-a I-b I-b".split(), "IOB2") == [1]
    assert scheme_faults("B-a I-a I-a".split(), "IOB2") == []
    assert scheme_faults("I-a B-b".split(), "IOB1") == []
    assert scheme_faults("B-a O".split(), "BIOES") == [0]
    assert scheme_faults("B-a I-a".split(), "BIOES") == [1]
    assert scheme_faults("O E-a S-a I-a".split(), "BIOES") == [1, 3]
    assert scheme_faults("B-a E-a".split(), "IOB2") == [1]
    assert scheme_faults("B-a I-a".split(), "IO") == [0]


def test_repair_reads_as_conlleval_does():
    assert repair_tags("O I-a I-a O".split(), "IOB2") == "O B-a I-a O".split()
    assert repair_tags("B-a I-b I-b".split(), "IOB2") == "B-a B-b I-b".split()
    assert repair_tags("B-a I-a O E-b".split(), "BIOES") == "B-a E-a O S-b".split()


def test_strict_conversions_drop_what_is_no_whole_entity():
    assert iob2_to_bioes("I-a B-a I-a I-b B-b".split()) == "O B-a E-a O S-b".split()
    assert bioes_to_iob2("E-a B-a I-a O S-a I-a B-b E-b".split()) == "O O O O B-a O B-b I-b".split()
    assert bioes_to_iob2("B-a B-a E-a".split()) == "O B-a I-a".split()
    assert bioes_to_iob2("B-a I-b E-a".split()) == "O O O".split()


def _every_sequence(length):
    return itertools.product(["O", "B-a", "I-a", "B-b", "I-b"], repeat=length)


def test_strict_entities_equal_those_of_seqeval():
    scheme = pytest.importorskip("seqeval.scheme")
    for tags in _every_sequence(4):
        expected = [(one.tag, one.start, one.end) for one in scheme.Entities([list(tags)], scheme.IOB2).entities[0]]
        assert entity_spans(tags) == expected, tags


def test_repaired_entities_equal_those_of_seqeval_in_its_lenient_mode():
    labeling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    for tags in _every_sequence(4):
        expected = [(label, start, end + 1) for label, start, end in labeling.get_entities(list(tags))]
        assert entity_spans(repair_tags(tags, "IOB2")) == expected, tags


def test_random_spans_survive_every_scheme_that_can_tell_them_apart():
    rng = random.Random(5)
    for _ in range(300):
        cuts = sorted(rng.sample(range(21), 8))
        spans = [(rng.choice("abc"), *pair) for pair in itertools.pairwise(cuts) if rng.random() < 0.6]
        for scheme in ("IOB1", "IOB2", "BIOES"):
            assert entity_spans(to_iob2(tags_of_spans(spans, 20, scheme), scheme)) == spans
        iob2 = tags_of_spans(spans, 20)
        assert bioes_to_iob2(iob2_to_bioes(iob2)) == iob2


@pytest.mark.parametrize("spans", [[("a", 0, 2), ("b", 1, 3)], [("a", 2, 2)], [("a", 3, 5)], [("a", -1, 1)]])
def test_spans_that_no_tags_can_spell_are_refused(spans):
    with pytest.raises(ValueError, match="empty, outside of the sentence or overlaps"):
        tags_of_spans(spans, 4)


def test_tag_names_come_in_a_fixed_order():
    assert tag_names(["b", "a"]) == ["O", "B-a", "I-a", "B-b", "I-b"]
    assert tag_names(["a"], "BIOES") == ["O", "B-a", "I-a", "E-a", "S-a"]
    assert tag_names([]) == ["O"]
    assert len(tag_names("ADE Dosage Drug Duration Form Frequency Reason Route Strength".split())) == 19


@pytest.mark.parametrize("scheme", ["IOB2", "BIOES"])
def test_constraints_allow_exactly_the_sequences_without_fault(scheme):
    names = tag_names(["a", "b"], scheme)
    starts, transitions, ends = (rule(names, scheme) for rule in (allowed_starts, allowed_transitions, allowed_ends))
    assert starts.dtype == transitions.dtype == ends.dtype == np.bool_
    assert starts.shape == ends.shape == (len(names),) and transitions.shape == (len(names), len(names))
    for path in itertools.product(range(len(names)), repeat=3):
        legal = starts[path[0]] and ends[path[-1]] and all(transitions[pair] for pair in itertools.pairwise(path))
        assert legal == (not scheme_faults([names[tag] for tag in path], scheme)), path


def test_constraints_in_other_schemes_are_refused():
    with pytest.raises(ValueError, match="IOB1"):
        allowed_starts(["O"], "IOB1")
    with pytest.raises(ValueError, match="lacks"):
        allowed_transitions(["O", "E-a"], "IOB2")
