"""Low-rank adaptation (LoRA, Hu et al. 2021) by peft: added before training, merged at export."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import nn

from corpora.errors import InputError
from modeling.head import head_modules
from modeling.masked_positions import inner_model

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def add_lora(
    model: PreTrainedModel,
    rank: int,
    alpha: float | None = None,
    dropout: float = 0.0,
    target_modules: Sequence[str] | None = None,
    *,
    train_head: bool = True,
) -> PeftModel:
    """Freeze a masked language model and add trainable low-rank matrices to its linear layers.

    Args:
        model: The model to adapt.
        rank: Rank of the matrices.
        alpha: Scaling numerator; twice the rank when not given.
        dropout: Dropout before the matrices.
        target_modules: Names of layers, as peft matches them; all linear layers of the encoder when not given.
        train_head: Train the head's own layers too (those not tied to the embeddings).

    Raises:
        InputError: No layer of the model bears a name of `target_modules`.
    """
    from peft import LoraConfig, get_peft_model

    if target_modules is None:
        prefix = f"{model.base_model_prefix}."
        target_modules = [
            name for name, module in model.named_modules() if isinstance(module, nn.Linear) and name.startswith(prefix)
        ]
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha if alpha is not None else 2 * rank,
        lora_dropout=dropout,
        target_modules=list(target_modules),
        modules_to_save=head_modules(model) if train_head else None,
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        raise InputError(
            f"no layer of {type(model).__name__} matches --lora_target_modules {' '.join(target_modules)}",
            remedy="leave the option out to adapt all linear layers",
        ) from error


def merged(model: nn.Module) -> PreTrainedModel:
    """Return the plain model: LoRA matrices merged into a copy; any other model as it is."""
    if not hasattr(model, "merge_and_unload"):
        return inner_model(model)
    # On a copy, because the trainer may go on training the unmerged one.
    return copy.deepcopy(model).merge_and_unload()
