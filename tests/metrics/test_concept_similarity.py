"""Rated pairs and the relation benchmark of concept vectors."""

import math

import numpy as np
import pytest
import scipy.stats

from corpora.concept_relations import ConceptRelation, read_relations
from corpora.errors import InputError
from corpora.text_pairs import TextPairs
from metrics.concept_similarity import relation_benchmark, similarity_of_rated_pairs


def test_rated_pairs_equal_to_scipy_and_unknown_names_counted():
    rng = np.random.default_rng(0)
    names, vectors = [f"n{i}" for i in range(12)], rng.normal(size=(12, 4))
    vectors[11] = 0
    pairs = [(i, j, float(rng.integers(0, 5))) for i in range(6) for j in range(6, 11)]
    cosines = [vectors[i] @ vectors[j] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[j]) for i, j, _ in pairs]
    rated = TextPairs(
        [f"n{i}" for i, _, _ in pairs] + ["n0", "n1"],
        [f"n{j}" for _, j, _ in pairs] + ["unknown", "n11"],
        [rating for _, _, rating in pairs] + [4.0, 4.0],
    )
    found = similarity_of_rated_pairs(names, vectors, rated)
    expected = scipy.stats.spearmanr(cosines, [rating for _, _, rating in pairs]).statistic
    assert found.spearman.value == pytest.approx(expected)
    assert found.spearman.low < expected < found.spearman.high
    assert (found.pairs, found.left_out) == (30, 2)


def test_no_pair_that_counts():
    found = similarity_of_rated_pairs(["a"], np.ones((1, 2)), TextPairs(["b"], ["c"], [1.0]))
    assert math.isnan(found.spearman.value) and found.left_out == 1


def relations(count, kinds=("drug", "disease")):
    return [ConceptRelation(f"d{i}", f"s{i}", *kinds) for i in range(count)]


def table(count, relatedness, seed=0):
    rng = np.random.default_rng(seed)
    drugs = rng.normal(size=(count, 30))
    diseases = relatedness * drugs + rng.normal(size=(count, 30))
    names = [f"d{i}" for i in range(count)] + [f"s{i}" for i in range(count)]
    return names, np.concatenate([drugs, diseases])


def test_unrelated_vectors_are_found_as_often_as_chance_says():
    found = relation_benchmark(*table(800, 0.0), relations(800))
    assert found.share.value == pytest.approx(0.05, abs=3.5 * math.sqrt(0.05 * 0.95 / 800))
    assert found.share.low < found.share.value < found.share.high


def test_threshold_and_share_against_all_pairs_in_a_plain_loop():
    names, vectors = table(40, 0.6)
    found = relation_benchmark(names, vectors, relations(40), null_pairs=200_000)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    null = [unit[i] @ unit[40 + j] for i in range(40) for j in range(40)]
    threshold = np.quantile(null, 0.95)
    hits = [unit[i] @ unit[40 + i] > threshold for i in range(40)]
    (kinds,) = found.by_kinds
    assert kinds.threshold == pytest.approx(threshold, abs=0.01)
    assert kinds.found == pytest.approx(sum(hits), abs=1) and kinds.pairs == 40
    assert 0.5 < found.share.value == pytest.approx(kinds.found / 40)


def test_kinds_have_thresholds_of_their_own():
    # Two clouds: random pairs within a cloud are already close, so that closeness within one tells nothing.
    rng = np.random.default_rng(1)
    cloud = rng.normal(size=(60, 20)) + 6 * rng.normal(size=20)
    names = [f"d{i}" for i in range(30)] + [f"s{i}" for i in range(30)] + [f"x{i}" for i in range(60)]
    spread = rng.normal(size=(30, 20))
    vectors = np.concatenate([cloud, spread, spread + 0.3 * rng.normal(size=(30, 20))])
    within = relations(30, ("a", "b"))
    apart = [ConceptRelation(f"x{i}", f"x{i + 30}", "c", "d") for i in range(30)]
    found = relation_benchmark(names, vectors, within + apart)
    first, second = found.by_kinds
    assert first.kinds == ("a", "b") and first.threshold > second.threshold + 0.3
    assert first.found <= 6 and second.found == 30
    assert found.share.value == pytest.approx((first.found + 30) / 60)


def test_a_concept_is_never_compared_with_itself():
    # Of pairs of four concepts a quarter would be a concept with itself, of cosine 1, which no related pair exceeds.
    angles = np.radians([0, 10, 90, 200])
    vectors = np.stack([np.cos(angles), np.sin(angles)], 1)
    pairs = [ConceptRelation(*pair, "x", "x") for pair in ("ab", "cd")]
    (found,) = relation_benchmark(list("abcd"), vectors, pairs).by_kinds
    assert found.threshold == pytest.approx(np.cos(np.radians(10)))


def test_concepts_without_vectors_or_others_of_their_kind_are_left_out():
    names, vectors = table(20, 1.0)
    vectors[3] = 0
    unknown = [ConceptRelation("d0", "nothing", "drug", "disease"), ConceptRelation("d1", "s1", "one", "other")]
    found = relation_benchmark(names, vectors, relations(20) + unknown)
    assert (found.pairs, found.left_out) == (19, 3)
    assert len(found.by_kinds) == 1
    again = relation_benchmark(names, vectors, relations(20) + unknown)
    assert again == found
    none = relation_benchmark(names, vectors, unknown[:1])
    assert math.isnan(none.share.value) and none.left_out == 1


def test_faults_of_the_caller():
    for names, word in ((["a"], "1 names for 2 vectors"), (["a", "a"], "stands twice")):
        with pytest.raises(ValueError, match=word):
            relation_benchmark(names, np.ones((2, 3)), [])
    with pytest.raises(ValueError, match="row 1"):
        relation_benchmark(["a", "b"], np.array([[1.0], [math.inf]]), [])


def test_relations_are_read_once_each(tmp_path):
    file = tmp_path / "may_treat.csv"
    file.write_text(
        "first,second,first_kind,second_kind\naspirin,fever,drug,disease\naspirin,fever,drug,disease\n"
        "insulin, diabetes ,drug,disease\n"
    )
    assert read_relations(file) == [
        ConceptRelation("aspirin", "fever", "drug", "disease"),
        ConceptRelation("insulin", "diabetes", "drug", "disease"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("first,second\na,b\n", "column 'first_kind': the column is missing"),
        ("first,second,first_kind,second_kind\na,,x,y\n", "row 1, column 'second': a cell is empty"),
        ("first,second,first_kind,second_kind\na,a,x,y\n", "row 1, column 'second': a concept is related to itself"),
        ("first,second,first_kind,second_kind\n", "holds no relations"),
    ],
)
def test_faults_in_a_file_of_relations(tmp_path, text, words):
    file = tmp_path / "relations.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        read_relations(file)
