"""Masked language modelling on rows of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from collators.mlm import MlmCollator
from trainers.base import AdaptationTrainer, LossTerm
from trainers.mlm_arguments import MlmArguments


class MlmTrainer(AdaptationTrainer):
    """Adapts an encoder by masked language modelling (Devlin et al. 2019), with logits at masked positions only.

    Example:
        ```python
        tokenized = tokenize_documents(corpus["train"], tokenizer)
        rows = cut_into_rows(tokenized, tokenizer, 512, concatenate=True)
        MlmTrainer(model, MlmArguments("out"), processing_class=tokenizer, train_dataset=rows).train()
        ```

    Args:
        model: A masked language model.
        args: `MlmArguments`.
        processing_class: The model's tokenizer.
        data_collator: An `MlmCollator` from the arguments when not given.
        kwargs: As in `AdaptationTrainer`; `train_dataset` and `eval_dataset` come from `cut_into_rows`.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        args: MlmArguments | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        data_collator: MlmCollator | None = None,
        **kwargs: Any,
    ) -> None:
        args = args if args is not None else MlmArguments()
        if data_collator is None and processing_class is not None:
            data_collator = MlmCollator(
                processing_class, args.masking_options(), args.seed, pad_to_multiple_of=args.pad_to_multiple_of
            )
        super().__init__(model, args, processing_class, data_collator=data_collator, **kwargs)

    def loss_terms(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> list[LossTerm]:
        """Return the masked-LM term."""
        inputs = self.without_repeats(inputs)
        _, logits = self.forward(model, inputs)
        return [self.masked_lm_term(logits, inputs["labels"])]

    def term_weights(self) -> dict[str, float]:
        """Return the weight of the one term."""
        return {"mlm": 1.0}
