"""An encoder for a classifier or tagger to stand on: any checkpoint, without its pooler and head."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from corpora.errors import InputError
from modeling.checkpoint_folder import check_checkpoint, transformer_folder
from modeling.loading import quiet_loading


def load_encoder(name_or_path: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder in float32, also of a checkpoint that a masked language model was saved to.

    Args:
        name_or_path: Checkpoint folder (transformers or sentence-transformers) or Hub id.

    Returns:
        The encoder, without a pooler, and its tokenizer.

    Raises:
        InputError: No encoder can be loaded from there.
    """
    local = check_checkpoint(name_or_path)
    source = str(transformer_folder(local) if local is not None else name_or_path)
    try:
        config = AutoConfig.from_pretrained(source)
        with quiet_loading():
            encoder = AutoModel.from_pretrained(source, dtype=torch.float32, **without_pooler(config))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split(". ")[0].split())[:200]
        raise InputError(f"no encoder can be loaded from here ({reason})", file=str(name_or_path)) from error
    return encoder, AutoTokenizer.from_pretrained(source)


def without_pooler(config: PretrainedConfig) -> dict[str, bool]:
    """Leave out a pooler that nothing here reads: its weights would be counted, and never get a gradient."""
    model_class = AutoModel._model_mapping[type(config)]
    model_class = model_class[0] if isinstance(model_class, (list, tuple)) else model_class
    takes_it = "add_pooling_layer" in inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if takes_it else {}


def plain_settings(config: PretrainedConfig) -> dict[str, Any]:
    """Return an encoder's configuration as a dictionary, without the place it was loaded from, which is of no use."""
    return {name: value for name, value in config.to_dict().items() if name != "_name_or_path"}


def config_from_settings(settings: dict[str, Any]) -> PretrainedConfig:
    """Return the configuration that `plain_settings` made a dictionary of, as its own class."""
    settings = dict(settings)
    return AutoConfig.for_model(settings.pop("model_type"), **settings)
