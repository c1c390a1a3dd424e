"""Documents to token ids, once, cached on disk by `datasets`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from collators.special_tokens import plain_backend, special_token_affixes, token_ids
from corpora.category_columns import shown_counts, shown_names
from corpora.loading import release_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


def stable_key(text: str) -> int:
    """Return a 63-bit key of a text, the same on every machine and in every run."""
    # 63 bits, because torch and Arrow have no unsigned 64-bit tensor arithmetic to speak of.
    return xxhash.xxh3_64_intdigest(text.encode()) >> 1


def tokenize_batch(batch: Mapping[str, list[Any]], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[Any]]:
    """Return what `tokenize_documents` adds to some documents."""
    encoded = token_ids(tokenizer, batch["text"])
    documents = batch["document_id"]
    # A document without a patient is its own patient.
    patients = batch["patient_id"] if "patient_id" in batch else [None] * len(documents)
    return {
        "input_ids": encoded,
        "length": [len(ids) for ids in encoded],
        "document_key": [stable_key(f"document {identity}") for identity in documents],
        "patient_key": [
            stable_key(f"patient {patient}" if patient is not None else f"document {identity}")
            for patient, identity in zip(patients, documents, strict=True)
        ],
        "content_key": [stable_key(text) for text in batch["text"]],
    }


def _tokenize_table(table: pa.Table, tokenizer: PreTrainedTokenizerBase, keep: Sequence[str]) -> pa.Table:
    """Return columns to keep and those of `tokenize_batch` as Arrow tables, a tenth faster than as lists of numbers."""
    import pyarrow as pa

    names = [name for name in ("text", "document_id", "patient_id") if name in table.column_names]
    added = tokenize_batch({name: table[name].to_pylist() for name in names}, tokenizer)
    lengths = added["length"]
    # Vocabularies have fewer than 2^31 entries, and the tokens are most of what lies on disk.
    ids = np.fromiter(chain.from_iterable(added.pop("input_ids")), dtype=np.int32, count=sum(lengths))
    rows = pa.ListArray.from_arrays(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32), ids)
    kept = {name: table[name] for name in table.column_names if name in keep}
    return pa.table({**kept, "input_ids": rows, **added})


def tokenize_documents(
    documents: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    num_proc: int | None = None,
    *,
    keep_columns: Sequence[str] = (),
) -> Dataset:
    """Tokenise each document whole, without special tokens and without truncation.

    Args:
        documents: Columns `text`, `document_id`, optionally `patient_id`, `note_category`.
        tokenizer: The model's tokenizer.
        num_proc: Processes; fast tokenizers already use all cores with one.
        keep_columns: Further metadata columns to carry along.

    Returns:
        Columns `document_id`, `input_ids`, `length`, `note_category` (when given), those to keep, and three int64
        keys: `document_key`, `patient_key`, `content_key` (equal for equal texts). The text itself is left behind.
    """
    keep = {"document_id", "note_category", *keep_columns} - {"text"}
    tokenized = documents.with_format("arrow").map(
        _tokenize_table,
        batched=True,
        fn_kwargs={"tokenizer": tokenizer, "keep": sorted(keep)},
        remove_columns=documents.column_names,
        num_proc=num_proc,
        new_fingerprint=_cache_name(documents, tokenizer, sorted(keep)),
        desc="tokenising",
    )
    return tokenized.with_format("numpy", columns=["input_ids"], output_all_columns=True)


# To be raised when `_tokenize_table` makes other columns of the same documents.
_CACHE_VERSION = 1


def _cache_name(documents: Dataset, tokenizer: PreTrainedTokenizerBase, keep: Sequence[str]) -> str | None:
    """Return a digest of documents, tokenizer and columns, in a hundredth of the time that `datasets` takes.

    None, so that `datasets` does it, for a tokenizer that is not wholly told by its backend's settings.
    """
    if not tokenizer.is_fast:
        return None
    parts = (_CACHE_VERSION, documents._fingerprint, keep, type(tokenizer).__name__, tokenizer.split_special_tokens)
    return xxhash.xxh3_128_hexdigest(f"{parts} {plain_backend(tokenizer).to_str()}".encode())


@dataclass(frozen=True)
class LengthReport:
    """How many documents are long enough, overall and by note category.

    Args:
        kept: Documents kept, by category (the key None stands for no category).
        total: All documents, by category.
        required: Tokens that a document needs.
    """

    kept: Mapping[str | None, int]
    total: Mapping[str | None, int]
    required: int

    @property
    def share(self) -> float:
        """Share of the documents kept."""
        return sum(self.kept.values()) / max(1, sum(self.total.values()))

    def as_dict(self) -> dict[str, Any]:
        """Return counts for a JSON file; values of a column that holds text come together."""
        shown = {**shown_names({name: count for name, count in self.total.items() if name}), None: ""}
        ordered = dict(sorted(self.total.items(), key=lambda item: str(item[0])))
        total, kept = shown_counts(ordered, shown), shown_counts(self.kept, shown)
        return {
            "required_tokens": self.required,
            "documents": sum(self.total.values()),
            "kept": sum(self.kept.values()),
            "kept_share": round(self.share, 4),
            "kept_by_category": {name: [kept.get(name, 0), count] for name, count in total.items()},
        }


def keep_long_enough(documents: Dataset, required: int) -> tuple[Dataset, LengthReport]:
    """Leave out documents of fewer than `required` tokens and count them by note category."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [name for name in ("length", "note_category") if name in documents.column_names]
    table = documents.select_columns(columns).with_format("arrow")[:]
    enough = pc.greater_equal(table["length"], required)
    # Counted by Arrow: a corpus has millions of documents, and a string for each would stay in the heap.
    category = table["note_category"] if "note_category" in columns else pa.nulls(len(table), pa.string())
    counted = pa.table({"category": category, "enough": enough}).group_by("category")
    rows = counted.aggregate([("enough", "sum"), ("enough", "count")]).to_pylist()
    report = LengthReport(
        {row["category"]: row["enough_sum"] for row in rows if row["enough_sum"]},
        {row["category"]: row["enough_count"] for row in rows},
        required,
    )
    enough = enough.to_numpy()
    del table, category, counted
    release_columns()
    return (documents if enough.all() else documents.select(np.flatnonzero(enough))), report


