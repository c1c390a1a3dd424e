"""Exact duplicates by hash, near-duplicates by MinHash and locality-sensitive hashing.

Signatures come from the library `rensa` (R-MinHash); candidate pairs from banding (Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, chapter 3). Banding is done here on the whole signature matrix at once, as the library's
index takes rows one by one and keeps several Python objects for each.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from corpora.errors import InputError

SIGNATURE_SLOTS = 128
SHINGLE_WORDS = 5
_SIGNATURE_SEED = 20_221
_BUCKET_WINDOW = 32
_PAIR_BATCH = 65_536
_RECALL_AT_THRESHOLD = 0.99
_WORD = re.compile(r"\w+")
_PRIME = np.uint64(0x9E3779B97F4A7C15)


@dataclass
class DuplicateOptions:
    """What counts as a duplicate."""

    _argument_group_name = "Duplicates"

    exact_duplicates: Literal["remove", "keep"] = field(
        default="remove",
        metadata={"help": "documents equal after cleaning: remove all but the first, or keep them in one group"},
    )
    near_duplicate_threshold: float = field(
        default=0.8,
        metadata={
            "help": "share of common word 5-grams (Jaccard) from which documents form one group, which is never "
            "divided between splits; 0 switches grouping off"
        },
    )

    def __post_init__(self) -> None:
        threshold = self.near_duplicate_threshold
        if not (threshold == 0 or 0.3 <= threshold <= 1):
            raise InputError(
                f"--near_duplicate_threshold {threshold} is out of range", remedy="give 0 (off) or 0.3 to 1"
            )


def text_hash(text: str) -> bytes:
    """Return a 16-byte hash of a text (BLAKE2b), the same on every machine."""
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).digest()


def as_hash_array(hashes: Sequence[bytes]) -> NDArray[np.void]:
    """Pack 16-byte hashes into an array `(documents,)` that sorts and compares quickly."""
    return np.frombuffer(b"".join(hashes), dtype=[("high", ">u8"), ("low", ">u8")]).astype(
        [("high", "<u8"), ("low", "<u8")]
    )


def first_of_each(hashes: NDArray[np.void], rank: NDArray[np.integer] | None = None) -> NDArray[np.int64]:
    """Return for every document the index of the first one with the same hash, itself where it is the first.

    Args:
        hashes: `(documents,)` from `as_hash_array`.
        rank: `(documents,)`; of equal documents the one of lowest rank counts as first, then the earliest.
    """
    order = np.lexsort(
        (
            np.arange(len(hashes)),
            np.zeros(len(hashes), np.int8) if rank is None else rank,
            hashes["low"],
            hashes["high"],
        )
    )
    ordered = hashes[order]
    starts = np.ones(len(hashes), dtype=bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    first = np.empty(len(hashes), dtype=np.int64)
    first[order] = order[starts][np.cumsum(starts) - 1]
    return first


def signatures(texts: Sequence[str]) -> NDArray[np.uint16]:
    """Return the MinHash signatures `(documents, 128)` of the documents' sets of word 5-shingles.

    Words are runs of letters and digits, without regard to case. A document of fewer than five words has one shingle,
    the whole of its words, and a document without any has its text: short notes resemble only their equals. Of each
    value 16 bits are kept; two different ones agree by chance once in 65,536.
    """
    from rensa import RMinHash

    words = [_WORD.findall(text.lower()) or [text] for text in texts]
    if not words:
        return np.empty((0, SIGNATURE_SLOTS), np.uint16)
    lengths = np.fromiter(map(len, words), np.int64, len(words))
    hashes = np.fromiter(
        (value for row in RMinHash.hash_token_sets(words) for value in row), np.uint64, int(lengths.sum())
    )
    shingles, offsets = _shingles(mix_bits(hashes), lengths)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(shingles, offsets, SIGNATURE_SLOTS, _SIGNATURE_SEED)
    values = np.array(matrix.to_rows(), dtype=np.uint64)
    return (mix_bits(values) >> np.uint64(48)).astype(np.uint16)


def mix_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread the bits (the finaliser of SplitMix64; Steele, Lea and Flood, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _shingles(words: NDArray[np.uint64], lengths: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Hash each run of five words; return the hashes and the documents' offsets `(documents + 1,)` into them."""
    counts = np.maximum(lengths - SHINGLE_WORDS + 1, 1)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    document = np.repeat(np.arange(len(lengths)), counts)
    first = np.arange(len(document)) - offsets[:-1].astype(np.int64)[document] + starts[document]
    end = (starts + lengths)[document]
    padded = np.concatenate([words, np.zeros(SHINGLE_WORDS, np.uint64)])
    hashes = np.zeros(len(document), np.uint64)
    for position in range(SHINGLE_WORDS):
        inside = first + position < end
        hashes = np.where(inside, hashes * _PRIME + padded[first + position], hashes)
    return mix_bits(hashes), offsets


