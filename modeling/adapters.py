"""Parameter-efficient fine-tuning by peft: a few weights added before training, merged at export.

- `lora`: low-rank matrices beside linear layers (Hu et al. 2021);
- `dora`: LoRA that learns the length of each weight column apart from its direction (Liu et al. 2024);
- `ia3`: a factor for each output of a linear layer, IA3 (Liu et al. 2022, who leave out queries and projections);
- `ln_tuning`: the layer norms alone (Qi et al. 2022; Zhao et al. 2023).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import nn

from corpora.errors import InputError
from modeling.head import head_modules
from modeling.masked_positions import inner_model

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from transformers import PreTrainedModel


def add_adapter(model: PreTrainedModel, method: str, rank: int = 8) -> PeftModel:
    """Freeze an encoder and add what a method trains in its place; the head's own layers are trained too.

    Args:
        model: The model to adapt; its encoder is what `base_model_prefix` names.
        method: `lora`, `dora`, `ia3` or `ln_tuning`.
        rank: Of `lora` and `dora`.

    Raises:
        ValueError: No such method.
    """
    from peft import IA3Config, LNTuningConfig

    head = head_modules(model)
    if method in ("lora", "dora"):
        return add_lora(model, rank, dora=method == "dora")
    if method == "ia3":
        layers = _encoder_layers(model, lambda module: isinstance(module, nn.Linear))
        # The paper scales what enters the second layer of a feed-forward block: the one that narrows.
        second = [name for name, module in layers.items() if module.in_features > module.out_features]
        config = IA3Config(target_modules=list(layers), feedforward_modules=second, modules_to_save=head)
    elif method == "ln_tuning":
        # By name, as families bring classes of their own (RMSNorm).
        norms = _encoder_layers(model, lambda module: type(module).__name__.endswith("Norm"))
        config = LNTuningConfig(target_modules=list(norms), modules_to_save=head)
    else:
        raise ValueError(f"method must be lora, dora, ia3 or ln_tuning, got {method!r}")
    return _adapted(model, config)


def add_lora(
    model: PreTrainedModel,
    rank: int,
    alpha: float | None = None,
    dropout: float = 0.0,
    target_modules: Sequence[str] | None = None,
    *,
    dora: bool = False,
    train_head: bool = True,
) -> PeftModel:
    """Freeze a model and add trainable low-rank matrices to the linear layers of its encoder.

    Args:
        model: The model to adapt.
        rank: Rank of the matrices.
        alpha: Scaling numerator; twice the rank when not given.
        dropout: Dropout before the matrices.
        target_modules: Names of layers, as peft matches them; all linear layers of the encoder when not given.
        dora: DoRA: learn lengths and directions of the weight columns apart.
        train_head: Train the head's own layers too (those not tied to the embeddings).

    Raises:
        InputError: No layer of the model bears a name of `target_modules`.
    """
    from peft import LoraConfig

    if target_modules is None:
        target_modules = list(_encoder_layers(model, lambda module: isinstance(module, nn.Linear)))
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha if alpha is not None else 2 * rank,
        lora_dropout=dropout,
        target_modules=list(target_modules),
        use_dora=dora,
        modules_to_save=head_modules(model) if train_head else None,
    )
    try:
        return _adapted(model, config)
    except ValueError as error:
        raise InputError(
            f"no layer of {type(model).__name__} matches --lora_target_modules {' '.join(target_modules)}",
            remedy="leave the option out to adapt all linear layers",
        ) from error


def _adapted(model: PreTrainedModel, config: PeftConfig) -> PeftModel:
    from peft import get_peft_model

    with warnings.catch_warnings():
        # peft asks a norm for its width, which it does not say, and reads an attribute that transformers renamed.
        warnings.filterwarnings("ignore", message="Unsupported layer type")
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        return get_peft_model(model, config)


def _encoder_layers(model: PreTrainedModel, wanted: Callable[[nn.Module], bool]) -> dict[str, nn.Module]:
    prefix = f"{model.base_model_prefix}."
    return {name: module for name, module in model.named_modules() if name.startswith(prefix) and wanted(module)}


def merged(model: nn.Module) -> PreTrainedModel:
    """Return the plain model: what peft added merged into a copy; any other model as it is."""
    if not hasattr(model, "merge_and_unload"):
        return inner_model(model)
    # On a copy, because the trainer may go on training the unmerged one.
    return merge_in_place(copy.deepcopy(model))


def merge_in_place(model: PeftModel) -> PreTrainedModel:
    """Merge what peft added into the weights, and return the plain model."""
    from peft.utils import ModulesToSaveWrapper

    plain = model.merge_and_unload()
    # Of ln_tuning peft (0.21) leaves the head's layers wrapped, whose names no plain model knows.
    for name, module in list(plain.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            (trained,) = module.modules_to_save.values()
            plain.set_submodule(name, trained)
    return plain
