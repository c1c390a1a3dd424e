"""Span sampling: literal cases, the original's statistics, and what must hold for every document."""

import itertools

import numpy as np
import pytest
from scipy import stats

from collators.randomness import document_generator
from collators.spans import STRATEGIES, SpanOptions, effective_options, sample_spans


def draws(length, options, count, seed=0):
    return [sample_spans(length, options, document_generator(seed, 0, f"d{number}")) for number in range(count)]


def overlap(first, second):
    return max(0, min(first[1], second[1]) - max(first[0], second[0]))


def test_compatible_mode_matches_the_measured_statistics_of_the_original():
    options = SpanOptions(2, 2, 8, 256, compatible=True)
    anchors, positives, shares, whole, disjoint = [], [], [], [], []
    for spans in draws(1024, options, 4000):
        for anchor, around in zip(spans.anchors, spans.positives, strict=True):
            anchors.append(anchor[1] - anchor[0])
            for positive in around:
                length = positive[1] - positive[0]
                inside = overlap(anchor, positive)
                positives.append(length)
                shares.append(inside / length)
                whole.append(inside == length)
                disjoint.append(inside == 0)
    # Measured on the original: 172, 90, 70 %, 39 %, 0.6 %. Four standard errors of 16,000 positives are allowed, and
    # half a unit of the last digit given.
    assert np.mean(anchors) == pytest.approx(172, abs=2.5)
    assert np.mean(positives) == pytest.approx(90, abs=1.9)
    assert np.mean(shares) == pytest.approx(0.70, abs=0.016)
    assert np.mean(whole) == pytest.approx(0.39, abs=0.021)
    assert np.mean(disjoint) == pytest.approx(0.006, abs=0.003)


def test_lengths_follow_the_beta_laws():
    options = SpanOptions(1, 1, 10, 1010, compatible=True)
    spans = draws(4000, options, 3000)
    anchors = [(s.anchors[0, 1] - s.anchors[0, 0] - 10 + 0.5) / 1000 for s in spans]
    positives = [(s.positives[0, 0, 1] - s.positives[0, 0, 0] - 10 + 0.5) / 1000 for s in spans]
    assert stats.kstest(anchors, stats.beta(4, 2).cdf).pvalue > 1e-3
    assert stats.kstest(positives, stats.beta(2, 4).cdf).pvalue > 1e-3


def test_compatible_mode_never_reaches_the_tail_and_adaptive_mode_does():
    # 1,100 tokens: four whole blocks of 256 end at 1,024.
    compatible = SpanOptions(2, 1, 8, 256, compatible=True)
    adaptive = SpanOptions(2, 1, 8, 256)
    assert max(s.anchors.max() for s in draws(1100, compatible, 1000)) <= 1024
    assert max(s.anchors.max() for s in draws(1100, adaptive, 1000)) > 1090
    assert min(s.anchors.min() for s in draws(100, adaptive, 1000)) == 0


