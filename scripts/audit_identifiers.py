"""Masked identifier recovery: can the model fill in dates, numbers and names of notes that it was trained on?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_options import AttackOptions
from corpora.identifiers import RULES, find_identifiers
from metrics.document_intervals import measured, resampled_sums

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from audit_documents import Side
    from modeling.masked_scores import MaskedRow, MaskedScorer

_PER_DOCUMENT = 8
TOPS = (1, 10)


@dataclass(frozen=True, eq=False)
class Recovery:
    """What was recovered on one side.

    Args:
        kinds: `(identifiers,)` place in `RULES`.
        patients: `(identifiers,)` patient, or document where there are no patients.
        ranks: `(identifiers, models)` rank of the worst token of each: below k, the whole identifier is in the top k.
    """

    kinds: np.ndarray
    patients: np.ndarray
    ranks: np.ndarray


def identifier_recovery(scorer: MaskedScorer, members: Side, others: Side, options: AttackOptions) -> dict[str, Any]:
    """Hide identifiers and count those that a model fills in right, whole, at its first guess or its first ten.

    All tokens of an identifier are hidden at once, and its other occurrences in sight too, so that it cannot be copied.
    A model of the same kind of notes learns which dates and names are frequent, and a frequent one in a member is easy
    without having been remembered. So what counts is `excess`: how far members are ahead of non-members, less how far
    they were so with the reference, where there is one.
    """
    sides = [_recover(scorer, side, options) for side in (members, others)]
    kinds = list(RULES)
    found: dict[str, Any] = {
        "kinds": {},
        "rules": kinds,
        "context_tokens": min(options.identifier_context, scorer.room),
    }
    for kind in ("all", *kinds):
        chosen = [
            side.kinds >= 0 if kind == "all" else side.kinds == kinds.index(kind)
            for side in sides
        ]  # fmt: skip
        if not all(part.any() for part in chosen):
            found["kinds"][kind] = None
            continue
        entry: dict[str, Any] = {
            "members": int(chosen[0].sum()),
            "nonmembers": int(chosen[1].sum()),
        }
        for top in TOPS:
            entry[f"top_{top}"] = _recovered(
                [side.ranks[part] < top for side, part in zip(sides, chosen, strict=True)],
                [side.patients[part] for side, part in zip(sides, chosen, strict=True)],
                options,
            )
        found["kinds"][kind] = entry
    return found


def _recovered(hits: list[np.ndarray], patients: list[np.ndarray], options: AttackOptions) -> dict[str, Any]:
    names = ("model", "reference")[: hits[0].shape[1]]
    shares, drawn = [], []
    for place, (right, patient) in enumerate(zip(hits, patients, strict=True)):
        # Sums by patient, drawn together: right answers of each model, and the number of identifiers.
        _, units = np.unique(patient, return_inverse=True)
        columns = [*right.T.astype(np.float64), np.ones(len(right))]
        sums = np.column_stack([np.bincount(units, weights=column) for column in columns])
        resampled = resampled_sums(sums, options.seed + place, options.resamples)
        shares.append(right.mean(0))
        drawn.append(resampled[:, :-1] / np.maximum(resampled[:, -1:], 1))
    result: dict[str, Any] = {
        side: {name: float(share) for name, share in zip(names, shares[place], strict=True)}
        for place, side in enumerate(("members", "nonmembers"))
    }
    lead, drawn_lead = shares[0] - shares[1], drawn[0] - drawn[1]
    if len(names) == 2:
        excess, resamples = lead[0] - lead[1], drawn_lead[:, 0] - drawn_lead[:, 1]
    else:
        excess, resamples = lead[0], drawn_lead[:, 0]
    result["excess"] = measured(float(excess), resamples).as_dict()
    return result


def _recover(scorer: MaskedScorer, side: Side, options: AttackOptions) -> Recovery:
    kinds, patients, ranks = [], [], []
    pending: list[MaskedRow] = []
    groups, names = side.groups(), list(RULES)

    def score() -> None:
        for _, found in scorer.scores(pending):
            ranks.append(found.max(1))
        pending.clear()

    for place in np.random.default_rng([options.seed, 14]).permutation(len(side.documents)).tolist():
        text = side.text(place)
        for kind, row in _rows(scorer, text, options, place):
            kinds.append(names.index(kind))
            patients.append(groups[place])
            pending.append(row)
        if len(pending) >= 1024:
            score()
        if len(kinds) >= options.max_identifiers:
            break
    score()
    shape = (-1, len(scorer.models))
    return Recovery(np.array(kinds, dtype=np.int64), np.array(patients), np.array(ranks).reshape(shape))


def _rows(scorer: MaskedScorer, text: str, options: AttackOptions, place: int) -> Iterator[tuple[str, MaskedRow]]:
    from modeling.masked_scores import MaskedRow

    identifiers = find_identifiers(text)
    if not identifiers:
        return
    if len(identifiers) > _PER_DOCUMENT:
        draw = np.random.default_rng([options.seed, 15, place]).choice(len(identifiers), _PER_DOCUMENT, replace=False)
        identifiers = [identifiers[number] for number in sorted(draw.tolist())]
    ids, starts, ends = _tokens_with_places(scorer.tokenizer, text)
    room = min(options.identifier_context, scorer.room)
    for kind, places in identifiers:
        inside = [(starts < end) & (ends > start) & (ends > starts) for start, end in places]
        own = np.flatnonzero(inside[0])
        if not len(own) or len(own) > room // 2:
            continue
        begin = max(0, min((own[0] + own[-1] + 1 - room) // 2, len(ids) - room))
        window = slice(begin, begin + room)
        elsewhere = np.zeros(len(ids), dtype=bool)
        for other in inside[1:]:
            elsewhere |= other
        elsewhere[own] = False
        yield kind, MaskedRow(ids[window], own - begin, np.flatnonzero(elsewhere[window]))


def _tokens_with_places(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids, and first and last character (excluded) of each token."""
    encoded = tokenizer(
        text,
        add_special_tokens=False,
        truncation=False,
        return_offsets_mapping=True,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )
    offsets = np.array(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2)
    return np.array(encoded["input_ids"], dtype=np.int64), offsets[:, 0], offsets[:, 1]
