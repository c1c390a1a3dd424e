"""Training documents read from disk in stretches, shuffled in a window and tokenised on the way, epoch after epoch.

The alternative to `tokenize_documents`, which writes all token ids to disk before the first step and reads them in
random order: no copy of the corpus, a start at once, and reads that lie close together, which disks and network file
systems do fast.

The streams of `datasets` are not used, because there a loader worker changes the order (datasets 5.2), and a run that
is resumed with a worker more or less would not be the same run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.utils.data import IterableDataset

from collators.randomness import document_generator
from collators.special_tokens import special_token_affixes
from collators.tokenized import cut_batch, tokenize_batch
from corpora.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

STRETCH = 1000
"""Documents that lie side by side on disk and are read together."""
_TOKENIZED = 256
_CONCATENATED = 1000  # as in `cut_into_rows`

Batch = Mapping[str, list[Any]]


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is shuffled.

    Args:
        seed: Of the order.
        window: Documents shuffled together: stretches drawn from all over the corpus.
    """

    seed: int = 0
    window: int = 10_000


class DocumentStream(IterableDataset):
    """An endless stream of items for a collator, each with its epoch.

    The order depends on (seed, epoch, corpus, window) alone. Spans and masks depend, as everywhere, on (seed, epoch,
    document id). An epoch begins where the one before ends, in mid-batch if need be, so a run has no epochs but a
    number of steps; and a resumed run finds its place by reading again what was read before it.

    Args:
        documents: Columns `text`, `document_id`, optionally `patient_id`; memory-mapped.
        items: Makes the items of a batch of documents, in order.
        options: How documents are shuffled.
        batch: Documents handed to `items` at a time.
        when_empty: What to tell the user when an epoch holds no item.
    """

    def __init__(
        self,
        documents: Dataset,
        items: Callable[[Batch], Iterable[dict[str, Any]]],
        options: StreamOptions,
        batch: int,
        when_empty: InputError,
    ) -> None:
        names = [name for name in ("text", "document_id", "patient_id") if name in documents.column_names]
        self._documents = documents.select_columns(names).with_format(None)
        self._items, self._options, self._batch, self._when_empty = items, options, batch, when_empty

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for epoch in itertools.count():
            empty = True
            for rows in self._row_batches(epoch):
                for item in self._items(self._documents[rows]):
                    empty = False
                    yield {**item, "epoch": epoch}
            if empty:
                raise self._when_empty

    def _row_batches(self, epoch: int) -> Iterator[list[int]]:
        """Yield the rows of an epoch: stretches in random order, rows in random order within a window of them."""
        generator = document_generator(self._options.seed, epoch, "order of the documents")
        starts = generator.permutation(np.arange(0, len(self._documents), STRETCH))
        together = max(1, self._options.window // STRETCH)
        kept = np.empty(0, dtype=np.int64)
        for first in range(0, len(starts), together):
            stretches = [
                np.arange(start, min(start + STRETCH, len(self._documents)))
                for start in starts[first : first + together].tolist()
            ]
            rows = np.concatenate([kept, generator.permutation(np.concatenate(stretches))])
            whole = len(rows) // self._batch * self._batch
            yield from rows[:whole].reshape(-1, self._batch).tolist()
            kept = rows[whole:]
        if len(kept):
            yield kept.tolist()


def stream_documents(
    documents: Dataset, tokenizer: PreTrainedTokenizerBase, required: int, options: StreamOptions
) -> DocumentStream:
    """Stream documents of at least `required` tokens, with the columns of `tokenize_documents`.

    Args:
        documents: See `DocumentStream`.
        tokenizer: The model's tokenizer.
        required: Shorter documents are passed over.
        options: How they are shuffled.
    """

    def items(batch: Batch) -> Iterator[dict[str, Any]]:
        columns = {"document_id": batch["document_id"], **tokenize_batch(batch, tokenizer)}
        return (item for item in _rows(columns) if item["length"] >= required)

    fault = InputError(
        f"no training document has {required} tokens", remedy="lower --min_span_length, or look at the notes"
    )
    return DocumentStream(documents, items, options, _TOKENIZED, fault)


def stream_rows(
    documents: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    size: int,
    options: StreamOptions,
    *,
    concatenate: bool,
) -> DocumentStream:
    """Stream rows of tokens with their special tokens, as `cut_into_rows` makes them.

    Args:
        documents: See `DocumentStream`.
        tokenizer: The model's tokenizer.
        size: Longest row in tokens.
        options: How documents are shuffled, before they are cut.
        concatenate: Lay documents end to end, 1,000 of the stream at a time, and cut blocks.
    """
    prefix, suffix = special_token_affixes(tokenizer)

    def items(batch: Batch) -> Iterator[dict[str, Any]]:
        columns = {"document_id": batch["document_id"], **tokenize_batch(batch, tokenizer)}
        return _rows(cut_batch(columns, prefix, suffix, size, concatenate))

    fault = InputError("the training documents hold no tokens", remedy="look at the notes")
    return DocumentStream(documents, items, options, _CONCATENATED, fault)


def _rows(columns: Batch) -> Iterator[dict[str, Any]]:
    return (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
