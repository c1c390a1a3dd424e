"""An encoder for a classifier or tagger to stand on: any checkpoint, without its pooler and head."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modeling.checkpoint_folder import check_checkpoint, transformer_folder
from modeling.loading import load_tokenizer, quiet_loading, refuse_unloadable

# Imported where they are used: with transformers' auto classes come ours, and those import this module.
if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def load_encoder(name_or_path: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load an encoder in float32, also of a checkpoint that a masked language model was saved to.

    Args:
        name_or_path: Checkpoint folder (transformers or sentence-transformers) or Hub id.

    Returns:
        The encoder, without a pooler, and its tokenizer.

    Raises:
        InputError: No encoder can be loaded from there.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    local = check_checkpoint(name_or_path)
    source = str(transformer_folder(local) if local is not None else name_or_path)
    with refuse_unloadable("encoder", name_or_path), quiet_loading():
        config = AutoConfig.from_pretrained(source)
        encoder = AutoModel.from_pretrained(source, dtype=torch.float32, **without_pooler(config))
    return encoder, load_tokenizer(source)


def without_pooler(config: PretrainedConfig) -> dict[str, bool]:
    """Leave out a pooler that nothing here reads: its weights would be counted, and never get a gradient."""
    from transformers import AutoModel

    model_class = AutoModel._model_mapping[type(config)]
    model_class = model_class[0] if isinstance(model_class, (list, tuple)) else model_class
    takes_it = "add_pooling_layer" in inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if takes_it else {}


def plain_settings(config: PretrainedConfig) -> dict[str, Any]:
    """Return an encoder's configuration as a dictionary, without the place it was loaded from, which is of no use."""
    return {name: value for name, value in config.to_dict().items() if name != "_name_or_path"}


def config_from_settings(settings: dict[str, Any]) -> PretrainedConfig:
    """Return the configuration that `plain_settings` made a dictionary of, as its own class."""
    from transformers import AutoConfig

    settings = dict(settings)
    return AutoConfig.for_model(settings.pop("model_type"), **settings)
