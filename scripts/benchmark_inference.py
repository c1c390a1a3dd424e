"""What a model costs in use: latency, documents per second, memory and size, on every backend at hand.

    python scripts/benchmark_inference.py --models frozen=ENCODER tuned=CLASSIFIER lora=ADAPTER --output inference.json

An encoder gets an untrained head of the study's shape, which costs what a trained one does. Times are from text to
probabilities of whole documents, tokenisation included. Each backend runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from column_options import DocumentColumns
from command_line import RecipeParser, run
from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.json_files import write_json
from corpora.records import ReadingOptions
from deployed_models import DeployedCheckpoint
from export_onnx import PACKAGES, cosine, export, synthetic_texts
from launching import usable_processors
from measure_inference import EXPORTED, TORCH
from modeling.exported_model import missing_packages
from named_paths import named_paths

SCHEMA_VERSION = 1
# Classes of an untrained head: the study's teams.
LABELS = [f"class {number}" for number in range(1, 8)]
COLUMNS = ("model", "kind", "backend", "precision", "p50 ms", "p95 ms", "documents/s", "peak MB", "size MB", "cosine")


@dataclass(kw_only=True)
class BenchmarkOptions(DocumentColumns):
    """What is measured, and on which documents."""

    _argument_group_name = "Benchmark"

    models: list[str] = field(
        metadata={"help": "NAME=CHECKPOINT: an encoder, a NoteClassifier, or an adapter of peft (merged and not)."}
    )
    output: str = field(metadata={"help": "JSON file for the figures."})
    backends: list[Literal["torch_fp32", "torch_bf16", "cuda_bf16", "onnx", "onnx_int8", "openvino"]] = field(
        default_factory=lambda: ["torch_fp32", "torch_bf16", "cuda_bf16", "onnx", "openvino"],
        metadata={"help": "Those that are missing are named and skipped."},
    )
    documents: int = field(default=64, metadata={"help": "Number of documents."})
    words: list[int] = field(
        default_factory=lambda: [300], metadata={"help": "Words of the synthetic notes; several lengths take turns."}
    )
    data: list[str] | None = field(
        default=None, metadata={"help": "Own notes in place of synthetic ones, drawn at random; none is written."}
    )
    threads: int | None = field(default=None, metadata={"help": "Threads; all that this process may use by default."})
    batch_size: int = field(default=16, metadata={"help": "Documents in a batch, for documents per second."})
    repeats: int = field(
        default=3,
        metadata={"help": "Passes over the documents, one by one and in batches (the fastest counts)."},
    )
    seed: int = field(default=0, metadata={"help": "Of the documents."})

    def __post_init__(self) -> None:
        for name in ("documents", "threads", "batch_size", "repeats"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name} is below 1")
        if min(self.words) < 1:
            raise ValueError("--words is below 1")
        # The embeddings of float32 are what the others are compared with.
        self.backends = sorted(dict.fromkeys(self.backends), key=lambda name: name != "torch_fp32")


@dataclass
class Subject:
    """A model as one group of rows.

    Args:
        name: As on the command line.
        kind: `encoder + head` or `classifier`, and what of peft is merged, or beside the weights.
        checkpoint: What the process of a torch backend loads.
        size: Bytes of the weights on disk.
    """

    name: str
    kind: str
    checkpoint: str
    size: int


class Benchmark:
    """Runs the backends and keeps their rows.

    Args:
        options: Of the command line.
        texts: The documents.
        folder: For weights and exports, deleted by the caller.
    """

    def __init__(self, options: BenchmarkOptions, texts: list[str], folder: Path) -> None:
        self.options, self.texts, self.folder = options, texts, folder
        self.threads = options.threads or usable_processors()
        self.rows: list[dict[str, Any]] = []
        self.skipped: list[dict[str, str]] = []
        self.refused: dict[Path, str] = {}
        self.failures = 0
        self.missing = {name: reason for name in options.backends if (reason := missing_backend(name))}
        for backend, reason in self.missing.items():
            self._skip(None, backend, reason)

    def run(self, name: str, checkpoint: DeployedCheckpoint) -> None:
        """Measure a model on all backends."""
        from modeling.loading import quiet_loading
        from reporting.system_names import method_name

        place = self.folder / str(len(list(self.folder.iterdir())))
        weights = place / "classifier"
        classifier = checkpoint.load_classifier(LABELS)
        with quiet_loading():
            classifier.save_pretrained(weights)
        classifier.tokenizer().save_pretrained(weights)
        del classifier
        kind = "classifier" if checkpoint.is_classifier() else "encoder + head"
        adapter = method_name(checkpoint.adapter_kind) if checkpoint.adapter is not None else None
        size = _size(weights, "*.safetensors")
        plain = Subject(name, f"{kind}, {adapter} merged" if adapter else kind, str(weights), size)
        reference = place / "reference.npy"
        if "torch_fp32" in self.options.backends:
            self._measure(plain, "torch_fp32", reference)
        elif self._process(plain, "torch_fp32", reference, measure=False) is None:
            self.failures += 1
        if not reference.is_file():
            return
        for backend in self.options.backends:
            if backend in self.missing:
                continue
            if backend in EXPORTED:
                if exported := self._export(plain, backend, place):
                    self._measure(exported, backend, reference)
            elif backend != "torch_fp32":
                self._measure(plain, backend, reference)
            if adapter and backend in TORCH:
                both = size + _size(checkpoint.adapter, "adapter_model.*")
                beside = Subject(name, f"{kind}, {adapter} beside", str(checkpoint.adapter), both)
                self._measure(beside, backend, reference)

    def _export(self, subject: Subject, backend: str, place: Path) -> Subject | None:
        """Export a model, once for ONNX Runtime and OpenVINO; None when the export is refused."""
        quantize = "int8" if backend == "onnx_int8" else None
        folder = place / (quantize or "float32")
        if not folder.is_dir():
            folder.mkdir()
            try:
                export(DeployedCheckpoint(subject.checkpoint), folder, quantize=quantize)
            except InputError as error:
                self.refused[folder] = error.problem
        if folder in self.refused:
            self._skip(subject.name, backend, self.refused[folder])
            return None
        return Subject(subject.name, subject.kind, str(folder), _size(folder, "*.onnx*"))

    def _measure(self, subject: Subject, backend: str, reference: Path) -> None:
        import numpy as np

        file = reference.with_name("embeddings.npy") if reference.is_file() else reference
        print(f"measuring {subject.name} ({subject.kind}): {backend}", file=sys.stderr, flush=True)
        found = self._process(subject, backend, file, measure=True)
        if found is None:
            self.failures += 1
            return
        latency = np.array(found.pop("latency_ms"))
        cosines = cosine(np.load(reference), np.load(file))
        self.rows.append(
            {
                "model": subject.name,
                "kind": subject.kind,
                "backend": backend,
                **found,
                "latency_p50_ms": float(np.percentile(latency, 50)),
                "latency_p95_ms": float(np.percentile(latency, 95)),
                "size_bytes": subject.size,
                "cosine_min": float(cosines.min()),
                "cosine_mean": float(cosines.mean()),
            }
        )

    def _process(self, subject: Subject, backend: str, embeddings: Path, *, measure: bool) -> dict[str, Any] | None:
        """Run a job in a process of its own; None when it ended badly."""
        job = {
            "backend": backend,
            "folder": subject.checkpoint,
            "labels": LABELS,
            "texts": self.texts,
            "threads": self.threads,
            "batch_size": self.options.batch_size,
            "repeats": self.options.repeats,
            "embeddings": str(embeddings),
            "measure": measure,
        }
        count = str(self.threads)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
        script = Path(__file__).with_name("measure_inference.py")
        done = subprocess.run(
            [sys.executable, str(script)],
            input=json.dumps(job),
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **dict.fromkeys(names, count), "TOKENIZERS_PARALLELISM": "true"},
        )
        if done.returncode:
            self._skip(subject.name, backend, f"failed with status {done.returncode}")
            return None
        return json.loads(done.stdout.splitlines()[-1])

    def _skip(self, name: str | None, backend: str, reason: str) -> None:
        self.skipped.append({"model": name, "backend": backend, "reason": reason})
        print(f"skipped {f'{name}, ' if name else ''}{backend}: {reason}", file=sys.stderr)


def missing_backend(backend: str) -> str | None:
    """Say why a backend cannot run here, or return None."""
    if backend in EXPORTED:
        packages = [*PACKAGES, *(["openvino"] if backend == "openvino" else [])]
        if missing := missing_packages(packages):
            extras = "onnx,openvino" if backend == "openvino" else "onnx"
            return f'{", ".join(missing)} not installed; pip install -e ".[{extras}]"'
    if backend == "cuda_bf16":
        import torch

        return None if torch.cuda.is_available() else "there is no GPU"
    return None


def read_texts(options: BenchmarkOptions, reading: ReadingOptions) -> list[str]:
    """Return the documents: synthetic notes, or a sample of the user's own."""
    if options.data is None:
        lengths = tuple(options.words[number % len(options.words)] for number in range(options.documents))
        return synthetic_texts(lengths, options.seed)
    import numpy as np
    from datasets import concatenate_datasets

    from corpora.loading import load_corpus

    corpus = load_corpus(options.data, NoteColumns(options.text_column, options.document_id_column), reading)
    documents = concatenate_datasets([corpus[split].select_columns(["text"]) for split in corpus])
    if len(documents) < options.documents:
        raise InputError(f"holds {len(documents)} documents", file=options.data[0], remedy="lower --documents")
    rows = np.random.default_rng(options.seed).permutation(len(documents))[: options.documents]
    return documents[rows.tolist()]["text"]


