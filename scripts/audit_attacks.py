"""The attacks of an audit: masked loss, canaries, identifiers and embeddings, each to a part of the JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_options import AttackOptions
from metrics.membership import Attack, group_means, membership_attack

if TYPE_CHECKING:
    from audit_documents import Side
    from corpora.canaries import Canary
    from modeling.document_encoder import DocumentEncoder
    from modeling.masked_scores import MaskedScorer

_MIN_WORDS = 16


def masked_membership(
    scorer: MaskedScorer, members: Side, others: Side, options: AttackOptions, progress: Any
) -> dict[str, Any]:
    """Attack by masked loss, by likelihood ratio where the scorer holds a reference too, by document and patient.

    `reference_loss` is no attack but a control: where the reference, which has seen neither side, tells the sides
    apart, they differ by themselves, and the model's own loss says less.
    """
    losses = []
    for side in (members, others):
        stream = scorer.document_losses(
            progress(side.items(), len(side.documents)),
            folds=options.folds,
            max_windows=options.max_windows,
            seed=options.seed,
        )
        losses.append(np.stack(list(stream)))
    scores = {"loss": [-side[:, 0] for side in losses]}
    if len(scorer.models) > 1:
        scores["likelihood_ratio"] = [side[:, 1] - side[:, 0] for side in losses]
        scores["reference_loss"] = [-side[:, 1] for side in losses]
    return {
        "attacks": {name: attack_by_level(*pair, members, others, options) for name, pair in scores.items()},
        "mean_loss": {
            name: [float(np.nanmean(side[:, column])) for column in range(len(scorer.models))]
            for name, side in zip(("members", "nonmembers"), losses, strict=True)
        },
    }


def attack_by_level(
    member_scores: np.ndarray, other_scores: np.ndarray, members: Side, others: Side, options: AttackOptions
) -> dict[str, Any]:
    """Measure an attack by document, and by patient where both sides have patients; unscored documents stay out.

    Returns:
        Level to attack; `not_scored` documents. A level of fewer than two on either side is null.
    """
    kept = [np.isfinite(scores) for scores in (member_scores, other_scores)]
    groups = [side.groups()[chosen] for side, chosen in zip((members, others), kept, strict=True)]
    scores = [part[chosen] for part, chosen in zip((member_scores, other_scores), kept, strict=True)]
    settings = {"resamples": options.resamples, "seed": options.seed}
    found: dict[str, Any] = {"document": None, "patient": None}
    if min(map(len, scores)) > 1:
        found["document"] = membership_attack(*scores, *groups, **settings).as_dict()
        if members.patients is not None and others.patients is not None:
            means = [group_means(part, group) for part, group in zip(scores, groups, strict=True)]
            if min(map(len, means)) > 1:
                attack: Attack = membership_attack(*means, **settings)
                found["patient"] = attack.as_dict()
    return {**found, "not_scored": int(sum((~chosen).sum() for chosen in kept))}


def canary_exposure(scorer: MaskedScorer, canaries: Sequence[Canary], options: AttackOptions) -> dict[str, Any]:
    """Measure exposure of planted canaries and of the controls.

    The loss of a secret is its pseudo-log-likelihood (Salazar et al. 2020): each token hidden by itself, the others in
    sight, summed. The alternatives stand in the same sentence.
    """
    from metrics.exposure import UNSEEN_BITS, approximate_exposure, exact_exposure, exposure_by_repetitions

    space = 10 ** len(canaries[0].secret)
    exact = space - 1 <= options.canary_candidates
    bits = []
    for number, canary in enumerate(canaries):
        generator = np.random.default_rng([options.seed, 13, number])
        own, width = int(canary.secret), len(canary.secret)
        drawn = np.arange(space - 1) if exact else generator.integers(0, space - 1, options.canary_candidates)
        others = [str(other + (other >= own)).zfill(width) for other in drawn.tolist()]  # all but its own
        losses = secret_losses(scorer, canary, [canary.secret, *others])
        measure = exact_exposure if exact else lambda *given: approximate_exposure(*given, space)
        bits.append(measure(losses[0], losses[1:]))
    groups = exposure_by_repetitions([canary.repetitions for canary in canaries], bits)
    return {
        "method": "exact rank" if exact else "skew-normal approximation",
        "space_bits": float(np.log2(space)),
        "candidates": space - 1 if exact else options.canary_candidates,
        "unseen_bits": UNSEEN_BITS,
        "groups": [group.as_dict() for group in groups],
    }


def secret_losses(scorer: MaskedScorer, canary: Canary, secrets: list[str]) -> np.ndarray:
    """Return the pseudo-log-likelihood losses `(secrets,)` of a canary's sentence with each of the secrets."""
    from collators.special_tokens import token_ids
    from modeling.masked_scores import MaskedRow

    losses = []
    for start in range(0, len(secrets), 250):
        rows, owners = [], []
        for place, secret in enumerate(secrets[start : start + 250]):
            before, digits, after = canary.parts(secret)
            # With a blank in front, for in a note the sentence follows a word.
            parts = token_ids(scorer.tokenizer, [f" {before}", digits, after])
            ids = np.concatenate(parts).astype(np.int64)
            hidden = range(len(parts[0]), len(parts[0]) + len(parts[1]))
            rows += [MaskedRow(ids, np.array([position])) for position in hidden]
            owners += [place] * len(hidden)
        summed = np.zeros(len(secrets[start : start + 250]))
        for owner, (loss, _) in zip(owners, scorer.scores(rows), strict=True):
            summed[owner] += loss[0].sum()
        losses.append(summed)
    return np.concatenate(losses)


