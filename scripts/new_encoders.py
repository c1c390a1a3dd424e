"""What `ModelOptions` ask for where there is no checkpoint to start from, and LoRA on either."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pretrain_options import ModelOptions
from run_folder import TOKENIZER

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PretrainedConfig, PreTrainedTokenizerBase


def new_tokenizer(options: ModelOptions, folder: Path, documents: Callable[[], Dataset]) -> PreTrainedTokenizerBase:
    """Load the tokenizer of an encoder to be trained from scratch, or train it once and keep it in `tokenizer/`.

    Of several processes the main one has to come first.

    Args:
        options: Which tokenizer; its `config_name` is set.
        folder: Of the run or study.
        documents: Gives the texts to train it on, in the column `text`.

    Raises:
        InputError: No tokenizer can be loaded or trained.
    """
    from modeling.from_scratch import train_tokenizer
    from modeling.loading import load_tokenizer

    if not options.train_tokenizer:
        return load_tokenizer(options.tokenizer_name)
    trained = folder / TOKENIZER
    if not (trained / "tokenizer_config.json").is_file():
        train_tokenizer(documents(), options.vocab_size).save_pretrained(trained)
    return load_tokenizer(trained)


def new_encoder_config(options: ModelOptions, tokenizer: PreTrainedTokenizerBase) -> PretrainedConfig:
    """Return the configuration of an encoder to be trained from scratch.

    Raises:
        InputError: The architecture is unknown or the sizes do not fit together.
    """
    from modeling.from_scratch import EncoderSize, scratch_config

    size = EncoderSize(
        options.hidden_size,
        options.num_hidden_layers,
        options.num_attention_heads,
        options.intermediate_size,
        options.window,
        options.dropout,
    )
    return scratch_config(options.config_name, size, tokenizer)


def with_lora(options: ModelOptions, model: Any, *, train_head: bool = True) -> Any:
    """Return the model with low-rank matrices as the options say, or as it is where they say nothing of LoRA.

    Args:
        options: Rank, scaling, dropout and layers.
        model: A `PreTrainedModel`.
        train_head: Whether a classifier on it is trained whole, as a copy of peft's.
    """
    from modeling.adapters import add_lora

    if not options.lora_rank:
        return model
    return add_lora(
        model,
        options.lora_rank,
        options.lora_alpha,
        options.lora_dropout,
        options.lora_target_modules,
        train_head=train_head,
    )