def test_compatible_mode_closes_neighbouring_blocks():
    options = SpanOptions(2, 1, 8, 256, compatible=True)
    for spans in draws(1024, options, 500):
        first, second = (start // 256 for start in spans.anchors[:, 0])
        assert abs(first - second) >= 2


def test_compatible_mode_refuses_short_documents():
    options = SpanOptions(2, 2, 8, 256, compatible=True)
    assert options.min_document_length == 1024
    with pytest.raises(ValueError, match="shorter than 1024"):
        sample_spans(1023, options, document_generator(0, 0, "d"))


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (2000, (2, 256)),
        (1024, (2, 256)),
        (1000, (2, 250)),
        (128, (2, 32)),
        (127, (1, 63)),
        (64, (1, 32)),
        (70, (1, 35)),
    ],
)
def test_short_documents_get_shorter_spans_then_fewer_anchors(length, expected):
    assert effective_options(length, SpanOptions(2, 2, 32, 256)) == expected


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("length", [16, 17, 23, 24, 40, 63, 64, 100, 1000])
def test_every_span_lies_in_the_document_and_where_its_strategy_says(length, strategy):
    options = SpanOptions(3, 2, 8, 64, (strategy,))
    for spans in draws(length, options, 200):
        ordered = sorted(map(tuple, spans.anchors.tolist()))
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ordered))
        for anchor, around in zip(spans.anchors, spans.positives, strict=True):
            assert 0 <= anchor[0] < anchor[1] <= length
            assert 8 <= anchor[1] - anchor[0] <= 64
            for positive in around:
                size = positive[1] - positive[0]
                assert 0 <= positive[0] < positive[1] <= length
                assert size <= 64
                if length >= 32 or strategy in ("overlapping", "subsuming"):
                    assert size >= 8
                else:  # an anchor in the middle of a very short document leaves two short sides
                    assert size >= 4
                inside = overlap(anchor, positive)
                if strategy == "subsuming":
                    assert inside == size
                elif strategy == "adjacent":
                    assert inside == 0 and (positive[1] == anchor[0] or positive[0] == anchor[1])
                elif strategy == "disjoint":
                    assert inside == 0
                else:
                    assert positive[1] >= anchor[0] and positive[0] <= anchor[1]


def test_disjoint_positives_take_every_free_place():
    options = SpanOptions(1, 1, 8, 8, ("disjoint",))
    starts = {int(s.positives[0, 0, 0]) for s in draws(40, options, 3000)}
    assert starts == set(range(33))


def test_adjacent_positives_at_position_zero_only_outside_compatible_mode():
    adaptive = SpanOptions(1, 1, 8, 16, ("adjacent",))
    compatible = SpanOptions(1, 1, 8, 16, ("adjacent",), compatible=True)
    assert any(s.positives[0, 0, 0] == 0 for s in draws(48, adaptive, 2000))
    assert not any(s.positives[0, 0, 0] == 0 for s in draws(48, compatible, 2000))


def test_anchor_placements_are_equally_likely():
    # Two anchors of 2 tokens in 8: free = 4, so C(6, 2) = 15 placements.
    options = SpanOptions(2, 1, 2, 2)
    counts = {}
    for spans in draws(8, options, 6000):
        key = tuple(spans.anchors[:, 0].tolist())
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 15
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_several_strategies_are_mixed():
    options = SpanOptions(1, 1, 8, 16, ("subsuming", "disjoint"))
    inside = [overlap(s.anchors[0], s.positives[0, 0]) > 0 for s in draws(200, options, 1000)]
    assert 0.43 < np.mean(inside) < 0.57


def test_spans_depend_on_seed_epoch_and_document_alone():
    options = SpanOptions(2, 2, 8, 64)

    def flat(seed, epoch, name):
        spans = sample_spans(500, options, document_generator(seed, epoch, name))
        return [*spans.anchors.ravel().tolist(), *spans.positives.ravel().tolist()]

    reference = flat(1, 2, "a")
    assert flat(1, 2, "a") == reference
    assert len({tuple(flat(*key)) for key in [(1, 2, "a"), (2, 2, "a"), (1, 3, "a"), (1, 2, "b")]}) == 4


def test_spans_are_the_same_on_every_machine():
    spans = sample_spans(300, SpanOptions(2, 1, 8, 64), document_generator(42, 0, "note-1"))
    assert spans.anchors.tolist() == PINNED_ANCHORS
    assert spans.positives.tolist() == PINNED_POSITIVES


PINNED_ANCHORS = [[25, 83], [161, 210]]
PINNED_POSITIVES = [[[47, 61]], [[209, 252]]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_anchors": 0},
        {"num_positives": 0},
        {"min_length": 0},
        {"min_length": 9, "max_length": 8},
        {"strategies": ()},
        {"strategies": ("nearby",)},
    ],
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError):
        SpanOptions(**wrong)