def embedding_membership(
    encoder: DocumentEncoder,
    reference: DocumentEncoder | None,
    members: Side,
    others: Side,
    options: AttackOptions,
) -> dict[str, Any]:
    """Attack by how close the two halves of a document lie: training pulls together what it has seen.

    `halves_similarity` is the cosine of a document's halves; `neighbour_margin` sets it against the nearest second half
    of any other patient; `likeness_gain` is what the model added to the reference's cosine of the halves. Notes of one
    patient repeat each other and all lie on one side: as neighbours they would tell how many notes a patient has.
    """
    cosines, margins = _halves_scores(encoder, [members, others])
    scores = {"halves_similarity": cosines, "neighbour_margin": margins}
    if reference is not None:
        before, _ = _halves_scores(reference, [members, others])
        scores["likeness_gain"] = cosines - before
        scores["reference_similarity"] = before
    bound = len(members.documents)
    return {
        "attacks": {
            name: attack_by_level(values[:bound], values[bound:], members, others, options)
            for name, values in scores.items()
        },
        "min_words": 2 * _MIN_WORDS,
    }


def _halves_scores(encoder: DocumentEncoder, sides: Iterable[Side]) -> tuple[np.ndarray, np.ndarray]:
    """Return cosine and margin `(documents of all sides,)`, not a number where a document is too short for halves."""
    from corpora.halves import cut_into_halves

    found, texts, groups = [], [], []
    for side in sides:
        groups.append(side.groups() + (groups[-1].max() + 1 if groups else 0))
        for _, text in side.items():
            parts = cut_into_halves(text, _MIN_WORDS)
            found.append(parts is not None)
            texts.extend(parts or ())
    cosines = np.full(len(found), np.nan)
    margins = np.full(len(found), np.nan)
    if len(texts) < 4:
        return cosines, margins
    embeddings = encoder.encode(texts)
    embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    first, second = embeddings[0::2], embeddings[1::2]
    own = np.einsum("ij,ij->i", first, second)
    patients = np.concatenate(groups)[found]
    nearest = np.empty_like(own)
    for start in range(0, len(first), 1024):
        block = first[start : start + 1024] @ second.T
        block[patients[start : start + 1024, None] == patients] = -np.inf
        nearest[start : start + 1024] = block.max(1)
    cosines[found], margins[found] = own, own - nearest
    return cosines, margins
