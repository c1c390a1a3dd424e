"""Exposure of canaries: literal ranks, the approximation against the exact rank, unseen canaries."""

import math

import numpy as np
import pytest

from metrics.exposure import UNSEEN_BITS, approximate_exposure, exact_exposure, exposure_by_repetitions


@pytest.mark.parametrize(
    ("loss", "bits"),
    [(0.5, 3.0), (1.5, 2.0), (7.5, 0.0), (3.0, 1.0)],  # ranks 1, 2, 8 and, with a tie before it, 4
)
def test_exact_exposure_of_eight_secrets(loss, bits):
    assert exact_exposure(loss, np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])) == pytest.approx(bits)


def test_a_model_that_tells_nothing_apart_exposes_nothing():
    assert exact_exposure(1.0, np.ones(99)) == 0
    assert approximate_exposure(1.0, np.ones(99), 10**6) == 0
    assert approximate_exposure(0.9, np.ones(99), 10**6) == pytest.approx(math.log2(100))


@pytest.mark.parametrize("shape", ["normal", "skewed", "cut off"])
def test_the_approximation_agrees_with_the_exact_rank(shape):
    random = np.random.default_rng(0)
    space = random.normal(10, 2, 200_000)
    if shape == "skewed":
        space += 5 * np.abs(random.normal(size=200_000))
    if shape == "cut off":
        space = np.abs(space - 9)
    sample = random.choice(space, 2_000)
    # Where losses end abruptly, the sample's own rank is all there is: 11 bits of 2,000.
    for rank, within in ((20, 2.5 if shape == "cut off" else 1.2), (2_000, 0.5), (100_000, 0.2)):
        loss = np.sort(space)[rank]
        expected = exact_exposure(loss, space)
        assert approximate_exposure(loss, sample, len(space)) == pytest.approx(expected, abs=within)
    assert approximate_exposure(-1e6, sample, 1_000) == pytest.approx(math.log2(1_000))
    with pytest.raises(ValueError, match="20"):
        approximate_exposure(1.0, np.arange(19.0), 100)


def test_unseen_canaries_have_a_bit_and_a_half_and_uniform_p_values():
    random = np.random.default_rng(1)
    bits = [exact_exposure(loss, random.random(999)) for loss in random.random(2_000)]
    assert np.mean(bits) == pytest.approx(UNSEEN_BITS, abs=0.1)
    p_values = [exposure_by_repetitions([4] * 5, bits[start : start + 5])[0].p_value for start in range(0, 2_000, 5)]
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.04)


def test_groups_are_gathered_by_repetitions():
    unseen, often = exposure_by_repetitions([64, 0, 64], [9.0, 1.0, 7.0])
    assert (unseen.repetitions, unseen.bits, often.repetitions, often.bits) == (0, (1.0,), 64, (9.0, 7.0))
    assert unseen.p_value == pytest.approx(0.5)  # one bit halves the space
    assert often.p_value < 0.001
    assert often.as_dict()["mean_bits"]["value"] == 8 and often.as_dict()["largest_bits"] == 9
