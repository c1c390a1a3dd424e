"""What masked language models say of tokens that are hidden from them: losses and ranks, of several models at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from collators.masking import TokenMasker
from collators.padding import pad_rows
from collators.randomness import document_generator
from collators.special_tokens import special_token_affixes, token_ids
from corpora.errors import InputError
from modeling.document_windows import cut_windows
from modeling.masked_positions import forward_masked_positions
from modeling.window import reading_length

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_BUFFER = 256  # documents whose rows are sorted by length together


@dataclass(frozen=True, eq=False)
class MaskedRow:
    """A stretch of tokens to hide some of.

    Args:
        ids: `(length,)` token ids, without the special tokens around them.
        positions: `(hidden,)` which to hide and predict.
        also_hidden: Positions to hide and not to predict.
    """

    ids: np.ndarray
    positions: np.ndarray
    also_hidden: np.ndarray | None = None


class MaskedScorer:
    """Scores hidden tokens with one or several models that share a tokenizer.

    Args:
        models: Masked language models; all see the same hidden tokens.
        tokenizer: Of all of them.
        batch_size: Rows of full length in a batch; more, when they are shorter.
        max_length: Tokens in a row, special tokens included; by default what all models can read, at most 512.
        device: A GPU if there is one by default.
        dtype: `bfloat16` and `float16` compute under autocast.

    Raises:
        InputError: The tokenizer has no mask token, or a model cannot read so much.
    """

    def __init__(
        self,
        models: Sequence[PreTrainedModel],
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_size: int = 32,
        max_length: int | None = None,
        device: str | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    ) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.models = [model.eval().to(self.device) for model in models]
        self.tokenizer, self.batch_size = tokenizer, batch_size
        self.dtype = getattr(torch, dtype) if dtype in ("bfloat16", "float16") else None
        masker = TokenMasker(tokenizer)
        self.mask_id, self.special = masker.mask_id, masker.special
        self.prefix, self.suffix = special_token_affixes(tokenizer)
        self.max_length = min(reading_length(model.config, max_length) for model in models)
        self.room = self.max_length - len(self.prefix) - len(self.suffix)
        if self.room < 4:
            raise InputError(f"--max_length {self.max_length} is too short to read anything", remedy="give 8 or more")

    def scores(self, rows: Sequence[MaskedRow]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Score rows that fit into memory.

        Args:
            rows: At most `room` tokens each, at least one hidden.

        Returns:
            For each row `(models, hidden)` float64 losses (negative log-probabilities of the hidden tokens, in nats),
            and `(models, hidden)` ranks: how many tokens of the vocabulary have a higher probability; 0 is the best.
        """
        found: list[tuple[np.ndarray, np.ndarray]] = [None] * len(rows)  # type: ignore[list-item]
        for batch in _batches(rows, self.batch_size * self.room):
            losses, ranks = self._batch_scores([rows[place] for place in batch])
            ends = np.cumsum([len(rows[place].positions) for place in batch])[:-1]
            parts = zip(np.split(losses, ends, axis=1), np.split(ranks, ends, axis=1), strict=True)
            for place, part in zip(batch, parts, strict=True):
                found[place] = part
        return found

    def _batch_scores(self, rows: Sequence[MaskedRow]) -> tuple[np.ndarray, np.ndarray]:
        before = len(self.prefix)
        ids, chosen, targets = [], [], []
        for row in rows:
            # Positions are put in order, as logits come out; the caller's order is restored below.
            hidden = np.array(row.ids, dtype=np.int64)
            hidden[row.positions] = self.mask_id
            if row.also_hidden is not None:
                hidden[row.also_hidden] = self.mask_id
            ids.append(np.concatenate([self.prefix, hidden, self.suffix]).astype(np.int64))
            flags = np.zeros(len(ids[-1]), dtype=np.int64)
            flags[before + row.positions] = 1
            chosen.append(flags)
            targets.append(row.ids[np.sort(row.positions)])
        input_ids, attention_mask = pad_rows(ids, self.tokenizer.pad_token_id or 0)
        flags = pad_rows(chosen, 0)[0].bool().to(self.device)
        wanted = torch.from_numpy(np.concatenate(targets).astype(np.int64)).to(self.device)
        input_ids, attention_mask = input_ids.to(self.device), attention_mask.to(self.device)
        losses, ranks = [], []
        autocast = torch.autocast(self.device.type, dtype=self.dtype) if self.dtype else nullcontext()
        with torch.inference_mode(), autocast:
            for model in self.models:
                logits = forward_masked_positions(model, input_ids, attention_mask, flags)[1].float()
                if not bool(torch.isfinite(logits).all()):  # no logit is above NaN: every guess would be right
                    raise InputError(
                        "the model gives numbers that are not finite",
                        remedy="audit one whose training did not diverge, or give --dtype float32",
                    )
                own = logits.gather(1, wanted[:, None])
                losses.append((torch.logsumexp(logits, dim=1) - own[:, 0]).double().cpu().numpy())
                ranks.append((logits > own).sum(1).cpu().numpy())
        back = np.concatenate(_inverse_orders(rows))
        return np.stack(losses)[:, back], np.stack(ranks)[:, back]

    def document_losses(
        self,
        documents: Iterable[tuple[str, str]],
        *,
        folds: int = 7,
        max_windows: int = 4,
        seed: int = 0,
    ) -> Iterator[np.ndarray]:
        """Score whole documents: the mean loss of their tokens, each hidden once, with one in `folds` of the others.

        The expected masked loss of Mireshghallah et al. 2022, equation 3, where the masks of a document are the parts
        of a random partition of its tokens rather than drawn one by one: every token counts once, so scores vary less.
        The partition depends on the seed and the document's id alone, so all models see the same.

        Args:
            documents: Ids and texts.
            folds: Parts of the partition; 7 hides about 15 % of the tokens at a time.
            max_windows: Windows of a document to read; 0 for all.
            seed: Of the partitions.

        Yields:
            `(models,)` losses of each document, not a number for one without ordinary tokens.
        """
        remaining = iter(documents)
        while buffer := list(islice(remaining, _BUFFER)):
            rows: list[MaskedRow] = []
            owners: list[int] = []
            for place, ids in enumerate(token_ids(self.tokenizer, [text for _, text in buffer])):
                found = self._partition(buffer[place][0], ids, folds, max_windows, seed)
                rows += found
                owners += [place] * len(found)
            sums, counts = np.zeros((len(buffer), len(self.models))), np.zeros(len(buffer))
            for owner, (losses, _) in zip(owners, self.scores(rows), strict=True):
                sums[owner] += losses.sum(1)
                counts[owner] += losses.shape[1]
            with np.errstate(invalid="ignore"):
                yield from sums / counts[:, None]

    def _partition(
        self, document_id: str, ids: Sequence[int], folds: int, max_windows: int, seed: int
    ) -> list[MaskedRow]:
        generator = document_generator(seed, 0, document_id)
        rows = []
        for window in cut_windows(0, ids, self.room)[: max_windows or None]:
            tokens = np.asarray(window.ids, dtype=np.int64)
            order = generator.permutation(np.flatnonzero(~self.special[tokens]))
            rows += [MaskedRow(tokens, order[fold::folds]) for fold in range(min(folds, len(order)))]
        return rows