def bands_for(threshold: float) -> tuple[int, int]:
    """Return `(bands, rows)`: the longest bands in which a pair at the threshold still meets (probability .99)."""
    for rows in range(SIGNATURE_SLOTS, 0, -1):
        bands = SIGNATURE_SLOTS // rows
        if 1 - (1 - threshold**rows) ** bands >= _RECALL_AT_THRESHOLD:
            return bands, rows
    return SIGNATURE_SLOTS, 1


def group_near_duplicates(matrix: NDArray[np.uint16], threshold: float, progress: bool = False) -> NDArray[np.int64]:
    """Return the group `(documents,)` of each document, numbered by first appearance.

    A group is a connected component of the pairs whose signatures agree in at least `threshold` of their slots. In
    each band's bucket a document is compared with its 31 neighbours, ordered by the next band; so buckets of up to 32
    are compared in full, and time grows with the number of documents also where a template fills a bucket with
    thousands.

    Args:
        matrix: `(documents, 128)` from `signatures`.
        threshold: Estimated Jaccard similarity; 0 puts every document in a group of its own.
        progress: Show a progress bar on stderr.
    """
    from tqdm import tqdm

    documents = len(matrix)
    component = np.arange(documents)
    if threshold == 0 or documents < 2:
        return component
    bands, rows = bands_for(threshold)
    keys = [_band_key(matrix, band, rows) for band in range(2)]
    for band in tqdm(range(bands), "Grouping", unit=" bands", disable=not progress, dynamic_ncols=True):
        order = np.lexsort((keys[1], keys[0])).astype(np.int32)
        ordered = keys[0][order]
        for distance in range(1, _BUCKET_WINDOW):
            together = np.flatnonzero(ordered[distance:] == ordered[:-distance])
            if not len(together):
                break
            left, right = order[together], order[together + distance]
            open_pairs = component[left] != component[right]
            left, right = left[open_pairs], right[open_pairs]
            near = _agree(matrix, left, right, threshold)
            if near.any():
                component = _merge(component, left[near], right[near])
        keys = [keys[1], _band_key(matrix, (band + 2) % bands, rows)]
    return number_by_appearance(component)


def _band_key(matrix: NDArray[np.uint16], band: int, rows: int) -> NDArray[np.uint64]:
    start = (band * rows) % SIGNATURE_SLOTS
    key = np.full(len(matrix), band, np.uint64)
    for slot in range(start, start + rows):
        key = mix_bits(key * _PRIME + matrix[:, slot])
    return key


def _agree(
    matrix: NDArray[np.uint16], left: NDArray[np.integer], right: NDArray[np.integer], threshold: float
) -> NDArray[np.bool_]:
    near = np.empty(len(left), dtype=bool)
    for start in range(0, len(left), _PAIR_BATCH):
        part = slice(start, start + _PAIR_BATCH)
        near[part] = (matrix[left[part]] == matrix[right[part]]).mean(axis=1) >= threshold
    return near


def _merge(component: NDArray[np.int64], left: NDArray[np.integer], right: NDArray[np.integer]) -> NDArray[np.int64]:
    # Components are joined among themselves: their numbers are labels, not documents.
    joined = connected(int(component.max()) + 1, [(component[left], component[right])])
    return joined[component]


def connected(documents: int, edges: Sequence[tuple[NDArray[np.integer], NDArray[np.integer]]]) -> NDArray[np.int64]:
    """Return the connected component `(documents,)` of each document, given pairs of documents."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = (np.concatenate([pair[side] for pair in edges]) for side in range(2))
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(documents, documents))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def number_by_appearance(values: NDArray) -> NDArray[np.int64]:
    """Renumber values 0, 1, 2, ... in the order in which they first appear."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]
