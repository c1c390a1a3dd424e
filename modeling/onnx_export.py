"""A checkpoint as ONNX graphs: token ids in, document embedding out; for classifiers the logits as well.

Needs the extra `onnx`. What it writes is read by `modeling.exported_model`, without torch.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from collators.special_tokens import special_token_affixes
from corpora.errors import InputError
from modeling.document_encoder import DocumentEncoder
from modeling.exported_model import DESCRIPTION, HEAD_FILE, MODEL_FILE, SCHEMA_VERSION
from modeling.note_classifier import NoteClassifier

INPUTS = ("input_ids", "attention_mask")
# The name that sentence-transformers and optimum give it; "embedding" is taken by torch's own lookup of token ids.
EMBEDDING, LOGITS, WINDOW_SCORE = "sentence_embedding", "logits", "window_score"
# A file of ONNX (protobuf) ends at 2 GB; beyond this the weights go into a file beside it.
LARGEST_SINGLE_FILE = 1_500_000_000


def export_model(
    model: DocumentEncoder | NoteClassifier, folder: Path, dtype: str = "float32", quantize: str | None = None
) -> dict[str, Any]:
    """Write the graphs, the tokenizer and `onnx_export.json`.

    `model.onnx` takes `input_ids` and `attention_mask`, both `(batch, length)` int64, and gives `sentence_embedding`
    `(batch, hidden)` float32. Of a classifier each row is a window: there are also `logits` `(batch, classes)` for
    documents of one window and, where windows are pooled by attention, `window_score` `(batch,)`. `head.onnx` takes
    the embedding of a document of several windows and gives its `logits`.

    Args:
        model: On the CPU, with weights in float32.
        folder: An empty folder.
        dtype: `float32`, or `float16` for weights of half the size.
        quantize: `int8`: weights of most linear layers, activations quantised on the fly (dynamic).

    Returns:
        What `onnx_export.json` holds. It is not written yet: the caller adds what it knows, and calls
        `write_description`.

    Raises:
        InputError: The encoder cannot be expressed as a graph, or has a tokenizer of its own kind.
    """
    classifier = isinstance(model, NoteClassifier)
    tokenizer = model.tokenizer() if classifier else model.tokenizer
    if not tokenizer.is_fast:
        raise InputError(f"a {type(tokenizer).__name__} has no tokenizer.json", remedy="export with a fast tokenizer")
    graph = _ClassifierGraph(model) if classifier else _EncoderGraph(model)
    if _is_large(graph) and (quantize or dtype != "float32"):
        raise InputError("the model is too large to be turned into another type", remedy="export it in float32")
    rows = torch.full((2, 16), tokenizer.pad_token_id or 0)
    rows[:, :8] = torch.arange(8) + 5  # any ids will do; the second row is shorter
    mask = torch.ones_like(rows)
    mask[1, 8:] = 0
    sizes = _write_graph(graph, (rows, mask), INPUTS, graph.outputs, folder / MODEL_FILE)
    if not _is_large(graph):
        _convert(folder / MODEL_FILE, dtype, quantize)
    if classifier:
        embedding = torch.zeros(2, model.config.encoder_config().hidden_size)
        _write_graph(_HeadGraph(model), (embedding,), (EMBEDDING,), (LOGITS,), folder / HEAD_FILE)
    tokenizer.save_pretrained(folder)
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "classifier" if classifier else "encoder",
        "inputs": {name: {"shape": ["batch", "length"], "type": "int64"} for name in INPUTS},
        "outputs": {name: {"shape": ["batch", *size], "type": "float32"} for name, size in sizes.items()},
        "dtype": dtype,
        "quantization": quantize,
        **(_classifier_reading(model) if classifier else _encoder_reading(model)),
    }


def write_description(folder: Path, description: dict[str, Any]) -> None:
    """Write `onnx_export.json`."""
    text = json.dumps(description, indent=2, ensure_ascii=False)
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


class _EncoderGraph(nn.Module):
    """All modules of a sentence-transformers model: encoder, pooling and what follows them."""

    outputs = (EMBEDDING,)

    def __init__(self, encoder: DocumentEncoder) -> None:
        super().__init__()
        self.model = encoder.model
        if encoder.prompt and not all(getattr(module, "include_prompt", True) for module in encoder.model):
            raise InputError("the checkpoint's pooling leaves its prompt out, which the graph cannot")

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.model({"input_ids": input_ids, "attention_mask": attention_mask})
        return (features[EMBEDDING].float(),)


class _ClassifierGraph(nn.Module):
    """A classifier on single windows."""

    def __init__(self, model: NoteClassifier) -> None:
        super().__init__()
        self.model = model
        self.outputs = (EMBEDDING, LOGITS) if model.window_attention is None else (EMBEDDING, LOGITS, WINDOW_SCORE)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        embedding = self.model.embed(input_ids, attention_mask)
        found = (embedding, self.model.classify(embedding))
        if self.model.window_attention is None:
            return found
        return (*found, self.model.window_attention(embedding).squeeze(1))


class _HeadGraph(nn.Module):
    """A classifier's head on document embeddings."""

    def __init__(self, model: NoteClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, sentence_embedding: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.model.classify(sentence_embedding),)


