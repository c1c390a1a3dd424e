"""A model and a tokenizer from nothing but a corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corpora.errors import InputError
from modeling.window import OFFSET_POSITIONS

# What the architectures call the dropout of hidden states and of attention.
DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "dropout",
    "attention_dropout",
    "embedding_dropout",
    "mlp_dropout",
)

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class EncoderSize:
    """Sizes of an encoder; RoBERTa-base is 768, 12, 12, 3072, 512.

    Args:
        hidden_size: Width of a hidden state.
        num_hidden_layers: Layers.
        num_attention_heads: Attention heads a layer; must divide `hidden_size`.
        intermediate_size: Width of the feed-forward layer; four times `hidden_size` when not given.
        window: Longest input in tokens, special tokens included.
        dropout: Dropout of hidden states and attention; 0 is faster and does no harm to a small model seen once.
    """

    hidden_size: int = 256
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    intermediate_size: int | None = None
    window: int = 512
    dropout: float = 0.1


def _batches(documents: Dataset, size: int = 1000) -> Iterator[list[str]]:
    for start in range(0, len(documents), size):
        yield documents[start : start + size]["text"]


def train_tokenizer(documents: Dataset, vocab_size: int, *, progress: bool = False) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE on the texts of a corpus; nothing is ever out of vocabulary.

    The class is `RobertaTokenizer`, because older versions of transformers load it by that name.

    Args:
        documents: Column `text`.
        vocab_size: Upper bound on the vocabulary; a small corpus may give fewer.
        progress: Show a progress bar.

    Raises:
        InputError: The vocabulary cannot hold the 256 bytes and the special tokens.
    """
    from transformers import RobertaTokenizer

    if vocab_size < 300:
        raise InputError("--vocab_size must be at least 300", remedy="256 bytes and the special tokens come first")
    return RobertaTokenizer().train_new_from_iterator(
        _batches(documents), vocab_size=vocab_size, length=len(documents), show_progress=progress
    )


def scratch_config(model_type: str, size: EncoderSize, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """Return the configuration of an untrained encoder.

    Args:
        model_type: A `transformers` architecture (`roberta`, `bert`, `distilbert`, `modernbert`, `electra`, ...).
        size: Its sizes, in the words of BERT; architectures with other names map them by themselves.
        tokenizer: Gives the vocabulary size and the special ids.

    Raises:
        InputError: The architecture is unknown or the sizes do not fit together.
    """
    from transformers import CONFIG_MAPPING, MODEL_FOR_MASKED_LM_MAPPING

    if model_type not in CONFIG_MAPPING or CONFIG_MAPPING[model_type] not in MODEL_FOR_MASKED_LM_MAPPING:
        raise InputError(
            f"--config_name {model_type} is no masked language model of transformers",
            remedy="choose for example roberta, bert, distilbert or modernbert",
        )
    if size.hidden_size % size.num_attention_heads:
        raise InputError(
            f"--hidden_size {size.hidden_size} is not a multiple of --num_attention_heads {size.num_attention_heads}"
        )
    config_class = CONFIG_MAPPING[model_type]
    offset = tokenizer.pad_token_id + 1 if model_type in OFFSET_POSITIONS else 0
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": size.hidden_size,
        "num_hidden_layers": size.num_hidden_layers,
        "num_attention_heads": size.num_attention_heads,
        "intermediate_size": size.intermediate_size or 4 * size.hidden_size,
        "max_position_embeddings": size.window + offset,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "cls_token_id": tokenizer.cls_token_id,
        "sep_token_id": tokenizer.sep_token_id,
    }
    renamed = getattr(config_class, "attribute_map", {})
    if model_type == "distilbert":
        settings["hidden_dim"] = settings.pop("intermediate_size")
    if model_type == "electra":
        settings["embedding_size"] = size.hidden_size
    config = config_class(**{renamed.get(name, name): value for name, value in settings.items()})
    for name in DROPOUTS:
        if hasattr(config, name):
            setattr(config, name, size.dropout)
    return config


def untrained_model(config: PretrainedConfig) -> PreTrainedModel:
    """Return a masked language model with random weights (seed with `transformers.set_seed` first)."""
    from transformers import AutoModelForMaskedLM

    return AutoModelForMaskedLM.from_config(config)
