"""Span sampling of DeCLUTR on token ids: pure functions of (document length, options, generator).

Source: Giorgi et al. 2021, "DeCLUTR: Deep Contrastive Learning for Unsupervised Textual Representations",
section 3.1 (arXiv 2006.03659). An *anchor* is a span of a document, a *positive* is a second span drawn around it.
Anchor lengths follow Beta(4, 2) (skewed to long), positive lengths Beta(2, 4) (skewed to short), scaled to
[min_length, max_length].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STRATEGIES = ("overlapping", "subsuming", "adjacent", "disjoint")


@dataclass(frozen=True)
class SpanOptions:
    """What to sample from each document.

    Args:
        num_anchors: Anchors a document (A).
        num_positives: Positives an anchor (P).
        min_length: Shortest span, in tokens without special tokens.
        max_length: Longest span, in tokens without special tokens.
        strategies: Where positives may lie. `overlapping`: overlapping the anchor or next to it (the paper's default);
            `subsuming`: inside the anchor; `adjacent`: touching it; `disjoint`: anywhere outside it. With several,
            each positive takes one of them at random.
        compatible: Draw exactly from the original implementation's distribution, which needs documents of at least
            `2 * num_anchors * max_length` tokens, never places an anchor in the tail after the last whole block of
            `max_length` tokens, and never an adjacent positive at position 0. Otherwise sampling adapts to short
            documents and reaches every token.

    Raises:
        ValueError: An option is out of range.
    """

    num_anchors: int = 2
    num_positives: int = 2
    min_length: int = 16
    max_length: int = 512
    strategies: tuple[str, ...] = ("overlapping",)
    compatible: bool = False

    def __post_init__(self) -> None:
        if self.num_anchors < 1 or self.num_positives < 1:
            raise ValueError("num_anchors and num_positives must be at least 1")
        if not 1 <= self.min_length <= self.max_length:
            raise ValueError(
                f"span lengths must satisfy 1 <= min_length <= max_length, got {self.min_length} and {self.max_length}"
            )
        unknown = set(self.strategies) - set(STRATEGIES)
        if unknown or not self.strategies:
            raise ValueError(f"unknown positive strategy {sorted(unknown)}, choose from {', '.join(STRATEGIES)}")

    @property
    def min_document_length(self) -> int:
        """Tokens below which a document cannot be used."""
        return 2 * (self.num_anchors * self.max_length if self.compatible else self.min_length)


@dataclass(frozen=True)
class DocumentSpans:
    """Spans of one document as half-open [start, end) positions.

    Args:
        anchors: `(anchors, 2)` int64.
        positives: `(anchors, positives, 2)` int64.
    """

    anchors: np.ndarray
    positives: np.ndarray


def effective_options(length: int, options: SpanOptions) -> tuple[int, int]:
    """Return (anchors, longest span) used for a document of `length` tokens in the adaptive mode.

    A document shorter than `2 * A * max_length` gets shorter spans, down to `min_length`, and then fewer anchors.
    """
    anchors = max(1, min(options.num_anchors, length // (2 * options.min_length)))
    longest = min(options.max_length, length // (2 * anchors))
    return anchors, max(options.min_length, longest)


def sample_spans(length: int, options: SpanOptions, generator: np.random.Generator) -> DocumentSpans:
    """Sample the anchors and positives of one document.

    Args:
        length: Tokens of the document, special tokens not counted.
        options: What to sample.
        generator: Source of randomness, usually `document_generator(seed, epoch, document_id)`.

    Raises:
        ValueError: The document is shorter than `options.min_document_length`.
    """
    if length < options.min_document_length:
        raise ValueError(f"a document of {length} tokens is shorter than {options.min_document_length}")
    if options.compatible:
        longest = options.max_length
        anchors = _anchors_in_blocks(length, options, generator)
    else:
        count, longest = effective_options(length, options)
        anchors = _anchors_anywhere(length, count, options.min_length, longest, generator)
    positives = np.empty((len(anchors), options.num_positives, 2), dtype=np.int64)
    for row, (start, end) in enumerate(anchors.tolist()):
        for column in range(options.num_positives):
            positives[row, column] = _positive(length, start, end, longest, options, generator)
    return DocumentSpans(anchors, positives)


def _beta_length(alpha: int, beta: int, shortest: int, longest: int, generator: np.random.Generator) -> int:
    return int(generator.beta(alpha, beta) * (longest - shortest) + shortest)


def _between(low: int, high: int, generator: np.random.Generator) -> int:
    """Return an integer of [low, high], both included."""
    # A float draw is three times as fast as Generator.integers; its bias is below 2**-30 at these ranges.
    return low + int(generator.random() * (high - low + 1))


def _anchors_in_blocks(length: int, options: SpanOptions, generator: np.random.Generator) -> np.ndarray:
    """Sample anchors as the original does: one in a block of `max_length`, the blocks next to it then closed."""
    blocks = list(range(0, length - options.max_length + 1, options.max_length))
    anchors = []
    for done in range(options.num_anchors):
        anchor_length = _beta_length(4, 2, options.min_length, options.max_length, generator)
        left = options.num_anchors - done
        # With few blocks left a choice in the middle could leave none for the next anchor.
        if len(blocks) // left < left:
            index = (0, len(blocks) - 1)[_between(0, 1, generator)]
        else:
            index = _between(0, len(blocks) - 1, generator)
        start = blocks[index] + _between(0, options.max_length - anchor_length, generator)
        del blocks[max(0, index - 1) : index + 2]
        anchors.append((start, start + anchor_length))
    return np.array(anchors, dtype=np.int64)


def _anchors_anywhere(
    length: int, count: int, shortest: int, longest: int, generator: np.random.Generator
) -> np.ndarray:
    """Sample non-overlapping anchors, every placement of the drawn lengths equally likely."""
    lengths = (generator.beta(4, 2, size=count) * (longest - shortest) + shortest).astype(np.int64)
    free = length - int(lengths.sum())
    # Sorted gaps: the free tokens before each anchor. Choosing them as a sorted sample with distinct slots
    # ("stars and bars") makes all placements equally likely, the tail and position 0 included.
    slots = np.sort(generator.choice(free + count, size=count, replace=False)) if count > 1 else None
    before = slots - np.arange(count) if slots is not None else np.array([_between(0, free, generator)])
    starts = before + np.concatenate(([0], np.cumsum(lengths)[:-1]))
    return np.stack((starts, starts + lengths), axis=1)


def _positive(
    length: int, start: int, end: int, longest: int, options: SpanOptions, generator: np.random.Generator
) -> tuple[int, int]:
    """Sample one positive of the anchor [start, end)."""
    shortest = options.min_length
    names = options.strategies
    strategy = names[0] if len(names) == 1 else names[_between(0, len(names) - 1, generator)]
    if strategy == "subsuming":
        size = _beta_length(2, 4, shortest, end - start, generator)
        begin = _between(start, end - size, generator)
    elif strategy == "overlapping":
        size = _beta_length(2, 4, shortest, longest, generator)
        begin = _between(max(0, start - size), min(end, length - size), generator)
    else:
        # Outside the anchor the longer of the two sides bounds the length (it can be below `min_length` only in a
        # document of less than `4 * min_length` tokens, where an anchor in the middle leaves two short sides).
        room = max(start, length - end)
        size = _beta_length(2, 4, min(shortest, room), min(longest, room), generator)
        if strategy == "adjacent":
            # The original's test is `> 0`: it never takes an adjacent positive at position 0.
            fits_before = start - size > 0 if options.compatible else start - size >= 0
            choices = [start - size] * fits_before + [end] * (end + size <= length)
            if not choices:  # only compatible mode: the one place left is position 0
                choices = [start - size]
            begin = choices[0] if len(choices) == 1 else choices[_between(0, 1, generator)]
        else:
            places_before = max(0, start - size + 1)
            places_after = max(0, length - size - end + 1)
            place = _between(0, places_before + places_after - 1, generator)
            begin = place if place < places_before else end + place - places_before
    return begin, begin + size