def check_same_tokenizer(first: PreTrainedTokenizerBase, second: PreTrainedTokenizerBase, name: str) -> None:
    """Check that two tokenizers cut texts alike, without which losses cannot be compared.

    Raises:
        InputError: They do not.
    """
    probe = ["Seen on 03/04/2019 by Dr. Émile O'Neill: afebrile, HR 88; plan - MRI (T2), NaCl 0.9%.\n\nHome  today"]
    if first.get_vocab() != second.get_vocab() or token_ids(first, probe) != token_ids(second, probe):
        raise InputError(
            "the reference has another tokenizer than the model, so their losses cannot be compared",
            file=name,
            remedy="give the checkpoint that the model was adapted from",
        )


def _inverse_orders(rows: Sequence[MaskedRow]) -> list[np.ndarray]:
    start, orders = 0, []
    for row in rows:
        orders.append(start + np.argsort(np.argsort(row.positions, kind="stable"), kind="stable"))
        start += len(row.positions)
    return orders


def _batches(rows: Sequence[MaskedRow], token_budget: int) -> Iterator[list[int]]:
    """Yield places of rows of similar length, the longest first, so many that padded they stay within the budget."""
    batch: list[int] = []
    for place in sorted(range(len(rows)), key=lambda place: -len(rows[place].ids)):
        if batch and (len(batch) + 1) * len(rows[batch[0]].ids) > token_budget:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
