"""What every objective's trainer shares: weighted loss terms, their log, the checkpoint folder."""

from __future__ import annotations

import math
import shutil
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DynamoBackend
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import PreTrainedTokenizerBase, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import EvalLoopOutput, TrainOutput
from transformers.utils import logging

from collators.epochs import EpochDataset
from collators.masking import IGNORE_INDEX
from collators.streaming import DocumentStream
from corpora.category_columns import NO_CATEGORY
from corpora.errors import InputError
from modeling.adapters import merged
from modeling.compiled_layers import compile_layers
from modeling.head import head_parameters
from modeling.masked_positions import forward_masked_positions, inner_model
from modeling.sentence_transformers_files import write_sentence_transformers_files
from modeling.unpadded import run_unpadded, why_padded
from modeling.window import check_padding, model_window
from trainers.arguments import AdaptationArguments
from trainers.finite_weights import check_finite_weights
from trainers.fully_sharded import (
    asks_for_fsdp,
    check_plugin,
    refuse_what_fsdp_cannot,
    sharded_by_layer,
    without_copies,
)
from trainers.head_warmup import HeadWarmupCallback
from trainers.masked_lm_loss import summed_cross_entropy
from trainers.meters import MeanMeter, Throughput
from trainers.resuming import check_same_sharding, last_complete_checkpoint, run_is_finished
from trainers.schedules import slanted_triangular_factor
from trainers.step_mean_trainer import StepMeanTrainer
from trainers.streams import fit_to_stream

logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class LossTerm:
    """One part of an objective.

    Args:
        name: Its name in the logs, without `_loss`.
        weight: Its weight in the total.
        total: Sum over the items of this process's micro-batch.
        count: How many items.
        over_step: True: the mean runs over all items of an optimizer step (all micro-batches and processes; their
            number comes from `count_items`, or is that of the labels), so that gradient accumulation 8 x 1 equals
            1 x 8. False: each micro-batch has its own mean, and those are averaged.
    """

    name: str
    weight: float
    total: torch.Tensor
    count: torch.Tensor | int
    over_step: bool


