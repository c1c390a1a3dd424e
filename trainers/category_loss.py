"""Losses that read document metadata: cross-entropy, binary cross-entropy and supervised contrastive."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from corpora.category_columns import NO_CATEGORY
from trainers.contrastive_loss import PairRelations, nt_xent


def category_weights(counts: Sequence[int], scheme: str, beta: float = 0.9999) -> torch.Tensor:
    """Return a weight for each category, with a mean of 1 over the training documents.

    Args:
        counts: Training documents of each category, all positive.
        scheme: `none`; `inverse`: proportional to `1 / n`; `effective`: proportional to `(1 - beta) / (1 - beta^n)`,
            the inverse of the effective number of samples (Cui et al. 2019, equation 3).
        beta: Between 0 (no weighting) and 1 (tends to `inverse`).

    Returns:
        `(categories,)` float32.

    Raises:
        ValueError: The scheme is unknown.
    """
    numbers = torch.tensor(counts, dtype=torch.float64)
    if scheme == "none":
        return torch.ones(len(counts))
    if scheme == "inverse":
        weights = 1 / numbers
    elif scheme == "effective":
        weights = (1 - beta) / (1 - beta**numbers)
    else:
        raise ValueError(f"unknown weighting {scheme!r}, choose from none, inverse, effective")
    return (weights * numbers.sum() / (weights * numbers).sum()).float()


def has_category(targets: torch.Tensor) -> torch.Tensor:
    """Return `(documents,)` booleans: whether a document has a known category (see `category_targets`)."""
    return ~targets.isnan().any(1) if targets.is_floating_point() else targets != NO_CATEGORY


def category_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the loss summed over documents, in float32; documents without a category add nothing.

    One category a document: `-w_y log softmax(logits)_y`. Multi-label: the mean over the categories of the binary
    cross-entropies.

    Args:
        logits: `(documents, categories)`.
        targets: `(documents,)` int64 with -100 for none, or `(documents, categories)` of 0 and 1 with NaN for none.
        weights: `(categories,)` from `category_weights`. For multi-label targets they weight what is present, relative
            to the commonest category (1): a rare category is mostly absent, and a weight on both would change nothing.
    """
    known = has_category(targets)
    logits, targets, weights = logits[known].float(), targets[known], weights.to(logits.device)
    if targets.is_floating_point():
        relative = weights / weights.min()
        losses = F.binary_cross_entropy_with_logits(logits, targets, pos_weight=relative, reduction="none")
        return losses.mean(1).sum()
    # A sum over no document is 0 and still reaches every parameter, which DistributedDataParallel requires.
    return F.cross_entropy(logits, targets, weight=weights, reduction="sum")


def supervised_contrastive(
    vectors: torch.Tensor,
    targets: torch.Tensor,
    temperature: float,
    document_keys: torch.Tensor | None = None,
    rows: slice = slice(None),
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the SupCon loss (Khosla et al. 2020, equation 2) summed over documents, and over how many.

    For a document i with the others of its category P(i) and all others A(i),
    `loss_i = -1/|P(i)| * sum_{p in P(i)} log( exp(s_ip) / sum_{a in A(i)} exp(s_ia) )`, s the cosine over the
    temperature, in fp32. A document that is alone of its category has no positive: it is a negative of the others and
    has no loss of its own. A document without a category takes no part. Rows of one document (several spans, or a
    document drawn twice) are neither positives nor negatives of each other: they would be too easy.

    Args:
        vectors: `(documents, size)`, of any length.
        targets: `(documents,)` int64 with -100 for none.
        temperature: Divides the cosine similarities.
        document_keys: `(documents,)` equal where two rows come from one document; None: all differ.
        rows: The documents whose losses are summed; each is compared with all.
    """
    known = has_category(targets)
    wanted = torch.zeros_like(known)
    wanted[rows] = True
    places = wanted[known].nonzero().squeeze(1)
    vectors, targets = vectors[known], targets[known]
    if not len(places):
        return vectors.float().sum() * 0.0, known[rows].sum()
    own = places[:, None] == torch.arange(len(vectors), device=vectors.device)[None, :]
    if document_keys is not None:
        keys = document_keys[known]
        own |= keys[places, None] == keys[None, :]
    positive = (targets[places, None] == targets[None, :]) & ~own
    losses, _ = nt_xent(vectors, PairRelations(positive, own), temperature, rows=places)
    return losses.sum(), positive.any(1).sum()
