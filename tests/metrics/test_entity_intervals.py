"""Bootstrap over documents: resamples against scoring the drawn documents again, coverage, and paired tests."""

import numpy as np
import pytest

from metrics.entity_intervals import resample_documents, resample_entity_scores
from metrics.intervals import paired_difference, percentile_interval
from metrics.tagging_scores import score_documents, tagging_counts

LABELS = ["Dose", "Drug"]


def made_up(rng, documents=30, entities=6, quality=0.7):
    """Gold and predicted spans; documents differ in how hard they are."""
    gold, predicted = [], []
    for _ in range(documents):
        spans = [(str(rng.choice(LABELS)), 5 * n, int(5 * n + rng.integers(1, 4))) for n in range(entities)]
        chance = np.clip(quality + rng.normal(0, 0.25), 0, 1)
        said = [span if rng.random() < chance else (span[0], span[1] + 1, span[2] + 1) for span in spans]
        gold.append(spans)
        predicted.append([span for span in said if rng.random() < 0.95])
    return gold, predicted


def test_resamples_are_scores_of_the_drawn_documents():
    rng = np.random.default_rng(0)
    gold, predicted = made_up(rng, 12)
    gold[3] = predicted[3] = []
    counts = tagging_counts(gold, predicted, labels=["Dose", "Drug", "Form"])
    draws = resample_documents(12, 40, seed=1)
    assert draws.shape == (40, 12) and (draws.sum(1) == 12).all() and draws.std() > 0.5
    found = resample_entity_scores([counts], draws)
    whole = score_documents(gold, predicted)
    for name in ("f1_micro", "precision_macro", "recall_weighted", "exact_f1", "partial_recall", "f1_of_Drug"):
        assert found[name].observed[0] == pytest.approx(whole[name])
        for number in (0, 7, 39):
            rows = np.repeat(np.arange(12), draws[number])
            again = score_documents([gold[row] for row in rows], [predicted[row] for row in rows])
            assert found[name].resampled[0, number] == pytest.approx(again[name])


def test_seeds_are_rows():
    rng = np.random.default_rng(0)
    gold, predicted = made_up(rng, 10)
    worse = [[span for span in spans if span[0] == "Drug"] for spans in predicted]
    seeds = [tagging_counts(gold, said, labels=LABELS) for said in (predicted, worse)]
    found = resample_entity_scores(seeds, resample_documents(10, 30))["f1_of_Dose"]
    assert found.observed.shape == (2,) and found.resampled.shape == (2, 30)
    assert found.observed[0] > 0.3 and found.observed[1] == 0 and not found.resampled[1].any()


def test_intervals_cover_and_those_of_clustered_documents_are_wider():
    """The share of intervals that hold the true score, and the width against a bootstrap of entities."""
    rng = np.random.default_rng(4)
    truth = np.mean([score_documents(*made_up(rng, 60))["f1_micro"] for _ in range(40)])
    covered, widths, by_entity = [], [], []
    for _ in range(80):
        gold, predicted = made_up(rng, 30)
        counts = tagging_counts(gold, predicted, labels=LABELS)
        low, high = percentile_interval(resample_entity_scores([counts], resample_documents(30, 150))["f1_micro"])
        covered.append(low <= truth <= high)
        widths.append(high - low)
        if len(by_entity) < 10:
            # Each entity a document of its own.
            pairs = [(a, said) for a, said in zip(gold, predicted, strict=True)]
            single = [
                ([span], [other for other in said if abs(other[1] - span[1]) < 2]) for a, said in pairs for span in a
            ]
            alone = tagging_counts(*zip(*single, strict=True), labels=LABELS)
            ends = percentile_interval(
                resample_entity_scores([alone], resample_documents(len(single), 150))["f1_micro"]
            )
            by_entity.append(ends[1] - ends[0])
    assert 0.86 <= np.mean(covered) <= 0.99  # 0.95 with a standard error of 0.024, and few documents
    assert np.mean(widths) > 1.2 * np.mean(by_entity)


def test_paired_differences_see_what_single_intervals_do_not():
    rng = np.random.default_rng(2)
    gold, predicted = made_up(rng, 40)
    better = [
        [gold[row][0] if place == 0 else span for place, span in enumerate(spans)]
        for row, spans in enumerate(predicted)
    ]
    draws = resample_documents(40, 400)
    first, second = (
        resample_entity_scores([tagging_counts(gold, said, labels=LABELS)], draws)["f1_micro"]
        for said in (better, predicted)
    )
    found = paired_difference(first, second)
    assert found.difference > 0 and found.p_value < 0.01 and found.interval[0] > 0
    assert percentile_interval(first)[0] < percentile_interval(second)[1]
    same = paired_difference(first, first)
    assert same.difference == 0 and same.p_value == 1


def test_counts_of_other_documents_are_refused():
    rng = np.random.default_rng(0)
    gold, predicted = made_up(rng, 4)
    first = tagging_counts(gold, predicted, "abcd", LABELS)
    for other in (
        tagging_counts(gold, predicted, "abce", LABELS),
        tagging_counts(gold, predicted, "abcd", LABELS[::-1]),
    ):
        with pytest.raises(ValueError, match="different documents or types"):
            resample_entity_scores([first, other], resample_documents(4, 5))
