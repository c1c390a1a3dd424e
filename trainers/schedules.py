"""Learning-rate schedules that transformers does not have."""

from __future__ import annotations

from collections.abc import Callable


def slanted_triangular_factor(num_training_steps: int, cut: float = 0.1, ratio: float = 32.0) -> Callable[[int], float]:
    """Return the factor on the learning rate at each step (Howard and Ruder 2018, ULMFiT, equation 3).

    It rises linearly from `1 / ratio` to 1 during the first `cut` of the steps, and falls linearly back.

    Args:
        num_training_steps: Steps of the whole run.
        cut: Share of the steps in which the rate rises.
        ratio: Highest rate over lowest.
    """
    peak = max(1, int(num_training_steps * cut))

    def factor(step: int) -> float:
        progress = step / peak if step < peak else 1 - (step - peak) / max(1, num_training_steps - peak)
        return (1 + max(0.0, progress) * (ratio - 1)) / ratio

    return factor