def machine(threads: int) -> dict[str, Any]:
    """Describe where the figures are from."""
    import torch

    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    return {
        "processor": facts.get("model name", platform.processor()),
        "bf16_instructions": "_bf16" in facts["flags"] if "flags" in facts else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: _version(name) for name in ("torch", "transformers", "peft", "onnxruntime", "openvino")},
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Lay the rows out in Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|---|---|---|---|{'---:|' * (len(COLUMNS) - 4)}"]
    for row in rows:
        figures = (
            f"{row['latency_p50_ms']:,.1f}",
            f"{row['latency_p95_ms']:,.1f}",
            f"{row['documents_per_second']:,.1f}",
            f"{row['peak_memory_bytes'] / 1e6:,.0f}",
            f"{row['size_bytes'] / 1e6:,.1f}",
            f"{row['cosine_min']:.4f}",
        )
        names = (row["model"], row["kind"], row["backend"], row["precision"])
        lines.append(f"| {' | '.join((*names, *figures))} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure as the command line says; status 1 when a backend that is there failed."""
    options, reading = RecipeParser(
        [BenchmarkOptions, ReadingOptions], description=" ".join(__doc__.split("\n\n")[0].split())
    ).parse(argv)
    checkpoints = {name: DeployedCheckpoint(path) for name, path in named_paths(options.models, "--models").items()}
    output = Path(options.output)
    if output.is_dir():
        raise InputError("the output is a folder", file=output, remedy="name a file")
    texts = read_texts(options, reading)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="notespace-") as folder:
        benchmark = Benchmark(options, texts, Path(folder))
        for name, checkpoint in checkpoints.items():
            benchmark.run(name, checkpoint)
    words = [len(text.split()) for text in texts]
    result = {
        "schema_version": SCHEMA_VERSION,
        "kind": "inference",
        "machine": machine(benchmark.threads),
        "documents": {
            "count": len(texts),
            "source": "synthetic" if options.data is None else "own",
            "words_mean": sum(words) / len(words),
            "words_max": max(words),
        },
        "batch_size": options.batch_size,
        "repeats": options.repeats,
        "rows": benchmark.rows,
        "skipped": benchmark.skipped,
    }
    write_json(output, result)
    documents = result["documents"]
    print(table(benchmark.rows))
    print(
        f"\n{documents['count']} {documents['source']} documents of {documents['words_mean']:,.0f} words on average, "
        f"{benchmark.threads} thread(s), {result['machine']['processor']}"
        + (" without bf16 instructions" if result["machine"]["bf16_instructions"] is False else "")
        + f"; cosine: the least to torch in float32. Figures: {output}"
    )
    return int(benchmark.failures > 0)


def _size(folder: Path, pattern: str) -> int:
    return sum(file.stat().st_size for file in folder.glob(pattern))


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    run(main)
