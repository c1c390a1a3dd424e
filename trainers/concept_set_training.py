"""Training and tuning of a `ConceptSetClassifier`: minutes of work in thousands of small fits.

A plain loop in place of `transformers.Trainer`: a study fits thousands of models of some ten thousand weights, each in
a second or so, which is less than the Trainer needs to start. The trained model is saved and loaded like any other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch.nn import functional as F

from modeling.concept_set_classifier import ConceptSetClassifier, bags

EVALUATION_BATCH = 1024
SPARSE = 0.02  # share of numbers that are not zero


@dataclass(frozen=True, eq=False)
class LabelledSets:
    """Encounters in the columns of one vocabulary.

    Args:
        occurs: `(encounters, states)`.
        outcomes: `(encounters,)` of 0 and 1.
    """

    occurs: csr_matrix
    outcomes: np.ndarray

    def __len__(self) -> int:
        return len(self.outcomes)


@dataclass(frozen=True)
class FitPlan:
    """How a classifier is fitted.

    Args:
        learning_rate: Constant over the steps.
        epochs: At most so many.
        batch_size: Encounters in a step.
        least_steps: Steps in an epoch at least: few encounters are passed over several times.
        steps: Steps in an epoch exactly, wherever they end in a pass (the study); None: whole passes.
        patience: Epochs without a better validation score before it stops; None runs all of them, for the trajectory.
        optimizer: `adamw`, or `sgd` with Nesterov momentum of 0.9 and the weight decay in the gradient (the study).
        weight_decay: Of the optimizer.
        part: `all` weights, or only the last layer (`head`).
    """

    learning_rate: float
    epochs: int = 30
    batch_size: int = 512
    least_steps: int = 10
    steps: int | None = None
    patience: int | None = 5
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = 1e-3
    part: Literal["all", "head"] = "all"


@dataclass(frozen=True, eq=False)
class FitResult:
    """What happened in a fit.

    Args:
        part: Of the plan.
        best_epoch: Number of the epoch with the best validation score; 0 stands for the weights before the first step.
        trajectory: One record an epoch, from 0: `epoch`, `validation_auroc` (None where validation has one class only)
            and `validation_loss`.
        weights: Of the fitted part after each epoch.
    """

    part: Literal["all", "head"]
    best_epoch: int
    trajectory: list[dict[str, Any]]
    weights: list[list[torch.Tensor]]

    @property
    def best(self) -> dict[str, Any]:
        """The record of the best epoch."""
        return self.trajectory[self.best_epoch]

    @property
    def score(self) -> tuple[float, float]:
        """What fits are chosen by: validation AUROC, and the smaller loss where it is the same."""
        return _score(self.best)

    def give(self, model: ConceptSetClassifier, epoch: int | None = None) -> None:
        """Give the model the weights of an epoch; by default of the best."""
        chosen = self.weights[self.best_epoch if epoch is None else epoch]
        with torch.no_grad():
            for weight, value in zip(_weights(model, self.part), chosen, strict=True):
                weight.copy_(value)


def fit_concept_sets(
    model: ConceptSetClassifier,
    vectors: torch.Tensor,
    train: LabelledSets,
    validation: LabelledSets,
    plan: FitPlan,
    seed: int,
) -> FitResult:
    """Train the model from the weights that it has, and give it the best of them.

    The epoch is chosen by the AUROC on the validation encounters, by their cross-entropy where it is equal: ten
    encounters are soon ranked perfectly. Epoch 0, nothing trained, is among the choices.

    Args:
        model: The classifier.
        vectors: `(states, size)` of the columns of all sets.
        train: To learn from.
        validation: To choose the epoch by.
        plan: How.
        seed: Of the order of the encounters and of dropout.

    Returns:
        The trajectory and the best epoch; two fits of one seed are equal bit for bit on a CPU.
    """
    logits_of = _forward(model, _sparse_if_smaller(vectors), plan.part, [train, validation])
    weights = _weights(model, plan.part)
    optimizer = _optimizer(weights, plan)
    labels = torch.from_numpy(train.outcomes.astype(np.int64)).to(vectors.device)
    batches, steps = _batches(len(train), plan, np.random.default_rng([seed, 0])), _steps(len(train), plan)
    trajectory = [{"epoch": 0, **_evaluate(logits_of, validation)}]
    kept, best = [_copied(weights)], 0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for epoch in range(1, plan.epochs + 1):
            model.train()
            for rows in itertools.islice(batches, steps):
                optimizer.zero_grad()
                F.cross_entropy(logits_of(train, rows), labels[rows]).backward()
                optimizer.step()
            model.eval()
            trajectory.append({"epoch": epoch, **_evaluate(logits_of, validation)})
            kept.append(_copied(weights))
            if _score(trajectory[-1]) > _score(trajectory[best]):
                best = epoch
            if plan.patience is not None and epoch - best >= plan.patience:
                break
    result = FitResult(plan.part, best, trajectory, kept)
    result.give(model)
    return result


def scores_by_epoch(
    model: ConceptSetClassifier, vectors: torch.Tensor, test: LabelledSets, result: FitResult
) -> list[float | None]:
    """Return the AUROC on test encounters after each epoch, from 0.

    It describes how a fit went on and takes no part in it: the epoch was chosen without these encounters.

    Args:
        model: The fitted model; it has the best weights before and after.
        vectors: `(states, size)`.
        test: The encounters.
        result: Of the fit.
    """
    logits_of = _forward(model, _sparse_if_smaller(vectors), result.part, [test])
    found = []
    for epoch in range(len(result.trajectory)):
        result.give(model, epoch)
        found.append(_evaluate(logits_of, test)["validation_auroc"])
    result.give(model)
    return found


def _sparse_if_smaller(vectors: torch.Tensor) -> torch.Tensor:
    """Return one-hot vectors as a sparse tensor, of which the shared map costs a thousandth."""
    return vectors.to_sparse() if (vectors != 0).sum() < SPARSE * vectors.numel() else vectors


def _weights(model: ConceptSetClassifier, part: str) -> list[torch.nn.Parameter]:
    return [*(model.classifier if part == "head" else model).parameters()]


def _copied(weights: list[torch.nn.Parameter]) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in weights]


def _forward(
    model: ConceptSetClassifier, vectors: torch.Tensor, part: str, parts: list[LabelledSets]
) -> Callable[[LabelledSets, np.ndarray], torch.Tensor]:
    """Return how the logits of some encounters are computed; below a tuned head nothing changes, so it is done once."""
    model.eval()

    def pooled(sets: LabelledSets, rows: np.ndarray) -> torch.Tensor:
        indices, offsets = (numbers.to(vectors.device) for numbers in bags(sets.occurs[rows]))
        return model.pool(vectors, indices, offsets)

    if part == "all":
        return lambda sets, rows: model.classify(pooled(sets, rows))
    with torch.no_grad():
        found = {id(sets): torch.cat([pooled(sets, rows) for rows in _parts(len(sets))]) for sets in parts if len(sets)}
    return lambda sets, rows: model.classify(found[id(sets)][torch.from_numpy(rows)])


def _optimizer(weights: list[torch.nn.Parameter], plan: FitPlan) -> torch.optim.Optimizer:
    if plan.optimizer == "adamw":
        return torch.optim.AdamW(weights, lr=plan.learning_rate, weight_decay=plan.weight_decay)
    return torch.optim.SGD(weights, lr=plan.learning_rate, momentum=0.9, nesterov=True, weight_decay=plan.weight_decay)


def _batches(count: int, plan: FitPlan, order: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the rows of each step without end, pass after pass in a new order."""
    while True:
        rows = order.permutation(count)
        for start in range(0, count, plan.batch_size):
            yield rows[start : start + plan.batch_size]


