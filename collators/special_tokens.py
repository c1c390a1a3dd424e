"""The special tokens that a tokenizer puts around a sequence, and which ids continue a word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from corpora.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase


# What byte-level BPE and SentencePiece write for a space, and BPE for a line break, a tab and a return: letters all.
WHITE_SPACE = "Ġ▁Ċĉč"


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    """Return the ids of whole texts, without special tokens and without truncation."""
    if not texts:  # tokenizers take an empty list for an empty text, or fail
        return []
    if tokenizer.is_fast:  # a sixth faster without the offsets and masks that a call of the tokenizer makes
        return [
            encoding.ids for encoding in plain_backend(tokenizer).encode_batch_fast(texts, add_special_tokens=False)
        ]
    return tokenizer(
        texts,
        add_special_tokens=False,
        truncation=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )["input_ids"]


def plain_backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """Return the backend of a fast tokenizer, set to read whole texts without padding, as a call of it would be."""
    backend = tokenizer.backend_tokenizer
    if backend.truncation is not None:
        backend.no_truncation()
    if backend.padding is not None:
        backend.no_padding()
    if backend.encode_special_tokens != tokenizer.split_special_tokens:
        backend.encode_special_tokens = tokenizer.split_special_tokens
    return backend


def special_token_affixes(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the ids put before and after a single sequence, for example `([CLS], [SEP])`.

    Read off an encoding, because tokenizers differ in whether they expose a template.

    Raises:
        InputError: The tokenizer changes the inside of a sequence when it adds special tokens.
    """
    plain = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a", add_special_tokens=True)["input_ids"]
    for offset in range(len(full) - len(plain) + 1):
        if full[offset : offset + len(plain)] == plain:
            return full[:offset], full[offset + len(plain) :]
    raise InputError("the tokenizer rewrites a sequence when it adds special tokens", remedy="choose another tokenizer")


def special_token_table(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return a `(vocabulary,)` boolean table: true where the id is a special token."""
    table = np.zeros(len(tokenizer), dtype=bool)
    table[[index for index in tokenizer.all_special_ids if index < len(table)]] = True
    return table


def word_continuation_table(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return a `(vocabulary,)` boolean table: true where the token continues the word before it.

    WordPiece marks continuations (`##`); byte-level BPE and SentencePiece mark word starts (`Ġ`, `▁`), and there a
    token that starts with a letter or digit and bears no mark continues a word.

    Raises:
        InputError: The vocabulary bears none of these marks.
    """
    vocabulary = tokenizer.get_vocab()
    table = np.zeros(len(tokenizer), dtype=bool)
    if sum(token.startswith("##") for token in vocabulary) > 1:
        for token, index in vocabulary.items():
            table[index] = token.startswith("##") and len(token) > 2
        return table
    if not any(token.startswith(("Ġ", "▁")) for token in vocabulary):
        raise InputError(
            "whole-word masking cannot tell words apart in this tokenizer's vocabulary",
            remedy="leave out --whole_word_mask",
        )
    for token, index in vocabulary.items():
        table[index] = bool(token) and token[0] not in WHITE_SPACE and token[0].isalnum()
    return table


def word_end_table(tokenizer: PreTrainedTokenizerBase) -> np.ndarray:
    """Return a `(vocabulary,)` boolean table: true where a word ends with the token (a line break, a bracket)."""
    table = np.zeros(len(tokenizer), dtype=bool)
    for token, index in tokenizer.get_vocab().items():
        # Beyond ASCII stand the bytes of other letters.
        table[index] = not token or token[-1] in WHITE_SPACE or (token[-1].isascii() and not token[-1].isalnum())
    return table
