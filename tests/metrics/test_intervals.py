"""Resampled scores against scikit-learn, intervals and tests by simulation, Holm's correction literally."""

import time

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from metrics.intervals import (
    RESAMPLED_METRICS,
    PairedDifference,
    ResampledScores,
    bootstrap_interval,
    holm,
    macro_f1_of_resamples,
    metric_of_resamples,
    paired_bootstrap,
    paired_difference,
    percentile_interval,
    resample_scores,
    resample_within_classes,
)


def with_scikit_learn(metric, truth, said):
    """The score, over the classes that occur or are predicted."""
    if metric == "accuracy":
        return accuracy_score(truth, said)
    score = {"precision": precision_score, "recall": recall_score, "f1": f1_score}[metric.split("_")[0]]
    options = {"average": metric.split("_")[1], "zero_division": 0}
    if truth.ndim == 2:
        options["labels"] = np.flatnonzero(truth.any(0) | said.any(0))
    return score(truth, said, **options)


@pytest.mark.parametrize("metric", RESAMPLED_METRICS)
def test_scores_of_resamples_equal_scikit_learn(metric):
    rng = np.random.default_rng(4)
    truth, said = rng.choice(list("abcd"), 40), rng.choice(list("abce"), 40)
    several = rng.random((30, 4)) < [0.6, 0.4, 0.07, 0.5]
    marked = several ^ (rng.random((30, 4)) < 0.3)
    marked[:, 2] &= several[:, 2]  # so that the third category is missing from some resamples
    for true, predicted in ((truth, said), (several.astype(np.int64), marked)):
        counts = resample_within_classes(true, 25, seed=3)
        expected = [
            with_scikit_learn(metric, np.repeat(true, n, axis=0), np.repeat(predicted, n, axis=0)) for n in counts
        ]
        np.testing.assert_allclose(metric_of_resamples(true, predicted, counts, metric), expected)
        assert np.std(expected) > 0.01
    assert (counts @ (several | marked)[:, 2] == 0).any()


def test_macro_f1_is_the_default_and_others_are_refused():
    truth, said = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    assert macro_f1_of_resamples(truth, said, np.ones((1, 4)))[0] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    with pytest.raises(ValueError, match="no resampling of ece; choose from f1_macro"):
        metric_of_resamples(truth, said, np.ones((1, 4)), "ece")


def test_several_categories_are_drawn_from_all_documents():
    targets = np.eye(3, dtype=np.int64)[np.arange(30) % 3]
    counts = resample_within_classes(targets, 50, seed=0)
    assert (counts.sum(1) == 30).all()
    assert np.std(counts @ targets[:, 0]) > 1  # no category keeps its number
    assert (resample_within_classes(targets.argmax(1), 50, seed=0) @ targets == 10).all()


def test_interval_of_one_seed_is_the_percentiles_of_the_resamples():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 60)
    said = np.where(rng.random(60) < 0.7, targets, rng.integers(0, 3, 60))
    scores = macro_f1_of_resamples(targets, said, resample_within_classes(targets, 400, seed=5))
    interval = bootstrap_interval([said], targets, 400, seed=5)
    assert interval == pytest.approx(tuple(np.percentile(scores, [2.5, 97.5])))
    assert interval[0] < f1_score(targets, said, average="macro") < interval[1]
    # Seeds that all predict the same add nothing.
    assert bootstrap_interval([said] * 4, targets, 400, seed=5) == pytest.approx(interval)


def test_seeds_add_the_variance_of_their_mean():
    rng = np.random.default_rng(0)
    by_seed = np.array([0.40, 0.55, 0.60, 0.65, 0.80])
    # Documents add a little, so that the means have no ties for the percentiles to fall on.
    scores = ResampledScores(by_seed, by_seed[:, None] + rng.normal(0, 0.02, 40_000))
    low, high = percentile_interval(scores)
    expected = 2 * 1.96 * np.sqrt(by_seed.var(ddof=1) / 5 + 0.02**2)
    assert high - low == pytest.approx(expected, rel=0.03)  # drawing all five seeds would give a tenth less
    assert scores.mean == pytest.approx(0.6)


