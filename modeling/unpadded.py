"""The encoder without padding: the real tokens of a batch laid end to end, exact to the padded way.

Everything but attention works token by token, so padding tokens cost as much as real ones and give nothing.
`run_unpadded` gives a model an attention function that keeps rows apart (`modeling.unpadded_attention`); a padded batch
is still read as before.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel

from modeling.unpadded_attention import UNPADDED, Sequences
from modeling.window import OFFSET_POSITIONS

# Their layers hand keyword arguments down to attention, and positions may be given: checked by tests.
KNOWN_ENCODERS = ("bert", "camembert", "distilbert", "electra", "roberta", "xlm-roberta")


def why_padded(config: PretrainedConfig) -> str | None:
    """Say why an encoder cannot run without padding, or return None when it can."""
    if config.model_type not in KNOWN_ENCODERS:
        return f"encoders of type {config.model_type} are read padded; without padding: {', '.join(KNOWN_ENCODERS)}"
    if getattr(config, "is_decoder", False):
        return "a decoder is read padded"
    if getattr(config, "position_embedding_type", None) not in (None, "absolute"):
        return "an encoder with relative positions is read padded"
    if config._attn_implementation not in ("sdpa", UNPADDED):
        return f"with attn_implementation {config._attn_implementation} an encoder is read padded; it takes sdpa"
    return None


def run_unpadded(model: PreTrainedModel) -> bool:
    """Let a model be read without padding where that is possible; `why_padded` says why it was not.

    Args:
        model: An encoder or a masked language model. Its weights and its saved configuration do not change.

    Returns:
        Whether it is.
    """
    if why_padded(model.config) is not None:
        return False
    model.set_attn_implementation(UNPADDED)
    return True


def is_unpadded(model: PreTrainedModel) -> bool:
    """Say whether `run_unpadded` took hold of a model."""
    return getattr(model.config, "_attn_implementation", None) == UNPADDED


def unpadded_inputs(config: PretrainedConfig, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, Any]:
    """Return the arguments of a forward pass over the real tokens of a padded batch, row by row.

    Args:
        config: The encoder's configuration.
        input_ids: `(rows, length)`, padded on the right.
        attention_mask: `(rows, length)`, 1 where there is a token; at least one in each row.
    """
    counts = attention_mask.sum(1)
    lengths = tuple(counts.tolist())
    offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    places = real_places(attention_mask, counts, offsets, sum(lengths))
    if config.model_type in OFFSET_POSITIONS:
        # As these encoders number a padded row: a padding token among the others takes no number.
        counted = input_ids.ne(config.pad_token_id) & attention_mask.bool()
        positions = counted.cumsum(1) * counted + config.pad_token_id
    else:
        positions = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    return {
        "input_ids": input_ids.reshape(-1)[places].unsqueeze(0),
        "position_ids": positions.reshape(-1)[places].unsqueeze(0),
        "sequences": Sequences(lengths, offsets, places),
    }


def real_places(mask: torch.Tensor, counts: torch.Tensor, offsets: torch.Tensor, total: int) -> torch.Tensor:
    """Return the `(tokens,)` places of the real tokens in the flattened batch, without waiting for the device.

    Args:
        mask: `(rows, length)`, padded on the right.
        counts: `(rows,)` tokens of each row.
        offsets: `(rows + 1,)` first token of each row among the real ones.
        total: Their sum.
    """
    ahead = torch.arange(len(mask), device=mask.device) * mask.shape[1] - offsets[:-1]
    return torch.arange(total, device=mask.device) + ahead.repeat_interleave(counts, output_size=total)


def pad_again(hidden: torch.Tensor, attention_mask: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Lay hidden states out in rows again.

    Args:
        hidden: `(1, tokens, hidden)`.
        attention_mask: `(rows, length)` of the padded batch.
        places: `(tokens,)` of the tokens in its flattened rows.

    Returns:
        `(rows, length, hidden)`, zero where there was padding.
    """
    padded = hidden.new_zeros((attention_mask.numel(), hidden.shape[-1]))
    return padded.index_copy(0, places, hidden[0]).view(*attention_mask.shape, -1)


def unpadded_hidden_states(
    model: PreTrainedModel, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> torch.Tensor:
    """Read a padded batch without its padding.

    Args:
        model: An encoder that `run_unpadded` took hold of.
        input_ids: `(rows, length)`, padded on the right.
        attention_mask: `(rows, length)`.

    Returns:
        Last hidden states `(rows, length, hidden)`, zero where there was padding.
    """
    inputs = unpadded_inputs(model.config, input_ids, attention_mask)
    return pad_again(model(**inputs).last_hidden_state, attention_mask, inputs["sequences"].places)
