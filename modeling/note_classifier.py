"""A document classifier on an encoder: windows, pooling, head; loads with `from_pretrained`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedTokenizerBase,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from collators.classification import ClassificationCollator
from collators.reading import ReadingPlan
from collators.special_tokens import token_ids
from corpora.errors import InputError
from modeling.checkpoint_folder import transformer_folder
from modeling.classification_loss import TASKS, classification_losses, ordinal_log_probabilities
from modeling.encoder_layers import starting_from
from modeling.encoder_loading import config_from_settings, load_encoder, plain_settings
from modeling.headed_encoder import HeadedEncoder
from modeling.loading import refuse_unloadable
from modeling.pooling import POOLING_MODES, pool
from modeling.window import model_window

HEADS = ("tanh", "linear")
WINDOW_POOLINGS = ("mean", "attention")
PROBLEM_TYPES = {"single_label": "single_label_classification", "multi_label": "multi_label_classification"}


class NoteClassifierConfig(PretrainedConfig):
    """Configuration of a `NoteClassifier`.

    Args:
        encoder: Configuration of the encoder, as a dictionary.
        task: `single_label`, `multi_label`, or `ordinal` (classes in rising order, cumulative head).
        pooling: How a window's embedding is made of its hidden states: `mean`, `cls` or `max`.
        reading: What of a long document is read; see `collators.reading.ReadingPlan`.
        window_length: Tokens in a window; the encoder's window when not given.
        window_overlap: Tokens that a window shares with the one before.
        max_windows: Most windows of a document.
        window_pooling: `mean`, weighted by tokens (as `DocumentEncoder`), or learned `attention` over the windows.
        head: `tanh`: dropout, linear, tanh, dropout, linear (the study); `linear`: dropout, linear.
        head_dropout: Dropout of the head.
        kwargs: As in `PretrainedConfig`: `id2label`, `label2id`, `num_labels`.
    """

    model_type = "note_classifier"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        task: str = "single_label",
        pooling: str = "mean",
        reading: str = "windows",
        window_length: int | None = None,
        window_overlap: int = 0,
        max_windows: int | None = None,
        window_pooling: str = "mean",
        head: str = "tanh",
        head_dropout: float = 0.1,
        **kwargs: Any,
    ) -> None:
        for name, value, known in (
            ("task", task, TASKS),
            ("pooling", pooling, POOLING_MODES),
            ("window_pooling", window_pooling, WINDOW_POOLINGS),
            ("head", head, HEADS),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        self.encoder = encoder if encoder is not None else AutoConfig.for_model("bert").to_dict()
        self.task, self.pooling, self.reading = task, pooling, reading
        self.window_length, self.window_overlap, self.max_windows = window_length, window_overlap, max_windows
        self.window_pooling, self.head, self.head_dropout = window_pooling, head, head_dropout
        kwargs.setdefault("problem_type", PROBLEM_TYPES.get(task, "single_label_classification"))
        super().__init__(**kwargs)

    def encoder_config(self) -> PretrainedConfig:
        """Return the encoder's configuration as its own class."""
        return config_from_settings(self.encoder)

    def reading_plan(self) -> ReadingPlan:
        """Return what of a document is read."""
        window = model_window(self.encoder_config())
        return ReadingPlan(self.reading, self.window_length or window, self.window_overlap, self.max_windows)


