"""What `scripts/export_onnx.py` wrote, run by ONNX Runtime or OpenVINO; torch and transformers are not needed."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from corpora.errors import InputError
from modeling.document_windows import Window, batches_by_length, cut_windows

if TYPE_CHECKING:
    from types import ModuleType

Runtime = Literal["onnxruntime", "openvino"]
# Inputs by name and the outputs wanted, to those outputs.
Graph = Callable[[dict[str, np.ndarray], Sequence[str]], list[np.ndarray]]

MODEL_FILE, HEAD_FILE, DESCRIPTION = "model.onnx", "head.onnx", "onnx_export.json"
SCHEMA_VERSION = 1


class ExportedModel:
    """Reads documents whole, as the checkpoint did that was exported.

    A longer document is cut into windows of token ids; its embedding is the mean of theirs, weighted by tokens or by
    the model's attention over windows. A classifier's head reads the embedding of the document.

    Example:
        ```python
        model = ExportedModel("runs/model-onnx")
        model.encode(texts)  # (documents, hidden)
        ```

    Args:
        folder: Folder of the export.
        runtime: `onnxruntime` or `openvino`, both on the CPU.
        threads: Threads of the computation; the runtime's choice when not given.

    Raises:
        InputError: The folder is not an export, is of a later version, or the runtime is not installed.
    """

    def __init__(self, folder: str | Path, runtime: Runtime = "onnxruntime", threads: int | None = None) -> None:
        from tokenizers import Tokenizer

        folder = Path(folder)
        self.description = _read_description(folder)
        self.runtime = runtime
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        open_graph = _open_with_openvino if runtime == "openvino" else _open_with_onnxruntime
        self._graph, precision = open_graph(folder / MODEL_FILE, threads)
        self.precision = precision or self.description["quantization"] or self.description["dtype"]
        self._head = open_graph(folder / HEAD_FILE, threads)[0] if self.is_classifier else None
        tokens, windows = self.description["tokens"], self.description["windows"]
        self._prefix, self._suffix, self._prompt = tokens["prefix"], tokens["suffix"], tokens["prompt"]
        self._room = windows["length"] - len(self._prefix) - len(self._suffix)

    @property
    def is_classifier(self) -> bool:
        """Whether there is a head."""
        return self.description["kind"] == "classifier"

    @property
    def embedding_size(self) -> int:
        """Length of an embedding."""
        return self.description["outputs"]["sentence_embedding"]["shape"][1]

    def encode(self, texts: Iterable[str], batch_size: int = 32) -> np.ndarray:
        """Embed documents.

        Args:
            texts: The documents.
            batch_size: Windows of full length in a batch; more, when they are shorter.

        Returns:
            `(documents, hidden)` float32, in the order given.
        """
        texts = [self._clean(text) for text in texts]
        by_attention = self.description["windows"]["pooling"] == "attention"
        outputs = ["sentence_embedding", "window_score"] if by_attention else ["sentence_embedding"]
        windows = [window for number, ids in enumerate(self._token_ids(texts)) for window in self._windows(number, ids)]
        rows = np.zeros((len(windows), self.embedding_size), dtype=np.float32)
        weights = np.array([window.weight for window in windows], dtype=np.float64)
        places = {id(window): place for place, window in enumerate(windows)}
        for batch in batches_by_length(windows, batch_size * self._room):
            found = self._graph(self._feeds(batch), outputs)
            chosen = [places[id(window)] for window in batch]
            rows[chosen] = found[0]
            if by_attention:
                weights[chosen] = found[1]
        documents = np.array([window.document for window in windows], dtype=np.int64)
        if by_attention:
            highest = np.full(len(texts), -np.inf)
            np.maximum.at(highest, documents, weights)
            weights = np.exp(weights - highest[documents])
        return self._pool(rows, documents, weights, len(texts))

    def predict(self, texts: Iterable[str], batch_size: int = 32) -> np.ndarray:
        """Return the probabilities of the classes, `(documents, classes)` float32.

        Args:
            texts: The documents.
            batch_size: As of `encode`.

        Raises:
            InputError: What was exported has no head.
        """
        if self._head is None:
            raise InputError("the export is an encoder and has no head", remedy="use encode, or export a classifier")
        embeddings = self.encode(texts, batch_size)
        if not len(embeddings):
            return np.zeros((0, len(self.description["labels"])), dtype=np.float32)
        logits = self._head({"sentence_embedding": embeddings}, ["logits"])[0]
        if self.description["task"] == "multi_label":
            return 1 / (1 + np.exp(-logits))
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def _clean(self, text: str) -> str:
        rules = self.description["text"]
        text = rules["prompt"] + text
        text = text.strip() if rules["strip"] else text
        return text.lower() if rules["lower_case"] else text

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def _windows(self, document: int, ids: list[int]) -> list[Window]:
        """Cut a document into windows: `collators.reading.read_document`, without the torch that room imports."""
        plan = self.description["windows"]
        if plan["reading"] == "head_tail" and len(ids) > self._room:
            head = self._room // 4
            ids = ids[:head] + ids[len(ids) - (self._room - head) :]
        windows = cut_windows(document, ids, self._room, plan["overlap"], self._prompt)
        if plan["reading"] == "head":
            return windows[:1]
        if plan["max_windows"] is not None and len(windows) > plan["max_windows"]:
            kept = np.linspace(0, len(windows) - 1, plan["max_windows"]).round().astype(int)
            windows = [windows[place] for place in kept.tolist()]
        return windows

    def _feeds(self, batch: Sequence[Window]) -> dict[str, np.ndarray]:
        rows = [[*self._prefix, *window.ids, *self._suffix] for window in batch]
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(max(1, lengths.max())) < lengths[:, None]
        padded = np.full(mask.shape, self.description["tokens"]["pad"], dtype=np.int64)
        padded[mask] = np.concatenate(rows)
        return {"input_ids": padded, "attention_mask": mask.astype(np.int64)}

    def _pool(self, rows: np.ndarray, documents: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
        sums, totals = np.zeros((count, rows.shape[1])), np.zeros(count)
        np.add.at(sums, documents, rows * weights[:, None])
        np.add.at(totals, documents, weights)
        embeddings = sums / totals[:, None]
        if self.description["normalized"]:
            embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
        return embeddings.astype(np.float32)


def missing_packages(names: Iterable[str]) -> list[str]:
    """Return those packages that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def _read_description(folder: Path) -> dict[str, Any]:
    file = folder / DESCRIPTION
    if not file.is_file():
        raise InputError("is not an export", file=folder, remedy="give the output folder of export_onnx.py")
    try:
        description = json.loads(file.read_text(encoding="utf-8"))
        version = description["schema_version"]
    except (ValueError, LookupError, TypeError) as error:
        raise InputError("is not the description of an export", file=file, remedy="export again") from error
    if version != SCHEMA_VERSION:
        raise InputError(f"is of version {version}, not {SCHEMA_VERSION}", file=file, remedy="export again")
    return description


def _open_with_onnxruntime(file: Path, threads: int | None) -> tuple[Graph, None]:
    onnxruntime = _runtime("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return (lambda feeds, outputs: session.run(list(outputs), feeds)), None  # computes in the types of the graph


def _open_with_openvino(file: Path, threads: int | None) -> tuple[Graph, str]:
    # OpenVINO reports its import to Google Analytics, unless this package cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)
    openvino = _runtime("openvino", "openvino")
    settings = {"PERFORMANCE_HINT": "LATENCY"} | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
    compiled = openvino.Core().compile_model(file, "CPU", settings)
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()

    def run(feeds: dict[str, np.ndarray], outputs: Sequence[str]) -> list[np.ndarray]:
        found = compiled(feeds)
        return [found[name] for name in outputs]

    return run, {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}.get(precision, precision)


def _runtime(name: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"{name} is not installed", remedy=f'pip install -e ".[{extra}]"') from error
