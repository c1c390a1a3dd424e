"""The contrastive loss of DeCLUTR: symmetric InfoNCE (NT-Xent) over anchors and their mean positives."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional as F

POLICIES = ("hard_negative", "ignore", "positive")
CATEGORY_POLICIES = ("negative", "ignore", "positive")


@dataclass(frozen=True)
class PairRelations:
    """How R of the 2N vectors of a batch (most often all) stand to all of them and, if there are any, to M of a memory.

    Args:
        positive: `(R, 2N + M)` boolean: the column is a positive of the row.
        excluded: `(R, 2N + M)` boolean: the column is left out of the row's denominator (always the row itself).
    """

    positive: torch.Tensor
    excluded: torch.Tensor


def pair_relations(
    document_keys: torch.Tensor,
    patient_keys: torch.Tensor,
    content_keys: torch.Tensor,
    span_keys: torch.Tensor,
    same_document: str = "hard_negative",
    same_patient: str = "hard_negative",
    category_keys: torch.Tensor | None = None,
    same_category: str = "negative",
    rows: torch.Tensor | None = None,
) -> PairRelations:
    """Decide for each pair of vectors whether it is positive, negative or left out.

    The vectors are `[anchors; mean positives]`. An anchor and its own positive are always positives of each other.
    Exact duplicates are never negatives: neither vectors made of the same tokens, nor vectors of documents with the
    same text.

    Args:
        document_keys: `(N,)` equal where two anchors come from one document.
        patient_keys: `(N,)` equal where two anchors come from one patient.
        content_keys: `(N,)` equal where two anchors come from documents of equal text.
        span_keys: `(2, N)` equal where two vectors are made of the same tokens; row 0 anchors, row 1 positives.
        same_document: What other spans of the same document are: `hard_negative` (the original), `ignore` or
            `positive`.
        same_patient: The same for spans of other documents of the same patient.
        category_keys: `(N,)` equal where two anchors come from documents of one category; None for no categories.
        same_category: What spans of other patients' documents of the same category are: `negative` (as any other),
            `ignore` or `positive`.
        rows: `(R,)` places of the vectors whose relations are wanted; all when not given.

    Raises:
        ValueError: A policy is unknown.
    """
    for policy, known in ((same_document, POLICIES), (same_patient, POLICIES), (same_category, CATEGORY_POLICIES)):
        if policy not in known:
            raise ValueError(f"unknown policy {policy!r}, choose from {', '.join(known)}")
    count = len(document_keys)
    places = torch.arange(2 * count, device=document_keys.device)
    rows = places if rows is None else rows
    own = rows[:, None] == places[None, :]
    pair = own.roll(count, dims=1)

    def equal(keys: torch.Tensor) -> torch.Tensor:
        doubled = torch.cat((keys, keys))
        return doubled[rows, None] == doubled[None, :]

    document = equal(document_keys)
    patient = equal(patient_keys) & ~document
    spans = span_keys.flatten()
    partner = spans.roll(count)
    # A vector of the same tokens as the row, or as the row's own positive, can be no negative of the row.
    duplicate = (spans[rows, None] == spans[None, :]) | (partner[rows, None] == spans[None, :])
    duplicate |= equal(content_keys) & ~document

    positive, excluded = pair.clone(), own | duplicate
    groups = [(document, same_document), (patient, same_patient)]
    if category_keys is not None:
        groups.append((equal(category_keys) & ~document & ~patient, same_category))
    for related, policy in groups:
        if policy == "ignore":
            excluded |= related
        elif policy == "positive":
            positive |= related & ~duplicate
    positive &= ~own
    return PairRelations(positive, (excluded & ~pair) | own)


def nt_xent(
    vectors: torch.Tensor,
    relations: PairRelations,
    temperature: float,
    *,
    decoupled: bool = False,
    memory: torch.Tensor | None = None,
    rows: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of each vector and whether its nearest neighbour in the batch is a positive.

    With s the cosine similarity over the temperature, P(i) the positives and D(i) all vectors not excluded,
    `loss_i = -1/|P(i)| * sum_{p in P(i)} log( exp(s_ip) / sum_{k in D(i)} exp(s_ik) )`, in fp32. With one positive a
    row this is NT-Xent (Chen et al. 2020, equation 1; Giorgi et al. 2021, equations 4 and 5); with several it is the
    outer form of SupCon (Khosla et al. 2020, equation 2). A vector without a positive has the loss 0.

    Decoupled (Yeh et al. 2022, equation 6), D(i) holds no positives: an easy positive no longer weakens the gradient of
    the negatives, which helps small batches. A vector without a negative then has the loss 0; losses may be negative.

    Args:
        vectors: `(2N, hidden)`, of any length.
        relations: From `pair_relations`; with a memory, from `CrossBatchMemory.widened`.
        temperature: Divides the cosine similarities.
        decoupled: Leave the positives out of the denominators.
        memory: `(M, hidden)` further vectors of the denominators, which get no gradient and have no loss.
        rows: `(R,)` places of the vectors that the relations are of, whose losses are wanted; all when not given.

    Returns:
        `(R,)` losses in float32 (float64 for float64 vectors) and `(R,)` booleans.
    """
    precise = vectors.double() if vectors.dtype == torch.float64 else vectors.float()
    with torch.autocast(vectors.device.type, enabled=False):
        unit = F.normalize(precise, dim=1)
        # A row with nothing left would give a gradient that is not a number; it has no positive, so its loss is 0.
        excluded = relations.excluded & ~relations.excluded.all(1, keepdim=True)
        others = unit if memory is None else torch.cat((unit, F.normalize(memory.detach().to(unit.dtype), dim=1)))
        similarity = ((unit if rows is None else unit[rows]) @ others.T / temperature).masked_fill(excluded, -torch.inf)
        positive = relations.positive
        if decoupled:
            negatives = similarity.masked_fill(positive, -torch.inf)
            alone = negatives.isneginf().all(1, keepdim=True)
            # The gradient of a logsumexp over nothing is not a number.
            log_denominator = negatives.masked_fill(alone, 0.0).logsumexp(dim=1, keepdim=True)
            positive = positive & ~alone
        else:
            log_denominator = similarity.logsumexp(dim=1, keepdim=True)
        # Excluded entries are -inf; replaced before the sum, because -inf times zero is not a number.
        log_share = (similarity - log_denominator).masked_fill(~positive, 0.0)
        losses = -log_share.sum(1) / positive.sum(1).clamp(min=1)
    nearest = similarity[:, : len(vectors)].argmax(1, keepdim=True)
    hits = relations.positive.gather(1, nearest).squeeze(1)
    return losses, hits


@torch.no_grad()
def alignment_uniformity_sums(
    anchors: torch.Tensor, positives: torch.Tensor, rows: slice = slice(None)
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what alignment and uniformity of a batch are means of, summed over some anchors.

    Wang and Isola 2020, with alpha 2 and t 2, on vectors of length one: alignment is the mean squared distance of an
    anchor and its positive; uniformity the logarithm of the mean of `exp(-2 d^2)` over ordered pairs of different
    anchors.

    Args:
        anchors: `(N, hidden)`.
        positives: `(N, hidden)`.
        rows: The anchors to sum over; each is paired with all N.

    Returns:
        The sum of squared distances, and the sum of `exp(-2 d^2)`.
    """
    first, second = F.normalize(anchors.float(), dim=1), F.normalize(positives.float(), dim=1)
    squared = (2 - 2 * first[rows] @ first.T).clamp(min=0)
    places = torch.arange(len(first), device=first.device)
    itself = places[rows, None] == places[None, :]
    exponentials = (-2 * squared).exp().masked_fill(itself, 0.0)
    return (first - second)[rows].square().sum(), exponentials.sum()
