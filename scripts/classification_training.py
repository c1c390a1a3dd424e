"""Trained cells: a head on frozen features, a fine-tuned encoder, LoRA and its kin."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from classification_cells import Cell
from classify_options import ADAPTERS, ProtocolOptions, TrainingOptions

if TYPE_CHECKING:
    from modeling.note_classifier import NoteClassifier


class TrainedSystem:
    """One encoder with one way of reading and one frozen depth; trains a cell after the other.

    What the frozen part gives is computed once for all cells.

    Args:
        checkpoint: The encoder.
        cell: Any of the system's cells.
        labels: The classes.
        task: `single_label`, `multi_label` or `ordinal`.
        protocol: Options.
        training: Options.
        embeddings: Gives the embeddings of the frozen encoder by split.
    """

    def __init__(
        self,
        checkpoint: str,
        cell: Cell,
        labels: Sequence[str],
        task: str,
        protocol: ProtocolOptions,
        training: TrainingOptions,
        embeddings: Callable[[], dict[str, np.ndarray]],
    ) -> None:
        self.embeddings = embeddings
        self.checkpoint, self.method, self.labels, self.task = checkpoint, cell.method, list(labels), task
        self.reading, self.frozen = cell.reading, cell.frozen
        self.protocol, self.training = protocol, training
        self._frozen_items: dict[str, Sequence[Any]] = {}
        self._storage: tempfile.TemporaryDirectory | None = None

    def close(self) -> None:
        """Delete what was stored."""
        self._frozen_items = {}
        if self._storage is not None:
            self._storage.cleanup()

    def new_classifier(self, seed: int) -> NoteClassifier:
        """Return the encoder with a fresh head."""
        from transformers import set_seed

        from modeling.note_classifier import NoteClassifier

        set_seed(seed)
        settings: dict[str, Any] = {"window_length": self.protocol.window_length} if self.protocol.window_length else {}
        if self.frozen != "all":
            settings["max_windows"] = self.protocol.max_windows
        attention = self.reading == "attention"
        return NoteClassifier.from_encoder(
            self.checkpoint,
            self.labels,
            task=self.task,
            reading="windows" if attention else self.reading,
            window_overlap=self.protocol.window_overlap,
            window_pooling="attention" if attention else "mean",
            head=self.training.head,
            head_dropout=self.training.head_dropout,
            **settings,
        )

    def _items(self, model: NoteClassifier, split: str, documents: Sequence[Any], collator: Any) -> Sequence[Any]:
        """Return a split as the frozen part leaves it, or as it is where nothing can be stored."""
        from modeling.frozen_features import can_be_cached, store_boundary_states

        if not can_be_cached(model):
            return documents
        if split not in self._frozen_items:
            if model.frozen_depth == "all":
                self._frozen_items[split] = [{"document_embeddings": row} for row in self.embeddings()[split]]
            else:
                self._storage = self._storage or tempfile.TemporaryDirectory(prefix="notespace-")
                file = Path(self._storage.name) / f"{split}.f32"
                self._frozen_items[split] = store_boundary_states(
                    model, documents, collator, file, self.protocol.batch_size
                )
        return self._frozen_items[split]

    def run(
        self,
        cell: Cell,
        documents: dict[str, Sequence[Any]],
        targets: dict[str, np.ndarray],
        rows: np.ndarray,
        tokenizer: Any,
        folder: Path,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Train a cell, keep the weights of the best validation macro-F1, and read the test documents once.

        Args:
            cell: Which.
            documents: Tokenised documents of train, validation and test.
            targets: Their classes.
            rows: Training documents of the cell.
            tokenizer: The encoder's.
            folder: For what the trainer writes.

        Returns:
            `(test documents, classes)` probabilities and facts.
        """
        from transformers import PrinterCallback

        from collators.classification import collate_frozen
        from modeling.adapters import add_adapter
        from trainers.best_weights import BestWeightsCallback
        from trainers.classification_trainer import ClassificationTrainer
        from trainers.fine_tuning_trainer import trained_parameters

        model: Any = self.new_classifier(cell.seed)
        collator = model.collator(tokenizer)
        if self.frozen != "none":
            model.freeze(self.frozen)
        items = {split: self._items(model, split, part, collator) for split, part in documents.items()}
        cached = items["train"] is not documents["train"]
        if self.method in ADAPTERS:
            model = add_adapter(model, self.method, self.training.lora_rank)
        arguments = self._arguments(cell, folder)
        wanted = targets["train"][rows]
        best = BestWeightsCallback("eval_f1_macro", self.training.patience)
        data = {
            "train": _dataset([items["train"][row] for row in rows.tolist()], wanted, self.task),
            "validation": _dataset(items["validation"], targets["validation"], self.task),
            "test": _dataset(items["test"], targets["test"], self.task),
        }
        counts = wanted.sum(0) if wanted.ndim == 2 else np.bincount(wanted, minlength=len(self.labels))
        trainer = ClassificationTrainer(
            model,
            arguments,
            processing_class=tokenizer,
            data_collator=collate_frozen if cached else collator,
            train_dataset=data["train"],
            eval_dataset=data["validation"],
            class_counts=np.maximum(counts, 1).tolist(),
            callbacks=[best],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        probabilities = trainer.predict_probabilities(data["test"])
        facts = {
            "trained_parameters": trained_parameters(trainer.model),
            "validation_f1_macro": best.best,
            "best_epoch": best.best_epoch,
        }
        return probabilities, facts

    def _arguments(self, cell: Cell, folder: Path) -> Any:
        from trainers.classification_arguments import ClassificationArguments

        training, head_only = self.training, self.frozen == "all"
        # DoRA takes LoRA's rate.
        rates = {"fine_tuned": "learning_rate", "dora": "lora_learning_rate", "mlp": "head_learning_rate"}
        rate = getattr(training, rates.get(self.method, f"{self.method}_learning_rate"))
        return ClassificationArguments(
            output_dir=str(folder / "trainer"),
            freeze=self.frozen,
            learning_rate=rate,
            head_learning_rate=None if head_only else training.head_learning_rate,
            num_train_epochs=training.head_epochs if head_only else training.epochs,
            per_device_train_batch_size=training.head_batch_size if head_only else training.train_batch_size,
            per_device_eval_batch_size=self.protocol.batch_size,
            gradient_accumulation_steps=1 if head_only else training.gradient_accumulation_steps,
            weight_decay=training.weight_decay,
            warmup_steps=training.warmup,
            label_smoothing_factor=training.label_smoothing,
            class_weights=training.class_weights,
            bf16=training.bf16,
            use_cpu=training.use_cpu,
            eval_strategy="epoch",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=cell.seed,
        )


def _dataset(items: Sequence[Any], targets: np.ndarray, task: str) -> Any:
    from collators.classification import LabelledDocuments

    return LabelledDocuments(items, targets.astype(np.float32) if task == "multi_label" else targets)
