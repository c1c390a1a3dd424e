"""What a classifier and a tagger share: an encoder, how much of it is frozen, and the checkpoint's tokenizer."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from modeling.encoder_layers import frozen_modules
from modeling.encoder_loading import without_pooler

if TYPE_CHECKING:
    from typing_extensions import Self

# Options of `from_pretrained` that say where the files of a checkpoint are, and so hold for its tokenizer too.
PLACE = ("revision", "cache_dir", "subfolder", "token", "local_files_only")


class HeadedEncoder(PreTrainedModel):
    """An encoder that a subclass puts a head on.

    Args:
        config: Of the subclass; its `encoder_config()` is that of the encoder.
    """

    base_model_prefix = "encoder"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    def __init__(self, config: PretrainedConfig) -> None:
        # Not above: with transformers' auto classes come ours, which import this module.
        from transformers import AutoModel

        super().__init__(config)
        encoder_config = config.encoder_config()
        self.encoder = AutoModel.from_config(encoder_config, **without_pooler(encoder_config))
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self._place: dict[str, Any] = {}
        self._frozen: list[nn.Module] = []
        self._depth = "none"

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *args: Any, **kwargs: Any) -> Any:
        """Load a model as `PreTrainedModel.from_pretrained` does, and remember where its tokenizer lies."""
        loaded = super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # with output_loading_info
        model._place = {name: kwargs[name] for name in PLACE if kwargs.get(name) is not None}
        return loaded

    @classmethod
    def _on(cls, config: PretrainedConfig, tokenizer: PreTrainedTokenizerBase, encoder: PreTrainedModel | None) -> Self:
        """Return a model with an untrained head on an encoder; None leaves the random weights of a new one."""
        model = cls(config)
        if encoder is not None:
            model.encoder = encoder
        model._tokenizer = tokenizer
        return model

    def freeze(self, depth: str | int) -> None:
        """Keep a part of the encoder as it is; frozen modules stay in evaluation mode, without dropout.

        Args:
            depth: `none`, `embeddings`, a number N (embeddings and the first N layers), or `all` (the whole encoder).

        Raises:
            InputError: The encoder has fewer layers.
        """
        frozen = frozen_modules(self.encoder, depth)
        for module in self._frozen:  # of a depth before this one
            module.requires_grad_(True)
        self._frozen, self._depth = frozen, str(depth)
        for module in self._frozen:
            module.requires_grad_(False)
        self.train(self.training)

    @property
    def frozen_depth(self) -> str:
        """What of the encoder is frozen: `none`, `embeddings`, a number of layers, or `all`."""
        return self._depth

    def train(self, mode: bool = True) -> Self:
        """Set the training mode of all that is not frozen."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def hidden_states(
        self,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return the encoder's last hidden states `(windows, length, hidden)`.

        Args:
            input_ids: `(windows, length)`.
            attention_mask: `(windows, length)`.
            token_type_ids: `(windows, length)`; passed on to encoders that have them.
            kwargs: For the encoder.
        """
        if token_type_ids is not None and "token_type_ids" in inspect.signature(self.encoder.forward).parameters:
            kwargs["token_type_ids"] = token_type_ids
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask, **kwargs)[0]

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Return the tokenizer of the checkpoint that this model was loaded from."""
        from transformers import AutoTokenizer

        if self._tokenizer is None:
            self._tokenizer = AutoTokenizer.from_pretrained(self.name_or_path, **self._place)
        return self._tokenizer