class AdaptationTrainer(StepMeanTrainer):
    """A `transformers.Trainer` whose loss is a weighted sum of terms; subclasses give the terms.

    Args:
        model: A masked language model (`AutoModelForMaskedLM`), plain or with LoRA by peft.
        args: Arguments of the objective.
        processing_class: The model's tokenizer.
        train_dataset: Tokenised documents, wrapped in an `EpochDataset`; or a `DocumentStream`.
        eval_dataset: The same for validation; its spans and masks never change.
        kwargs: As in `Trainer`.

    Raises:
        InputError: The tokenizer is missing, one process would drive several GPUs, the arguments do not fit a
            stream, or FSDP is asked for what it cannot do (`trainers.fully_sharded`).
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        args: AdaptationArguments | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        **kwargs: Any,
    ) -> None:
        if processing_class is None:
            raise InputError("a trainer needs the model's tokenizer", remedy="pass processing_class")
        if args is not None and args.n_gpu > 1:
            raise InputError(
                f"one process would drive {args.n_gpu} GPUs, which loses in-batch negatives",
                remedy="start with `accelerate launch --multi_gpu`, or set CUDA_VISIBLE_DEVICES to one of them",
            )
        if args is not None and isinstance(train_dataset, DocumentStream):
            fit_to_stream(args)
        if args is not None:
            refuse_what_fsdp_cannot(args, lora=hasattr(model, "merge_and_unload"))
        self._train_meter, self._eval_meter, self._throughput = MeanMeter(), MeanMeter(), Throughput()
        self._step_items: dict[str, torch.Tensor] = {}
        super().__init__(
            model=model,
            args=args,
            processing_class=processing_class,
            train_dataset=_with_epochs(train_dataset, fixed_epoch=None),
            eval_dataset=_with_epochs(eval_dataset, fixed_epoch=0),
            **kwargs,
        )
        if asks_for_fsdp(self.args):
            check_plugin(self.accelerator)
        inner = inner_model(self.model)
        if self.args.torch_compile:
            compile_layers(inner, self.args.torch_compile_backend, self.args.torch_compile_mode)
            # Else the whole model would be compiled when training starts.
            self.accelerator.state.dynamo_plugin.backend = DynamoBackend.NO
        elif self.args.unpadded and not run_unpadded(inner):
            logger.info("%s", why_padded(inner.config))
        # Saved with the checkpoint; without it a long document would reach the position table's end and crash `encode`.
        window = model_window(inner.config)
        processing_class.model_max_length = min(processing_class.model_max_length, window)
        check_padding(inner.config, self.args.pad_to_multiple_of)
        if self.args.head_warmup_steps:
            self.add_callback(HeadWarmupCallback(self._head_parameters, self.args.head_warmup_steps))

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> TrainOutput:
        """Train as `Trainer.train` does, except that a finished run stays finished.

        Resumed from the checkpoint of its last step, `Trainer` takes one step more when that step does not end an
        epoch; an interruption after the last step would change the weights.
        """
        if resume_from_checkpoint is True:  # stays true where there is none, so that Trainer says so
            resume_from_checkpoint = last_complete_checkpoint(self.args.output_dir) or True
        if isinstance(resume_from_checkpoint, Path):
            resume_from_checkpoint = str(resume_from_checkpoint)
        if isinstance(resume_from_checkpoint, str):
            check_same_sharding(resume_from_checkpoint, fsdp=self.is_fsdp_enabled)
        if isinstance(resume_from_checkpoint, str) and run_is_finished(resume_from_checkpoint, self.args):
            self.state = TrainerState.load_from_json(str(Path(resume_from_checkpoint) / TRAINER_STATE_NAME))
            best = self.state.best_model_checkpoint if self.args.load_best_model_at_end else None
            if self.is_fsdp_enabled:
                self._prepare_for_training(self.state.max_steps, None, None)
            self._load_from_checkpoint(best or resume_from_checkpoint)
            return TrainOutput(self.state.global_step, math.nan, {})
        self._throughput = Throughput()  # what came before is no training
        return super().train(resume_from_checkpoint, *args, **kwargs)

    def _prepare_for_training(self, *args: Any, **kwargs: Any) -> Any:
        with sharded_by_layer(self.model, self.accelerator) if self.is_fsdp_enabled else nullcontext():
            return super()._prepare_for_training(*args, **kwargs)

    def unsynchronized(self, model: nn.Module) -> AbstractContextManager:
        """Return the context for a forward or backward pass of a step that is not its last.

        Under DistributedDataParallel gradients then stay on their process. Under FSDP they would stay there whole,
        which takes the memory that it saves; so they are averaged each time.
        """
        return nullcontext() if self.is_fsdp_enabled else self.accelerator.no_sync(model)

    # ---- the objective ----

    @abstractmethod
    def loss_terms(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> list[LossTerm]:
        """Return the terms of the objective on one micro-batch."""

    def count_items(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Return the items of a micro-batch for terms whose mean runs over a step, by the term's name.

        A term that is not named is divided by the number of labels of the step.
        """
        return {}

    def masked_lm_term(self, logits: torch.Tensor, labels: torch.Tensor, weight: float = 1.0) -> LossTerm:
        """Return the masked-LM term from the logits at the masked positions.

        Args:
            logits: `(masked, vocabulary)`.
            labels: `(rows, length)` with -100 where nothing is predicted.
            weight: Weight of the term.
        """
        targets = labels[labels != IGNORE_INDEX]
        # A sum over no token is 0 and still reaches every parameter, which DistributedDataParallel requires.
        total, hits = summed_cross_entropy(logits, targets)
        # Also of none: processes add up what they recorded, so that each must record the same.
        self.record("mlm_accuracy", hits, len(targets))
        return LossTerm("mlm", weight, total, len(targets), over_step=True)

    def forward(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return hidden states `(rows, length, hidden)` and logits at the masked positions."""
        if model.training:
            self._throughput.add("tokens", inputs["attention_mask"].sum())
        return forward_masked_positions(
            model, inputs["input_ids"], inputs["attention_mask"], inputs["labels"] != IGNORE_INDEX
        )

    def record(self, name: str, total: torch.Tensor, count: torch.Tensor | int) -> None:
        """Add a quantity to the next log line (training) or to the metrics (evaluation)."""
        (self._train_meter if self.model.training else self._eval_meter).add(name, total, count)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the weighted sum of the terms, scaled so that the sum over a step is the step's loss."""
        loss = torch.zeros((), device=self.args.device)
        for term in self.loss_terms(model, inputs):
            self.record(f"{term.name}_loss", term.total, term.count)
            loss = loss + self.share_of_step(term, num_items_in_batch)
        return (loss, {"loss": loss}) if return_outputs else loss

    def share_of_step(self, term: LossTerm, num_items_in_batch: torch.Tensor | int | None) -> torch.Tensor:
        """Return a weighted term, scaled so that the sum over the micro-batches of a step is the step's loss.

        Args:
            term: A term of one micro-batch.
            num_items_in_batch: Labels of the step; None outside training.
        """
        items, training = self._step_items.get(term.name, num_items_in_batch), self.model.training
        if term.over_step and training and items is not None:
            value = self.step_share(term.total, items)
        else:
            count = term.count
            value = term.total / (count.clamp(min=1) if isinstance(count, torch.Tensor) else max(1, count))
            if training:
                value = value / self.current_gradient_accumulation_steps
        return term.weight * value

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor | int | None:
        """Count the items of a step: labels, as `Trainer` does, and those of `count_items`."""
        counts = [self.count_items(batch) for batch in batch_samples]
        if counts and counts[0]:
            totals = torch.stack([sum(one[name] for one in counts) for name in counts[0]]).to(device)
            if self.args.average_tokens_across_devices:
                totals = self.accelerator.reduce(totals, reduction="sum")
            self._step_items = dict(zip(counts[0], totals, strict=True))
        return super()._get_num_items_in_batch(batch_samples, device)

    # ---- logs and metrics ----

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Add the terms, their companions and the throughput to the training log lines."""
        if "loss" in logs:
            means = self._train_meter.drain(self.accelerator) | self._throughput.drain(self.accelerator)
            logs.update({name: round(value, 6) for name, value in means.items()})
        super().log(logs, *args, **kwargs)

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> EvalLoopOutput:
        """Evaluate, and report every term as a metric; the loss is the weighted sum of their means over items."""
        self._eval_meter = MeanMeter()
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        means = self._eval_meter.drain(self.accelerator)
        output.metrics.update({f"{metric_key_prefix}_{name}": value for name, value in means.items()})
        terms = [means.get(f"{name}_loss", 0.0) * weight for name, weight in self.term_weights().items() if weight]
        output.metrics[f"{metric_key_prefix}_loss"] = math.fsum(terms)
        return output

    @abstractmethod
    def term_weights(self) -> dict[str, float]:
        """Return the weight of each term by name."""

    def without_repeats(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Take labels and categories from documents that Accelerate repeats to fill an evaluation's last batch.

        Args:
            inputs: A batch whose first rows are its documents, one each; others have no labels.
        """
        state, size = self.accelerator.gradient_state, self.args.eval_batch_size
        if self.model.training or self.accelerator.num_processes == 1 or not state.end_of_dataloader:
            return inputs
        if state.remainder <= 0:  # the batches are full
            return inputs
        # Gathered in the order of the processes, the documents come first and the repeated ones last.
        own = min(max(0, state.remainder - self.accelerator.process_index * size), size)
        labels = inputs["labels"].clone()
        labels[own:] = IGNORE_INDEX
        found = {**inputs, "labels": labels}
        if "categories" in inputs:
            found["categories"] = {name: targets.clone() for name, targets in inputs["categories"].items()}
            for targets in found["categories"].values():
                targets[own:] = torch.nan if targets.is_floating_point() else NO_CATEGORY
        return found

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """Return the loader of a dataset, which gets the fixed epoch that collators ask for, as `eval_dataset` has."""
        wrapped = eval_dataset if isinstance(eval_dataset, str) else _with_epochs(eval_dataset, fixed_epoch=0)
        return super().get_eval_dataloader(wrapped)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate outside the clock of the throughput."""
        with self._throughput.paused():
            return super().evaluate(*args, **kwargs)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with self._throughput.paused():
            super()._save_checkpoint(*args, **kwargs)

    # ---- optimizer and schedule ----

    def _head_parameters(self) -> list[nn.Parameter]:
        return list(head_parameters(inner_model(self.model)).values())

    def own_rates(self) -> list[tuple[Iterable[nn.Parameter], float | None]]:
        """Return the head with the rate that was asked for."""
        return [(self._head_parameters(), self.args.head_learning_rate)]

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """Create the slanted triangular schedule when asked for, else the Trainer's."""
        if self.lr_scheduler is None and self.args.slanted_triangular:
            factor = slanted_triangular_factor(num_training_steps, self.args.slanted_cut, self.args.slanted_ratio)
            self.lr_scheduler = LambdaLR(optimizer if optimizer is not None else self.optimizer, factor)
            self._created_lr_scheduler = True
        return super().create_scheduler(num_training_steps, optimizer)

    # ---- checkpoints ----

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        if state_dict is not None:  # FSDP has gathered it
            state_dict = without_copies(state_dict, self.model)
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            self._complete_folder(Path(output_dir if output_dir is not None else self.args.output_dir))

    def _complete_folder(self, folder: Path) -> None:
        """Make a saved folder load in sentence-transformers too, and take out what must not be published."""
        config = inner_model(self.model).config
        write_sentence_transformers_files(folder, config.hidden_size, model_window(config), self.args.pooling)
        # A pickle with this machine's paths; resuming needs only trainer_state.json and the optimizer's files.
        (folder / "training_args.bin").unlink(missing_ok=True)

    def export(self, folder: str | Path) -> None:
        """Write the adapted model for use: LoRA merged, safetensors, tokenizer, sentence-transformers files.

        `AutoModel`, `AutoModelForMaskedLM`, `AutoTokenizer` and `SentenceTransformer` load the folder. Files appear
        under their names only when all are written. Every process has to call it; the main one writes.

        Raises:
            InputError: A weight is not finite; nothing is written.
        """
        check_finite_weights(self.model, self.accelerator, folder)
        weights = None
        if self.is_fsdp_enabled:
            weights = without_copies(self.accelerator.get_state_dict(self.model), self.model)
        if self.args.should_save:
            folder = Path(folder)
            partial = folder / ".export.partial"
            merged(self.accelerator.unwrap_model(self.model)).save_pretrained(partial, state_dict=weights)
            self.processing_class.save_pretrained(partial)
            self._complete_folder(partial)
            for path in sorted(partial.rglob("*")):
                target = folder / path.relative_to(partial)
                if path.is_dir():
                    target.mkdir(exist_ok=True)
                else:
                    path.replace(target)
            shutil.rmtree(partial)  # only empty folders are left in it
        self.accelerator.wait_for_everyone()


def _with_epochs(dataset: Any, fixed_epoch: int | None) -> Any:
    if dataset is None or isinstance(dataset, (EpochDataset, DocumentStream)):
        return dataset
    if isinstance(dataset, dict):
        return {name: _with_epochs(part, fixed_epoch) for name, part in dataset.items()}
    return EpochDataset(dataset, fixed_epoch)