def _encoder_reading(encoder: DocumentEncoder) -> dict[str, Any]:
    probe = encoder._clean(" A ")
    pooling = [module for module in encoder.model if type(module).__name__ == "Pooling"]
    mode = getattr(pooling[0], "pooling_mode", None) if pooling else None
    return {
        "pooling": mode if isinstance(mode, str) or mode is None else "+".join(mode),
        "modules": [type(module).__name__ for module in encoder.model],
        "normalized": type(encoder.model[-1]).__name__ == "Normalize",
        "windows": {
            "reading": "windows" if encoder.windows == "average" else "head",
            "length": encoder.max_length,
            "overlap": encoder.window_overlap,
            "max_windows": None,
            "pooling": "mean",
        },
        "tokens": _tokens(encoder.tokenizer, encoder._prompt_ids),
        "text": {"prompt": encoder.prompt or "", "strip": probe == probe.strip(), "lower_case": "a" in probe},
    }


def _classifier_reading(model: NoteClassifier) -> dict[str, Any]:
    config, plan = model.config, model.config.reading_plan()
    return {
        "pooling": config.pooling,
        "normalized": False,
        "windows": {
            "reading": plan.reading,
            "length": plan.length,
            "overlap": plan.overlap,
            "max_windows": plan.max_windows,
            "pooling": config.window_pooling,
        },
        "tokens": _tokens(model.tokenizer(), []),
        "text": {"prompt": "", "strip": False, "lower_case": False},
        "task": config.task,
        "labels": [config.id2label[number] for number in range(config.num_labels)],
    }


def _tokens(tokenizer: Any, prompt: Sequence[int]) -> dict[str, Any]:
    prefix, suffix = special_token_affixes(tokenizer)
    return {"prefix": prefix, "suffix": suffix, "prompt": list(prompt), "pad": tokenizer.pad_token_id or 0}


def _write_graph(
    module: nn.Module, example: tuple[torch.Tensor, ...], inputs: Sequence[str], outputs: Sequence[str], file: Path
) -> dict[str, list[int]]:
    """Export a module whose inputs may have any batch size and length; return the outputs' further sizes."""
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    shapes = tuple({0: batch, 1: length} if part.dtype == torch.int64 else {0: batch} for part in example)
    module.eval()
    try:
        with _quietly(), torch.no_grad():
            found = module(*example)
            torch.onnx.export(
                module,
                example,
                str(file),
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=shapes,
                external_data=_is_large(module),
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise InputError(
            f"a {type(module.model).__name__} of this kind cannot be exported as an ONNX graph "
            f"({type(error.__cause__ or error).__name__})",
            remedy="use it with torch",
        ) from error
    return {name: list(part.shape[1:]) for name, part in zip(outputs, found, strict=True)}


def _is_large(module: nn.Module) -> bool:
    tensors = {*module.parameters(), *module.buffers()}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) > LARGEST_SINGLE_FILE


def _convert(file: Path, dtype: str, quantize: str | None) -> None:
    """Turn the weights of a graph in one file to float16 or int8; leave the others as they are.

    int8: token embeddings, and linear layers with a scale for each output channel; with one for a whole matrix the
    cosine to the original falls far below 0.99. Layers that narrow stay in float32, because they read the activations
    with the worst outliers (Bondarenko et al. 2021, section 4), and so does the head. 7 of the 8 bits are used:
    products of the full range overflow on processors without VNNI, so that a graph that passes the check on one machine
    would be wrong on another.
    """
    import onnx

    graph = onnx.load(file)
    # The exporter gives two values of different shapes one name, and shape inference stops at the contradiction.
    del graph.graph.value_info[:]
    if quantize == "int8":
        from onnxruntime.quantization import QuantType, quantize_dynamic

        onnx.save(graph, file)
        sizes = {weight.name: list(weight.dims) for weight in graph.graph.initializer}
        weights = {node.name: sizes.get(node.input[1]) for node in graph.graph.node if node.op_type == "MatMul"}
        converted = file.with_name("int8.onnx")
        with _quietly():
            quantize_dynamic(
                file,
                converted,
                op_types_to_quantize=["MatMul", "Gather"],
                nodes_to_exclude=[name for name, size in weights.items() if size and size[0] > size[-1]],
                per_channel=True,
                reduce_range=True,
                weight_type=QuantType.QInt8,
            )
        converted.replace(file)
        return
    if dtype == "float16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        with _quietly():
            graph = convert_float_to_float16(graph, keep_io_types=True)
    onnx.save(graph, file)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what the exporter and the converters say of themselves on stderr."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(disabled)