def simulate(rng, seeds, abilities, seed_effect):
    """Predictions of two systems by seed; hard documents are hard for both; errors go to any other class."""
    targets = np.repeat(np.arange(3), 50)
    hardness = rng.random(150)
    predictions = []
    for ability in abilities:
        luck = rng.normal(0, seed_effect, (seeds, 1)) if seed_effect else 0
        # On average over the documents right as often as the ability says; documents are nearly always or never right.
        right = rng.random((seeds, 150)) < np.clip(0.5 + 4 * (ability + luck - hardness), 0, 1)
        predictions.append(np.where(right, targets, (targets + rng.integers(1, 3, (seeds, 150))) % 3))
    return targets, *predictions


@pytest.mark.parametrize(("seeds", "seed_effect"), [(1, 0.0), (5, 0.03)])
def test_intervals_cover_a_known_difference(seeds, seed_effect):
    # Errors are spread evenly over balanced classes, so macro-F1 is the ability, and a difference is known.
    rng = np.random.default_rng(seeds)
    repetitions, covered, widths, apart = 200, 0, [], []
    for repetition in range(repetitions):
        targets, first, second = simulate(rng, seeds, (0.75, 0.65), seed_effect)
        found = paired_bootstrap(first, second, targets, resamples=200)
        covered += found.interval[0] <= 0.10 <= found.interval[1]
        widths.append(np.ptp(found.interval))
        if repetition < 25:
            single = (bootstrap_interval(part, targets, 200) for part in (first, second))
            apart.append(np.hypot(*map(np.ptp, single)))
    # 95 % within three standard errors, and two more points for a percentile interval on 150 documents.
    assert 0.885 <= covered / repetitions <= 0.99
    assert np.mean(widths) < 0.9 * np.mean(apart)  # what the pairing of documents gains


def test_equal_systems_are_rarely_told_apart():
    rng = np.random.default_rng(9)
    p_values = []
    for _ in range(200):
        targets, first, second = simulate(rng, 3, (0.7, 0.7), 0.02)
        p_values.append(paired_bootstrap(first, second, targets, resamples=200).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.09
    assert 0.3 < np.mean(p_values) < 0.75


def test_p_value_counts_the_differences_as_far_from_the_observed_as_that_is_from_zero():
    first = ResampledScores(np.array([0.6]), np.array([[0.6, 0.7, 0.8, 0.55, 0.45, 0.62, 0.4, 0.6, 0.61]]))
    second = ResampledScores(np.array([0.5]), np.full((1, 9), 0.5))
    # Differences 0.1, 0.2, 0.3, 0.05, -0.05, 0.12, -0.1, 0.1, 0.11; observed 0.1: four are 0.1 or more away from it.
    found = paired_difference(first, second)
    assert found == PairedDifference(pytest.approx(0.1), found.interval, pytest.approx((4 + 1) / (9 + 1)))
    assert found.interval == pytest.approx(tuple(np.percentile(first.resampled - 0.5, [2.5, 97.5])))


def test_paired_bootstrap_of_extremes():
    targets = np.arange(60) % 3
    same = paired_bootstrap([targets], [targets.copy()], targets)
    assert same == PairedDifference(0.0, (0.0, 0.0), 1.0)
    ahead = paired_bootstrap([targets] * 3, [(targets + 1) % 3] * 3, targets, resamples=499)
    assert ahead == PairedDifference(1.0, (1.0, 1.0), 1 / 500)  # never 0
    rng = np.random.default_rng(2)
    first, second = (np.where(rng.random((2, 60)) < share, targets, 0) for share in (0.7, 0.6))
    there, back = paired_bootstrap(first, second, targets), paired_bootstrap(second, first, targets)
    assert there.difference == -back.difference and there.p_value == back.p_value
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))
    expected = [np.mean([f1_score(targets, said, average="macro") for said in part]) for part in (first, second)]
    assert there.difference == pytest.approx(expected[0] - expected[1])


