"""Vectorised masking for masked language modelling (Devlin et al. 2019, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from collators.special_tokens import special_token_table, word_continuation_table, word_end_table
from corpora.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORE_INDEX = -100  # the label that torch.nn.functional.cross_entropy leaves out


@dataclass(frozen=True)
class MaskingOptions:
    """How tokens are chosen and replaced.

    Args:
        probability: Share of the tokens that must be predicted.
        mask_share: Share of the chosen tokens that become the mask token.
        random_share: Share of the chosen tokens that become a random token; the rest stay as they are.
        whole_word: Choose whole words instead of single tokens.

    Raises:
        ValueError: A share is outside [0, 1], or the two shares exceed 1 together.
    """

    probability: float = 0.15
    mask_share: float = 0.8
    random_share: float = 0.1
    whole_word: bool = False

    def __post_init__(self) -> None:
        for name in ("probability", "mask_share", "random_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
        if self.mask_share + self.random_share > 1:
            raise ValueError("mask_share and random_share exceed 1 together")


class TokenMasker:
    """Masks flat arrays of token ids with a given tokenizer's mask token and vocabulary.

    Raises:
        InputError: The tokenizer has no mask token, or whole words cannot be told apart.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, options: MaskingOptions | None = None) -> None:
        if tokenizer.mask_token_id is None:
            raise InputError(
                "the tokenizer has no mask token, so masked language modelling is impossible",
                remedy="choose a model pre-trained by masked language modelling",
            )
        self.options = options or MaskingOptions()
        self.mask_id = tokenizer.mask_token_id
        self.special = special_token_table(tokenizer)
        self.ordinary_ids = np.flatnonzero(~self.special)
        self.continues_word = word_continuation_table(tokenizer) if self.options.whole_word else None
        self.ends_word = word_end_table(tokenizer) if self.options.whole_word else None

    def __call__(
        self, ids: np.ndarray, generator: np.random.Generator, row_starts: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mask a flat array of ids, rows laid end to end.

        Args:
            ids: `(tokens,)` integer ids. Special tokens among them are never chosen.
            generator: Source of randomness.
            row_starts: Positions where a row starts; with whole-word masking a word never spans two rows.

        Returns:
            Masked ids and labels, both `(tokens,)`; labels hold -100 where nothing is to be predicted.
        """
        options = self.options
        if self.continues_word is None:
            chosen = generator.random(len(ids)) < options.probability
        else:
            starts = ~self.continues_word[ids]
            starts[1:] |= self.ends_word[ids[:-1]]
            if row_starts is not None:
                starts[row_starts] = True
            word = np.cumsum(starts) - starts[0] if len(ids) else np.zeros(0, dtype=np.int64)
            chosen = (generator.random(len(ids)) < options.probability)[word]
        chosen &= ~self.special[ids]
        labels = np.where(chosen, ids, IGNORE_INDEX)
        masked = ids.copy()
        fate = generator.random(len(ids))
        masked[chosen & (fate < options.mask_share)] = self.mask_id
        randomly = chosen & (fate >= options.mask_share) & (fate < options.mask_share + options.random_share)
        # Random tokens are drawn from ordinary words: a special token in mid-sentence is no likely input.
        masked[randomly] = self.ordinary_ids[
            (generator.random(int(randomly.sum())) * len(self.ordinary_ids)).astype(np.int64)
        ]
        return masked, labels
