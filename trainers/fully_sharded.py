"""Fully sharded data parallelism (FSDP2, `torch.distributed.fsdp.fully_shard`): what a `Trainer` leaves to be done.

Each process keeps its share of every weight, gradient and optimizer state, and gathers a layer's weights when it is
needed (Zhao et al. 2023, arXiv 2304.11277). `Trainer` and accelerate do the sharding; here is what they need to know of
masked language models, whose weights are tied, and what cannot be sharded is refused.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import str_to_bool
from torch import nn
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

from corpora.errors import InputError
from modeling.encoder_layers import layer_list
from modeling.masked_positions import inner_model

if TYPE_CHECKING:
    from accelerate import Accelerator
    from transformers import TrainingArguments


def asks_for_fsdp(args: TrainingArguments) -> bool:
    """Return whether the arguments, or the configuration of `accelerate launch`, ask for FSDP."""
    return bool(args.fsdp) or bool(str_to_bool(os.environ.get("ACCELERATE_USE_FSDP", "false")))


def refuse_what_fsdp_cannot(args: TrainingArguments, *, lora: bool = False, log_space: bool = False) -> None:
    """Refuse a run with FSDP that would end in an error, or worse, in other weights.

    Args:
        args: Of the run.
        lora: Whether it trains LoRA matrices.
        log_space: Whether one process reads documents with the model while the others wait.

    Raises:
        InputError: FSDP is asked for, and cannot do the rest.
    """
    if not asks_for_fsdp(args):
        return
    if args.world_size == 1:
        raise InputError(
            "FSDP is asked for and one process runs, which has nobody to share with",
            remedy="start several with accelerate launch, or leave FSDP out",
        )
    if args.torch_compile:
        raise InputError("FSDP and --torch_compile were not tried together", remedy="leave out one of them")
    if lora:
        raise InputError(
            "FSDP and LoRA do not go together: the matrices are merged into whole weights",
            remedy="use recipes/accelerate/two_gpus_bf16.yaml; LoRA has no large optimizer states to share",
        )
    if log_space:
        raise InputError(
            "--log_space reads documents on one process, which under FSDP has only its share of the weights",
            remedy="leave out --log_space, or FSDP",
        )


def check_plugin(accelerator: Accelerator) -> None:
    """Refuse settings of FSDP with which a run would break, and average gradients in full precision.

    Args:
        accelerator: The trainer's, which FSDP was asked of.

    Raises:
        InputError: A setting is not supported, or the processes have no GPUs.
    """
    plugin = getattr(accelerator.state, "fsdp_plugin", None)
    if plugin is None:
        raise InputError(
            "FSDP needs GPUs: accelerate would copy the whole model to every CPU process and say nothing",
            remedy="leave FSDP out",
        )
    if plugin.fsdp_version != 2:
        raise InputError(f"FSDP version {plugin.fsdp_version} is not supported", remedy="set fsdp_version to 2")
    if "FULL" not in str(plugin.state_dict_type):
        raise InputError(
            "checkpoints in shards are no models that others can load",
            remedy="set fsdp_state_dict_type to FULL_STATE_DICT",
        )
    if plugin.cpu_ram_efficient_loading:
        raise InputError(
            "FSDP with weights on one process alone is not supported",
            remedy="set fsdp_cpu_ram_efficient_loading to false",
        )
    if plugin.activation_checkpointing:
        raise InputError(
            "FSDP's activation checkpointing draws other dropout in the second forward pass",
            remedy="set fsdp_activation_checkpointing to false, and use --gradient_checkpointing",
        )
    if plugin.mixed_precision_policy is not None:
        # As DistributedDataParallel does; bf16 keeps 8 bits of a mean over many processes.
        plugin.mixed_precision_policy = replace(plugin.mixed_precision_policy, reduce_dtype=torch.float32)


@contextmanager
def sharded_by_layer(model: nn.Module, accelerator: Accelerator) -> Iterator[None]:
    """While active, accelerate shards each layer of the encoder for itself, and all the rest together.

    By itself it would part the word embeddings, which some families name as a layer, from the decoder that is tied to
    them, or the decoder from the bias that it shares with its head; `fully_shard` refuses either.

    Args:
        model: Not sharded yet.
        accelerator: The trainer's.

    Raises:
        InputError: The encoder's layers cannot be told apart.
    """
    inner = inner_model(model)
    try:
        parent, name = layer_list(inner.base_model)
    except InputError as error:
        raise InputError(error.problem, remedy="train this model without FSDP") from error
    plugin = accelerator.state.fsdp_plugin
    plugin.auto_wrap_policy = transformer_auto_wrap_policy
    plugin.transformer_cls_names_to_wrap = sorted({type(layer).__name__ for layer in getattr(parent, name)})
    # Of the logits, a view. Nothing is written into them before the backward pass has begun.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    # Asked for the modules to put apart, the model names none.
    inner.get_input_embeddings = inner.get_output_embeddings = lambda: None
    try:
        yield
    finally:
        del inner.get_input_embeddings, inner.get_output_embeddings


def whole(tensors: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Gather sharded tensors from all processes, each of which has to call it; others are left as they are."""
    from torch.distributed.tensor import DTensor

    return {name: one.full_tensor() if isinstance(one, DTensor) else one for name, one in tensors.items()}


def without_copies(state_dict: Mapping[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """Leave out weights that are tied to others: gathered one by one, they would be saved twice."""
    return {name: one for name, one in state_dict.items() if name not in inner_model(model).all_tied_weights_keys}
