"""Measures one model on one backend, in a process of its own so that peaks of memory do not mix.

`benchmark_inference.py` starts it: a job comes in as JSON on stdin, so that no note is written anywhere, and the
figures go out as JSON on stdout.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

TORCH, EXPORTED = ("torch_fp32", "torch_bf16", "cuda_bf16"), ("onnx", "onnx_int8", "openvino")
WARM_UP = 4


class Model(Protocol):
    """What is measured."""

    precision: str

    def predict(self, texts: list[str], batch_size: int) -> np.ndarray:
        """Return probabilities `(documents, classes)`: texts in, tokenisation included."""

    def encode(self, texts: list[str], batch_size: int) -> np.ndarray:
        """Return embeddings `(documents, hidden)`."""


class TorchModel:
    """A `NoteClassifier` in float32 or under bfloat16 autocast.

    Args:
        backend: One of `TORCH`.
        checkpoint: Folder of a classifier; or of an adapter of peft, which is left beside the weights.
        labels: Of the untrained head, where an adapter is of an encoder.
        threads: Threads of the computation.
    """

    def __init__(self, backend: str, checkpoint: str, labels: list[str], threads: int) -> None:
        import torch

        from deployed_models import DeployedCheckpoint

        torch.set_num_threads(threads)
        self.device = "cuda" if backend == "cuda_bf16" else "cpu"
        self.precision = "float32" if backend == "torch_fp32" else "bfloat16"
        self.model = DeployedCheckpoint(checkpoint).load_classifier(labels, merge=False).to(self.device)

    def _autocast(self) -> contextlib.AbstractContextManager:
        import torch

        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device, dtype=torch.bfloat16)

    def predict(self, texts: list[str], batch_size: int) -> np.ndarray:
        """See `Model`."""
        with self._autocast():
            return self.model.predict(texts, batch_size=batch_size)

    def encode(self, texts: list[str], batch_size: int) -> np.ndarray:
        """See `Model`."""
        from export_onnx import embeddings_of

        with self._autocast():
            return embeddings_of(self.model, texts, batch_size)


def open_model(job: dict[str, Any]) -> Model:
    """Load what a job names."""
    if job["backend"] in TORCH:
        return TorchModel(job["backend"], job["folder"], job["labels"], job["threads"])
    from modeling.exported_model import ExportedModel

    runtime = "openvino" if job["backend"] == "openvino" else "onnxruntime"
    return ExportedModel(job["folder"], runtime, job["threads"])


def measure(model: Model, texts: list[str], batch_size: int, repeats: int) -> dict[str, Any]:
    """Time single documents and batches.

    Returns:
        `latency_ms`, of each document on its own, `documents * repeats` values; `documents_per_second`, of the fastest
        pass over all documents: other work on the machine only ever adds time.
    """
    for text in texts[:WARM_UP]:
        model.predict([text], batch_size)
    model.predict(texts[: 2 * batch_size], batch_size)
    single = [_seconds(model, [text], batch_size) * 1000 for _ in range(repeats) for text in texts]
    fastest = min(_seconds(model, texts, batch_size) for _ in range(repeats))
    return {"latency_ms": single, "documents_per_second": len(texts) / fastest}


def _seconds(model: Model, texts: list[str], batch_size: int) -> float:
    started = time.perf_counter()
    model.predict(texts, batch_size)
    return time.perf_counter() - started


def peak_memory() -> int:
    """Return the largest resident size of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage, whose maximum on Linux is handed down from the process that started this one.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        if "VmHWM" in lines:
            return int(lines["VmHWM"].split()[0]) * 1024
    if sys.platform == "win32":
        import psutil

        return psutil.Process().memory_info().peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def do(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job: load, time, and store the embeddings.

    Args:
        job: `backend`, `folder`, `labels`, `texts`, `threads`, `batch_size`, `repeats`, `embeddings` (file to write)
            and `measure`; without the last, the embeddings are all that is asked for.
    """
    import numpy as np

    started = time.perf_counter()
    model = open_model(job)
    found: dict[str, Any] = {"precision": model.precision, "load_seconds": time.perf_counter() - started}
    if job["measure"]:
        found |= measure(model, job["texts"], job["batch_size"], job["repeats"])
        found["peak_memory_bytes"] = peak_memory()
        if job["backend"] == "cuda_bf16":
            import torch

            found["peak_gpu_memory_bytes"] = torch.cuda.max_memory_allocated()
    np.save(job["embeddings"], model.encode(job["texts"], job["batch_size"]))
    return found


if __name__ == "__main__":
    print(json.dumps(do(json.load(sys.stdin))))
