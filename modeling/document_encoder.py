"""Documents of any length to embeddings, with any checkpoint that sentence-transformers loads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from corpora.errors import InputError
from modeling.checkpoint_folder import check_checkpoint
from modeling.document_windows import Window, batches_by_length, cut_windows
from modeling.freed_memory import release_freed_memory
from modeling.loading import quiet_loading, refuse_unloadable

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Precision = Literal["float32", "bfloat16", "float16"]
DEFAULT_OVERLAP = 0
RELEASED_AFTER = 1024  # documents; it takes a hundredth of a second


class DocumentEncoder:
    """Reads documents whole, in windows of the model's length.

    A document that fits into the model is embedded exactly as `SentenceTransformer.encode` does. A longer one is cut
    into windows of token ids; its embedding is the mean of theirs, weighted by their number of tokens, so that a short
    last window counts for little. Where the model ends in a normalisation, the mean is normalised as well.

    Documents are tokenised once. Windows are sorted by length within a bounded number of documents, and batches hold
    about equally many tokens rather than equally many windows.

    Args:
        model: A text encoder.
        max_length: Tokens in a window, special tokens included; the model's own limit by default.
        window_overlap: Tokens that a window shares with the one before.
        windows: `average` reads the whole document, `first` its first window only.
        precision: `bfloat16` or `float16` compute under autocast; None and `float32` in the weights' own type.
        unpadded: Read real tokens only where the encoder's family is known (`modeling.unpadded`).

    Raises:
        InputError: The checkpoint is not a text encoder with a tokenizer, or the lengths do not fit it.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        max_length: int | None = None,
        window_overlap: int = DEFAULT_OVERLAP,
        windows: Literal["average", "first"] = "average",
        precision: Precision | None = None,
        unpadded: bool = True,
    ) -> None:
        from transformers import PreTrainedTokenizerBase

        from collators.special_tokens import special_token_affixes
        from modeling.unpadded import run_unpadded

        self.model = model.eval()
        self.windows = windows
        self.precision = precision
        self.tokenizer = model.tokenizer
        if not isinstance(self.tokenizer, PreTrainedTokenizerBase):
            raise InputError("the checkpoint is not a transformer with a tokenizer of its own")
        self.max_length = _window_length(model, max_length)
        self.prefix, self.suffix = special_token_affixes(self.tokenizer)
        self.prompt = model.prompts.get(model.default_prompt_name) if model.default_prompt_name else None
        self._clean = _text_cleaning(model)
        self._prompt_ids = self._tokenize([self.prompt])[0] if self.prompt else []
        self.room = self.max_length - len(self.prefix) - len(self.suffix)
        self.window_overlap = window_overlap
        if window_overlap < 0 or window_overlap >= self.room - len(self._prompt_ids):
            raise InputError(
                f"a window overlap of {window_overlap} does not fit windows of {self.max_length} tokens",
                remedy="give a smaller --window_overlap or a larger --max_length",
            )
        # Without special tokens an empty text is a row without tokens, which only the padded way knows.
        if unpadded and (self.prefix or self.suffix) and _is_plain_transformer(model[0]):
            run_unpadded(model[0].auto_model)
        self._normalizes = type(model[-1]).__name__ == "Normalize"
        self._since_release = 0

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        device: str | None = None,
        dtype: Precision | None = None,
        max_length: int | None = None,
        window_overlap: int = DEFAULT_OVERLAP,
        windows: Literal["average", "first"] = "average",
        unpadded: bool = True,
    ) -> DocumentEncoder:
        """Load a checkpoint folder or a Hub id.

        A folder without sentence-transformers files is a plain encoder: its last hidden states are averaged.

        Args:
            folder: Checkpoint folder, or Hub id.
            device: `cpu`, `cuda`, `cuda:1` ...; a GPU if there is one by default.
            dtype: None keeps the type of the saved weights, as `SentenceTransformer` does; `float32` converts them;
                `bfloat16` and `float16` compute under autocast.
            max_length: See the class.
            window_overlap: See the class.
            windows: See the class.
            unpadded: See the class.

        Raises:
            InputError: There is no such checkpoint, or it cannot be loaded.
        """
        local = check_checkpoint(folder)
        from sentence_transformers import SentenceTransformer

        with refuse_unloadable("encoder", folder), quiet_loading():
            model = SentenceTransformer(str(folder), device=device, local_files_only=local is not None)
        if dtype == "float32":
            model = model.float()
        return cls(
            model,
            max_length=max_length,
            window_overlap=window_overlap,
            windows=windows,
            precision=dtype,
            unpadded=unpadded,
        )

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        # Renamed in sentence-transformers 6; the older name still works there, with a warning.
        name = "get_embedding_dimension"
        return getattr(self.model, name if hasattr(self.model, name) else "get_sentence_embedding_dimension")()

    def encode(
        self, texts: Iterable[str], batch_size: int = 32, *, buffer_size: int = 1024, show_progress_bar: bool = False
    ) -> np.ndarray:
        """Embed documents.

        Args:
            texts: The documents; any iterable.
            batch_size: Windows of full length in a batch; more, when they are shorter.
            buffer_size: Documents whose windows are sorted together. It bounds the memory beside the result.
            show_progress_bar: Show the number of documents done on stderr.

        Returns:
            `(documents, hidden)` float32, in the order given.
        """
        from tqdm.auto import tqdm

        total = len(texts) if hasattr(texts, "__len__") else None
        parts = []
        with tqdm(total=total, unit=" documents", desc="encoding", disable=not show_progress_bar) as bar:
            for part in self.stream(texts, batch_size, buffer_size=buffer_size):
                parts.append(part)
                bar.update(len(part))
        return np.concatenate(parts) if parts else np.zeros((0, self.embedding_size), dtype=np.float32)

    def stream(self, texts: Iterable[str], batch_size: int = 32, *, buffer_size: int = 1024) -> Iterator[np.ndarray]:
        """Embed documents that need not fit into memory.

        Args:
            texts: The documents.
            batch_size: See `encode`.
            buffer_size: See `encode`.

        Yields:
            `(at most buffer_size, hidden)` float32 embeddings of the next documents, in the order given.
        """
        if batch_size < 1 or buffer_size < 1:
            raise ValueError("batch_size and buffer_size must be at least 1")
        remaining = iter(texts)
        while buffer := list(islice(remaining, buffer_size)):
            yield self._encode_buffer(buffer, batch_size)

    def _encode_buffer(self, texts: Sequence[str], batch_size: int) -> np.ndarray:
        windows: list[Window] = []
        for position, ids in enumerate(self._tokenize([(self.prompt or "") + text for text in texts])):
            cut = cut_windows(position, ids, self.room, self.window_overlap, self._prompt_ids)
            windows += cut[:1] if self.windows == "first" else cut
        sums = np.zeros((len(texts), self.embedding_size))
        weights = np.zeros(len(texts))
        for batch in batches_by_length(windows, batch_size * self.room):
            rows = self._embed(batch)
            for window, row in zip(batch, rows, strict=True):
                # In float64 the product and quotient are exact: a document of one window keeps the model's own bits.
                sums[window.document] += row.astype(np.float64) * window.weight
                weights[window.document] += window.weight
        embeddings = sums / weights[:, None]
        if not np.isfinite(embeddings).all():
            raise InputError(
                "the model gives embeddings that are not finite",
                remedy="its training may have diverged; otherwise try float32",
            )
        self._since_release += len(texts)
        if self._since_release >= RELEASED_AFTER:
            release_freed_memory()
            self._since_release = 0
        counts = np.bincount([window.document for window in windows], minlength=len(texts))
        if self._normalizes and (several := counts > 1).any():
            lengths = np.linalg.norm(embeddings[several], axis=1, keepdims=True)
            embeddings[several] /= np.maximum(lengths, 1e-12)
        return embeddings.astype(np.float32)

    def _embed(self, batch: Sequence[Window]) -> np.ndarray:
        """Run one batch through all modules; `(windows, hidden)` float32."""
        import torch

        from collators.padding import pad_rows

        rows = [np.asarray([*self.prefix, *window.ids, *self.suffix], dtype=np.int64) for window in batch]
        input_ids, attention_mask = pad_rows(rows, self.tokenizer.pad_token_id or 0)
        device = self.model.device
        features: dict[str, Any] = {"input_ids": input_ids.to(device), "attention_mask": attention_mask.to(device)}
        if self._prompt_ids:  # some poolings leave the prompt out
            features["prompt_length"] = len(self.prefix) + len(self._prompt_ids)
        with torch.inference_mode(), self._autocast(device.type):
            return self._modules(features)["sentence_embedding"].float().cpu().numpy()

    def _modules(self, features: dict[str, Any]) -> dict[str, Any]:
        """Pass a padded batch through the model; without its padding through the encoder, which is the first module."""
        from modeling.unpadded import is_unpadded, unpadded_hidden_states

        if not (_is_plain_transformer(self.model[0]) and is_unpadded(self.model[0].auto_model)):
            return self.model(features)
        features["token_embeddings"] = unpadded_hidden_states(
            self.model[0].auto_model, features["input_ids"], features["attention_mask"]
        )
        for module in list(self.model)[1:]:
            features = module(features)
        return features

    def _autocast(self, device: str) -> AbstractContextManager:
        import torch

        if self.precision in ("bfloat16", "float16"):
            return torch.autocast(device, dtype=getattr(torch, self.precision))
        return nullcontext()

    def _tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        from collators.special_tokens import token_ids

        return token_ids(self.tokenizer, [self._clean(text) for text in texts])


