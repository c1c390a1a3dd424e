"""Losses of document classification."""

from __future__ import annotations

import torch
from torch.nn import functional as F

TASKS = ("single_label", "multi_label", "ordinal")


def ordinal_log_probabilities(scores: torch.Tensor) -> torch.Tensor:
    """Return the logarithms of the class probabilities of a cumulative model, `(rows, classes)`.

    Args:
        scores: `(rows, classes - 1)` logits of "above class k", falling in k.
    """
    scores = scores.float()
    upper, lower = F.pad(scores, (1, 0), value=torch.inf), F.pad(scores, (0, 1), value=-torch.inf)
    # log(sigmoid(u) - sigmoid(l)), whose terms are both 1 in float32 from a score of 17 on.
    apart = -torch.expm1(lower - upper)
    return F.logsigmoid(upper) + F.logsigmoid(-lower) + apart.clamp(min=torch.finfo(torch.float32).tiny).log()


def classification_losses(
    logits: torch.Tensor,
    labels: torch.Tensor,
    task: str = "single_label",
    class_weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """Return the loss of each document, `(documents,)` float32.

    `single_label`: cross-entropy of the softmax. `multi_label`: mean of the binary cross-entropies of the sigmoids.
    `ordinal`: negative log-likelihood of a cumulative model, whose log-probabilities the logits are
    (`ordinal_log_probabilities`).

    Args:
        logits: `(documents, classes)`.
        labels: `(documents,)` int64, or `(documents, classes)` of 0 and 1.
        task: One of the three.
        class_weights: `(classes,)` factor of each class. Nothing is divided by their sum, so that the loss of a
            document does not depend on which others are in its batch.
        label_smoothing: Share of the target that is spread over all classes (Szegedy et al. 2016, section 7); for
            several labels, targets of `smoothing / 2` and `1 - smoothing / 2`.

    Raises:
        ValueError: The task is unknown.
    """
    logits = logits.float()
    weights = class_weights.to(logits) if class_weights is not None else None
    if task in ("single_label", "ordinal"):
        # Log-probabilities are their own log-softmax, so that one formula serves both.
        return F.cross_entropy(logits, labels, weight=weights, label_smoothing=label_smoothing, reduction="none")
    if task == "multi_label":
        targets = labels.float() * (1 - label_smoothing) + label_smoothing / 2
        return F.binary_cross_entropy_with_logits(logits, targets, weight=weights, reduction="none").mean(1)
    raise ValueError(f"unknown task {task!r}, choose from {', '.join(TASKS)}")