class OrdinalThresholds(nn.Module):
    """The thresholds between the classes of a scale; a module, so that peft can train and save them with the head.

    Args:
        classes: How many classes the scale has.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        # The distances between thresholds, before softplus keeps them positive; peft looks for the name "weight".
        self.weight = nn.Parameter(torch.zeros(classes - 1))

    def forward(self) -> torch.Tensor:
        """Return the thresholds `(classes - 1,)` in rising order; the middle classes are likely at the start."""
        steps = nn.functional.softplus(self.weight)
        return steps.cumsum(0) - steps.sum() / 2


class NoteClassifier(HeadedEncoder):
    """An encoder, document pooling and a classification head.

    A document may have several windows: `window_documents` says which document each row belongs to. Without it each row
    is a document, so that `pipeline("text-classification")` and any code for sequence classifiers work.

    Example:
        ```python
        classifier = NoteClassifier.from_encoder("runs/model", ["Cardiology", "Neurology"])
        classifier.predict(texts)  # (documents, classes) probabilities, documents read whole
        ```

    Args:
        config: The configuration.
    """

    config_class = NoteClassifierConfig

    def __init__(self, config: NoteClassifierConfig) -> None:
        super().__init__(config)
        size = self.encoder.config.hidden_size
        self.window_attention = (
            nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))
            if config.window_pooling == "attention"
            else None
        )
        outputs = 1 if config.task == "ordinal" else config.num_labels
        dropout = nn.Dropout(config.head_dropout)
        self.head = (
            nn.Sequential(dropout, nn.Linear(size, size), nn.Tanh(), nn.Dropout(config.head_dropout))
            if config.head == "tanh"
            else nn.Sequential(dropout)
        )
        self.classifier = nn.Linear(size, outputs)
        if config.task == "ordinal":
            self.thresholds = OrdinalThresholds(config.num_labels)
        self.post_init()

    @classmethod
    def from_encoder(cls, name_or_path: str | Path, labels: Sequence[str], **settings: Any) -> NoteClassifier:
        """Put an untrained head on a checkpoint: any encoder, also one that a masked language model was saved with.

        Args:
            name_or_path: Checkpoint folder or Hub id.
            labels: Names of the classes, in order.
            settings: Of `NoteClassifierConfig`. Pooling and window length are those of the checkpoint's
                sentence-transformers files, if it has any.

        Raises:
            InputError: No encoder can be loaded from there, or there are too few classes.
        """
        encoder, tokenizer = load_encoder(name_or_path)
        if len(labels) < 2 and settings.get("task") != "multi_label":
            raise InputError("a classifier needs at least two classes", remedy="or be of the task multi_label")
        found = _sentence_transformers_settings(name_or_path)
        if found:  # sentence-transformers 6 keeps the length with the tokenizer
            length = found.get("window_length", tokenizer.model_max_length)
            found["window_length"] = min(length, model_window(encoder.config))
        settings = found | settings
        config = NoteClassifierConfig(
            encoder=plain_settings(encoder.config),
            id2label=dict(enumerate(labels)),
            label2id={label: number for number, label in enumerate(labels)},
            **settings,
        )
        return cls._on(config, tokenizer, encoder)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        window_documents: torch.Tensor | None = None,
        window_tokens: torch.Tensor | None = None,
        document_embeddings: torch.Tensor | None = None,
        boundary_states: torch.Tensor | None = None,
        return_dict: bool | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput | tuple[torch.Tensor, ...]:
        """Classify documents.

        Args:
            input_ids: `(windows, length)`.
            attention_mask: `(windows, length)`.
            token_type_ids: `(windows, length)`, for encoders that have them.
            labels: `(documents,)` int64, or `(documents, classes)` of 0 and 1; gives the loss.
            window_documents: `(windows,)` the document of each window, from 0; every window its own when not given.
            window_tokens: `(windows,)` the document's own tokens in each window, the weights of a mean over windows.
            document_embeddings: `(documents, hidden)` in place of `input_ids`: the encoder is not run.
            boundary_states: `(windows, length, hidden)` in place of `input_ids`: what the frozen part gives; only the
                rest of the encoder is run (`modeling.frozen_features`).
            return_dict: False gives a tuple.
            kwargs: For the encoder.

        Returns:
            `logits` `(documents, classes)` (log-probabilities for an ordinal task) and, with labels, `loss`.
        """
        if document_embeddings is None:
            if boundary_states is None:
                document_embeddings = self.embed(
                    input_ids, attention_mask, window_documents, window_tokens, token_type_ids, **kwargs
                )
            else:
                # The ids only give their shape, from which the encoder makes its mask.
                input_ids = torch.zeros_like(attention_mask)
                with starting_from(self.encoder, self._depth, boundary_states):
                    document_embeddings = self.embed(input_ids, attention_mask, window_documents, window_tokens)
        logits = self.classify(document_embeddings)
        loss = None
        if labels is not None:
            loss = classification_losses(logits, labels, self.config.task).mean()
        if return_dict is False:
            return (logits,) if loss is None else (loss, logits)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def embed(
        self,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None = None,
        window_documents: torch.Tensor | None = None,
        window_tokens: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return the document embeddings `(documents, hidden)` in float32; arguments as in `forward`."""
        if attention_mask is None:
            attention_mask = torch.ones(input_ids.shape, dtype=torch.int64, device=input_ids.device)
        hidden = self.hidden_states(input_ids, attention_mask, token_type_ids, **kwargs)
        windows = pool(hidden, attention_mask, self.config.pooling)
        if window_documents is None:
            return windows
        tokens = window_tokens if window_tokens is not None else attention_mask.sum(1)
        return self.pool_windows(windows, window_documents, tokens)

    def pool_windows(self, windows: torch.Tensor, window_documents: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Return one embedding a document.

        Args:
            windows: `(windows, hidden)`.
            window_documents: `(windows,)` the document of each window.
            tokens: `(windows,)` tokens of each window, the weights of the mean.
        """
        documents = int(window_documents[-1]) + 1
        with torch.autocast(windows.device.type, enabled=False):
            windows = windows.float()
            if self.window_attention is not None:
                scores = self.window_attention(windows).squeeze(1)
                highest = scores.new_full((documents,), -torch.inf).scatter_reduce(
                    0, window_documents, scores.detach(), "amax"
                )
                weights = (scores - highest[window_documents]).exp()
            else:
                weights = tokens.to(windows.dtype)
            total = weights.new_zeros(documents).index_add(0, window_documents, weights)
            shares = (weights / total[window_documents]).unsqueeze(1)
            return windows.new_zeros(documents, windows.shape[1]).index_add(0, window_documents, windows * shares)

    def classify(self, document_embeddings: torch.Tensor) -> torch.Tensor:
        """Return the logits `(documents, classes)` from the document embeddings `(documents, hidden)`."""
        with torch.autocast(document_embeddings.device.type, enabled=False):
            scores = self.classifier(self.head(document_embeddings.float()))
            if self.config.task != "ordinal":
                return scores
            return ordinal_log_probabilities(scores - self.thresholds())

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the probabilities that belong to the logits, `(documents, classes)`."""
        return logits.float().sigmoid() if self.config.task == "multi_label" else logits.float().softmax(-1)

    def collator(self, tokenizer: PreTrainedTokenizerBase) -> ClassificationCollator:
        """Return the collator that reads documents as this model does."""
        return ClassificationCollator(tokenizer, self.config.reading_plan())

    @torch.inference_mode()
    def predict(
        self, texts: Iterable[str], tokenizer: PreTrainedTokenizerBase | None = None, batch_size: int = 16
    ) -> np.ndarray:
        """Return the probabilities of the classes, `(documents, classes)` float32; documents are read as configured.

        Args:
            texts: The documents.
            tokenizer: That of the checkpoint when not given.
            batch_size: Documents at a time.
        """
        tokenizer = tokenizer or self.tokenizer()
        collate, training = self.collator(tokenizer), self.training
        self.eval()
        parts = []
        features = [{"input_ids": ids} for ids in token_ids(tokenizer, list(texts))]
        order = sorted(range(len(features)), key=lambda place: len(features[place]["input_ids"]))
        for start in range(0, len(order), batch_size):
            batch = collate([features[place] for place in order[start : start + batch_size]])
            logits = self(**{name: tensor.to(self.device) for name, tensor in batch.items()}).logits
            parts.append(self.probabilities(logits).cpu().numpy())
        self.train(training)
        found = np.zeros((len(features), self.config.num_labels), dtype=np.float32)
        if parts:
            found[order] = np.concatenate(parts)
        return found


def _sentence_transformers_settings(name_or_path: str | Path) -> dict[str, Any]:
    """Read pooling and window length from the files of sentence-transformers, as far as they can be told."""
    folder = Path(name_or_path)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        with refuse_unloadable("encoder", name_or_path):
            names = ["modules.json", "*_Pooling/config.json", "*sentence_bert_config.json"]
            folder = Path(snapshot_download(str(name_or_path), allow_patterns=names))
    found: dict[str, Any] = {}
    for file in sorted(folder.glob("*_Pooling/config.json")):
        settings = json.loads(file.read_text(encoding="utf-8"))
        names = {"cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens"}
        # One name for the mode since sentence-transformers 6, a flag for each before.
        mode = settings.get("pooling_mode") or next(
            (mode for mode, name in names.items() if settings.get(name)), "mean"
        )
        found["pooling"] = mode if mode in POOLING_MODES else "mean"
    # With the encoder, which may lie one level down.
    for file in (transformer_folder(folder) / "sentence_bert_config.json", folder / "sentence_bert_config.json"):
        if not file.is_file() or "window_length" in found:
            continue
        length = json.loads(file.read_text(encoding="utf-8")).get("max_seq_length")
        found |= {"window_length": length} if length else {}
    return found


AutoConfig.register(NoteClassifierConfig.model_type, NoteClassifierConfig, exist_ok=True)
AutoModelForSequenceClassification.register(NoteClassifierConfig, NoteClassifier, exist_ok=True)