def _is_plain_transformer(module: Any) -> bool:
    """Say whether a module is what sentence-transformers wraps an encoder in, not a router or one of its own kind."""
    return type(module).__name__ == "Transformer" and hasattr(module, "auto_model")


def _window_length(model: SentenceTransformer, asked: int | None) -> int:
    from modeling.window import model_window

    config = getattr(model[0], "config", None) or model[0].auto_model.config
    table = model_window(config)
    if asked is None:
        return min(model.max_seq_length or table, table)
    if asked > table:
        raise InputError(
            f"--max_length {asked} is above the model's window of {table} tokens", remedy=f"give {table} or less"
        )
    if asked < 8:
        raise InputError(f"--max_length {asked} is too short to read anything", remedy="give 8 or more")
    return asked


def _text_cleaning(model: SentenceTransformer) -> Callable[[str], str]:
    """Find what the model does to a text before its tokenizer sees it.

    Versions before 6 strip texts and may lower-case them outside the tokenizer. Rather than know each version, compare
    the ids that the model itself gets from a probe.
    """
    probe = "\n A b \n"
    prepare = model.preprocess if hasattr(model, "preprocess") else model.tokenize
    expected = prepare([probe])["input_ids"][0].tolist()
    candidates: tuple[Callable[[str], str], ...] = (str, str.strip, lambda text: text.strip().lower())
    return next((clean for clean in candidates if model.tokenizer(clean(probe))["input_ids"] == expected), str)
