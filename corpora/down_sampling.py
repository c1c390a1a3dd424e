"""SamBD: fewer training sentences without an entity, so that their share is as wanted.

Belkadi, Han, Wu, Antonini and Nenadic, "On Cross-Domain Pre-Trained Language Models for Clinical Text Mining: How Do
They Perform on Data-Constrained Fine-Tuning?" (arXiv 2210.12770): all N1 sentences with an entity are kept, each of the
N0 others with probability p = t N1 / ((1 - t) N0), where t is the wanted share of sentences without; CoNLL-2003 has
t = 0.2072. Only training data are to be sampled.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from corpora.deduplication import mix_bits
from corpora.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

CONLL2003_SHARE = 0.2072
"""Share of sentences without an entity in CoNLL-2003, which the paper aims at."""


def keep_probability(with_entity: int, without: int, share: float) -> float:
    """Return the probability that a sentence without an entity is kept, at most 1.

    Args:
        with_entity: Number of sentences with an entity (N1).
        without: Number of sentences without (N0).
        share: Wanted share of sentences without an entity (t), from 0 to below 1.

    Raises:
        InputError: The share is out of range.
    """
    if not 0 <= share < 1:
        raise InputError(f"--sambd_share is {share}", remedy="give a share from 0 to below 1, for example 0.2072")
    return min(1.0, share * with_entity / ((1 - share) * without)) if without else 1.0


def down_sample(
    has_entity: NDArray[np.bool_],
    share: float,
    seed: int,
    epoch: int | None = None,
    keys: NDArray[np.uint64] | None = None,
) -> NDArray[np.int64]:
    """Draw the sentences to train on.

    Whether a sentence is kept depends on the seed, the epoch and its key alone, not on its place or on other draws, so
    that every process and worker draws the same. A share that the corpus is already below keeps all.

    Args:
        has_entity: `(sentences,)` whether each has an entity.
        share: Wanted share of sentences without an entity, from 0 to below 1.
        seed: Of the draw.
        epoch: Draws afresh for each number; with None the draw is the same in all epochs.
        keys: `(sentences,)` uint64, what identifies each (`sentence_keys`); by default their places.

    Returns:
        Places of the kept sentences, ascending.

    Raises:
        InputError: The share is out of range, or no sentence has an entity.
    """
    has_entity = np.asarray(has_entity, dtype=bool)
    with_entity = int(has_entity.sum())
    if not with_entity:
        raise InputError("no sentence has an entity, so that none would be kept", remedy="train without --sambd_share")
    probability = keep_probability(with_entity, len(has_entity) - with_entity, share)
    keys = np.arange(len(has_entity), dtype=np.uint64) if keys is None else np.asarray(keys, dtype=np.uint64)
    salt = hashlib.blake2b(f"sambd {seed} {'fixed' if epoch is None else epoch}".encode(), digest_size=8).digest()
    draws = mix_bits(mix_bits(keys + np.uint64(1)) ^ np.uint64(int.from_bytes(salt, "little")))
    uniform = (draws >> np.uint64(11)) * 2.0**-53
    return np.flatnonzero(has_entity | (uniform < probability))


def sentences_have_entity(sentences: Dataset) -> NDArray[np.bool_]:
    """Return `(sentences,)` whether any tag is other than O.

    Args:
        sentences: Column `tags`.
    """
    return np.fromiter((any(tag != "O" for tag in tags) for tags in sentences["tags"][:]), bool, len(sentences))


def sentence_keys(sentences: Dataset) -> NDArray[np.uint64]:
    """Return `(sentences,)` hashes of document id and place in the document, which identify a sentence.

    Args:
        sentences: Columns `document_id` and `sentence`.
    """
    pairs = zip(sentences["document_id"][:], sentences["sentence"][:], strict=True)
    hashes = (xxhash.xxh3_64_intdigest(f"{document}\0{number}".encode()) for document, number in pairs)
    return np.fromiter(hashes, np.uint64, len(sentences))


def down_sampling_report(has_entity: NDArray[np.bool_], kept: NDArray[np.int64], share: float) -> dict[str, Any]:
    """Return what a draw did: sentences and share without an entity before and after, and the probability.

    Args:
        has_entity: `(sentences,)` as given to `down_sample`.
        kept: What it returned.
        share: The wanted share.
    """
    has_entity = np.asarray(has_entity, dtype=bool)
    with_entity, without = int(has_entity.sum()), int((~has_entity).sum())
    left = int((~has_entity[kept]).sum())
    return {
        "wanted_share_without_entity": share,
        "keep_probability": keep_probability(with_entity, without, share),
        "sentences_with_entity": with_entity,
        "sentences_without_entity_before": without,
        "sentences_without_entity_after": left,
        "share_without_entity_before": without / max(1, with_entity + without),
        "share_without_entity_after": left / max(1, with_entity + left),
    }