def cut_batch(
    batch: Mapping[str, list[Any]], prefix: list[int], suffix: list[int], size: int, concatenate: bool
) -> dict[str, list[Any]]:
    """Return the rows of some documents; see `cut_into_rows`."""
    rows: list[list[int]] = []
    names: list[str] = []
    if concatenate:
        stream = list(chain.from_iterable(chain(prefix, ids, suffix) for ids in batch["input_ids"]))
        rows = [stream[start : start + size] for start in range(0, len(stream), size)]
        names = [f"{batch['document_id'][0]}/{number}" for number in range(len(rows))]
    else:
        room = size - len(prefix) - len(suffix)
        for name, ids in zip(batch["document_id"], batch["input_ids"], strict=True):
            for start in range(0, len(ids), room):
                rows.append([*prefix, *ids[start : start + room], *suffix])
                names.append(f"{name}/{start}")
    return {"input_ids": rows, "document_id": names, "length": [len(row) for row in rows]}


def cut_into_rows(
    documents: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    size: int,
    *,
    concatenate: bool,
    batch_size: int = 1000,
) -> Dataset:
    """Cut tokenised documents into rows for masked language modelling, special tokens included.

    Args:
        documents: The result of `tokenize_documents`.
        tokenizer: The model's tokenizer.
        size: Longest row in tokens, special tokens included.
        concatenate: True lays documents end to end and cuts blocks of exactly `size` (the study's way); the last
            block of each `batch_size` documents is shorter, so no token is lost. False keeps documents apart and
            cuts those that are longer than `size` into several rows.
        batch_size: Documents concatenated at a time.

    Returns:
        Columns `input_ids`, `length`, `document_id` (of the row).
    """
    prefix, suffix = special_token_affixes(tokenizer)
    rows = documents.with_format(None).map(
        cut_batch,
        batched=True,
        batch_size=batch_size,
        fn_kwargs={"prefix": prefix, "suffix": suffix, "size": size, "concatenate": concatenate},
        remove_columns=documents.column_names,
        desc="cutting blocks" if concatenate else "cutting rows",
    )
    return rows.with_format("numpy", columns=["input_ids"], output_all_columns=True)