def test_seeds_are_drawn_together_only_where_they_are_the_same():
    by_seed = np.array([0.3, 0.5, 0.7, 0.9])
    first = ResampledScores(by_seed + 0.05, np.repeat(by_seed[:, None] + 0.05, 2_000, axis=1))
    second = ResampledScores(by_seed, np.repeat(by_seed[:, None], 2_000, axis=1))
    together = paired_difference(first, second)
    assert together.interval == pytest.approx((0.05, 0.05)) and together.p_value < 0.001
    alone = paired_difference(first, second, same_seeds=False)
    assert alone.difference == pytest.approx(0.05) and np.ptp(alone.interval) > 0.3 and alone.p_value > 0.5
    fewer = ResampledScores(second.observed[:1], second.resampled[:1])
    assert np.ptp(paired_difference(first, fewer).interval) == pytest.approx(np.ptp(alone.interval) / 2**0.5, rel=0.1)


def test_several_categories_a_document():
    rng = np.random.default_rng(3)
    targets = rng.random((80, 4)) < 0.4
    good, poor = ([targets ^ (rng.random(targets.shape) < share) for _ in range(3)] for share in (0.1, 0.35))
    found = paired_bootstrap(good, poor, targets.astype(np.int64), resamples=300)
    expected = [np.mean([f1_score(targets, said, average="macro") for said in part]) for part in (good, poor)]
    assert found.difference == pytest.approx(expected[0] - expected[1])
    assert found.p_value == 1 / 301 and found.interval[0] > 0
    low, high = bootstrap_interval(good, targets, 300)
    assert low < expected[0] < high and 0.01 < high - low < 0.2


def test_draws_depend_on_the_seed_alone():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 50)
    said = rng.integers(0, 3, (4, 50))
    first, again, other = (bootstrap_interval(said, targets, 200, seed) for seed in (0, 0, 1))
    assert first == again != other


def test_is_fast():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 20, 300)
    said = [rng.integers(0, 20, 300) for _ in range(5)]
    started = time.perf_counter()
    scores = resample_scores(said, targets, resample_within_classes(targets, 1_000, 0))
    assert time.perf_counter() - started < 1  # some 0.05 s on a slow core
    assert scores.observed.shape == (5,) and scores.resampled.shape == (5, 1_000)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # The example of pingouin's documentation of this method.
        ([0.50, 0.003, 0.32, 0.054, 0.0003], [0.64, 0.012, 0.64, 0.162, 0.0015]),
        # That of Wikipedia's article on it: at 5 %, the first and the last stand.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.4, 0.9], [0.8, 0.9]),
        ([0.6, 0.7, 0.8], [1.0, 1.0, 1.0]),
        ([0.02], [0.02]),
        ([], []),
    ],
)
def test_holm_literally(given, expected):
    np.testing.assert_allclose(holm(given), expected)


def test_undefined_resamples_are_no_evidence_and_leave_an_interval():
    scores = np.linspace(0.5, 0.7, 200)[None, :]
    few, most = scores.copy(), scores.copy()
    few[0, ::40], most[0, ::2] = np.nan, np.nan
    first = ResampledScores(np.array([0.6]), few)
    low, high = percentile_interval(first)
    assert (low, high) == tuple(np.percentile(few[np.isfinite(few)], [2.5, 97.5]))
    assert np.isnan(percentile_interval(ResampledScores(np.array([0.6]), most))).all()
    # Five of 200 resamples are undefined, and no other speaks against the difference.
    found = paired_difference(first, ResampledScores(np.array([0.1]), np.full((1, 200), 0.1)))
    assert found.difference == pytest.approx(0.5) and found.p_value == pytest.approx(6 / 201)
    assert np.isfinite(found.interval).all()