def _steps(count: int, plan: FitPlan) -> int:
    """Return the steps of an epoch."""
    in_a_pass = math.ceil(count / plan.batch_size)
    return plan.steps or in_a_pass * math.ceil(plan.least_steps / in_a_pass)


@torch.no_grad()
def _evaluate(logits_of: Callable[[LabelledSets, np.ndarray], torch.Tensor], sets: LabelledSets) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    found = torch.cat([logits_of(sets, rows) for rows in _parts(len(sets))]).float().cpu()
    margins = (found[:, 1] - found[:, 0]).numpy()
    # A fit that diverged ranks nothing, and loses the choice.
    both = len(np.unique(sets.outcomes)) == 2 and np.isfinite(margins).all()
    return {
        "validation_auroc": float(roc_auc_score(sets.outcomes, margins)) if both else None,
        "validation_loss": float(F.cross_entropy(found, torch.from_numpy(sets.outcomes.astype(np.int64)))),
    }


def _parts(count: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + EVALUATION_BATCH, count)) for start in range(0, count, EVALUATION_BATCH)]


def _score(record: dict[str, Any]) -> tuple[float, float]:
    ranked, loss = record["validation_auroc"], record["validation_loss"]
    return (-math.inf if ranked is None else ranked, -loss if math.isfinite(loss) else -math.inf)
