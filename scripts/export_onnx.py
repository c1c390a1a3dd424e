"""Export a checkpoint for ONNX Runtime and OpenVINO: `python scripts/export_onnx.py CHECKPOINT --output FOLDER`.

The folder holds `model.onnx` (document embedding; logits of a classifier), `head.onnx` of a classifier for documents of
several windows, the tokenizer and `onnx_export.json`. `modeling.exported_model.ExportedModel` reads it without torch.
Nothing is written unless the embeddings equal the original's.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from command_line import RecipeParser, run
from corpora.demo import DemoOptions, generate_notes
from corpora.errors import InputError
from deployed_models import DeployedCheckpoint
from modeling.exported_model import DESCRIPTION, ExportedModel, missing_packages

if TYPE_CHECKING:
    import numpy as np

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
# Least cosine to the original's embeddings, and most difference of a probability.
BOUNDS = {"float32": (0.9999, 1e-3), "float16": (0.9999, 1e-2), "int8": (0.99, None)}
# Words of the documents compared; a few would not do: int8 of one model gave 0.99 or more on 8 of them, 0.98 on others.
LENGTHS = (1, 3, 8, 20, 50, 80, 120, 250) * 4


@dataclass(kw_only=True)
class ExportOptions:
    """What to export, and how."""

    _argument_group_name = "Export"

    checkpoint: str = field(
        metadata={
            "positional": True,
            "help": "Folder or Hub id of an encoder, of a NoteClassifier, or of an adapter of peft (merged).",
        }
    )
    output: str = field(metadata={"help": "Folder to write."})
    dtype: Literal["float32", "float16"] = field(
        default="float32", metadata={"help": "Of the weights; float16 halves the size, and is for GPUs."}
    )
    quantize: Literal["int8"] | None = field(
        default=None,
        metadata={"help": "int8 weights of linear layers; refused when the cosine to the original is below 0.99."},
    )
    overwrite: bool = field(default=False, metadata={"help": "Replace an earlier export."})

    def __post_init__(self) -> None:
        if self.quantize and self.dtype != "float32":
            raise ValueError(f"--quantize {self.quantize} and --dtype {self.dtype} exclude each other")


def main(argv: list[str] | None = None) -> None:
    """Export as the command line says."""
    (options,) = RecipeParser([ExportOptions], description=" ".join(__doc__.split("\n\n")[0].split())).parse(argv)
    check_packages()
    checkpoint = DeployedCheckpoint(options.checkpoint)
    with whole_or_absent(Path(options.output), overwrite=options.overwrite) as folder:
        description = export(checkpoint, folder, options.dtype, options.quantize)
    check = description["check"]
    size = sum(file.stat().st_size for file in Path(options.output).glob("*.onnx*")) / 1e6
    print(f"{options.output}: {description['kind']}, {description['quantization'] or options.dtype}, {size:,.1f} MB")
    print(
        f"cosine to the original on {check['documents']} synthetic documents of 1 to {check['words']} words: "
        f"least {check['cosine_min']:.6f} (different documents: {check['cosine_between_documents']:.2f})"
    )


def check_packages() -> None:
    """Raise an InputError that names the extra when a package is missing."""
    if missing := missing_packages(PACKAGES):
        raise InputError(f"exporting needs {', '.join(missing)}", remedy='pip install -e ".[onnx]"')


def export(
    checkpoint: DeployedCheckpoint, folder: Path, dtype: str = "float32", quantize: str | None = None
) -> dict[str, Any]:
    """Write an export into an empty folder and compare it with the original.

    Args:
        checkpoint: The original.
        folder: Where to.
        dtype: `float32` or `float16`.
        quantize: `int8` or None.

    Returns:
        What `onnx_export.json` holds.

    Raises:
        InputError: The checkpoint cannot be exported, or its export differs from it.
    """
    from modeling.onnx_export import export_model, write_description

    classifier = checkpoint.is_classifier()
    model = checkpoint.load_classifier([]) if classifier else checkpoint.load_encoder()
    description = export_model(model, folder, dtype, quantize)
    description["source_digest"] = checkpoint.digest()
    description["versions"] = {name: version(name) for name in (*PACKAGES, "torch", "transformers")}
    write_description(folder, description)
    description["check"] = compare(model, ExportedModel(folder), quantize or dtype)
    write_description(folder, description)
    return description


def compare(model: Any, exported: ExportedModel, kind: str) -> dict[str, Any]:
    """Compare an export with the original on synthetic documents, the last one longer than the model's window.

    Args:
        model: The original.
        exported: Its export.
        kind: `float32`, `float16` or `int8`: what bounds hold.

    Returns:
        Counts and measures, for `onnx_export.json`.

    Raises:
        InputError: The embeddings or the probabilities lie further apart than allowed.
    """
    import numpy as np

    least, most = BOUNDS[kind]
    texts = synthetic_texts((*LENGTHS, exported.description["windows"]["length"] * 3 // 2))
    expected = embeddings_of(model, texts)
    # Padded in batches, and alone.
    found = [exported.encode(texts), np.concatenate([exported.encode([text]) for text in texts])]
    cosines = np.concatenate([cosine(expected, each) for each in found])
    others = cosine(expected, np.roll(expected, 1, axis=0))
    check = {
        "documents": len(texts),
        "words": max(len(text.split()) for text in texts),
        "cosine_min": float(cosines.min()),
        "cosine_mean": float(cosines.mean()),
        "cosine_bound": least,
        "cosine_between_documents": float(others.mean()),
    }
    if not cosines.min() >= least:  # also when it is no number
        raise InputError(
            f"the {kind} export differs from the checkpoint: least cosine {cosines.min():.4f}, below {least}",
            remedy="leave out --quantize" if kind == "int8" else "use the checkpoint with torch",
        )
    if exported.is_classifier:
        difference = float(np.abs(exported.predict(texts) - model.predict(texts)).max())
        check["probability_difference_max"] = difference
        if most is not None and not difference <= most:
            raise InputError(
                f"the {kind} export differs from the checkpoint: a probability by {difference:.4f}, above {most}",
                remedy="use the checkpoint with torch",
            )
    return check


def embeddings_of(model: Any, texts: list[str], batch_size: int = 16) -> np.ndarray:
    """Return the document embeddings `(documents, hidden)` of an encoder or a classifier."""
    from modeling.document_encoder import DocumentEncoder

    if isinstance(model, DocumentEncoder):
        return model.encode(texts, batch_size)
    from collators.special_tokens import token_ids
    from modeling.frozen_features import embed_documents

    tokenizer = model.tokenizer()
    documents = [{"input_ids": ids} for ids in token_ids(tokenizer, texts)]
    return embed_documents(model, documents, model.collator(tokenizer), batch_size)


def synthetic_texts(lengths: tuple[int, ...], seed: int = 0) -> list[str]:
    """Return a synthetic document of each length in words, from the demo corpus."""
    words: Iterator[str] = (
        word for note in generate_notes(DemoOptions(patients=10_000, seed=seed)) for word in note["text"].split()
    )
    return [" ".join(next(words) for _ in range(length)) for length in lengths]


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of rows, `(rows,)`."""
    import numpy as np

    first, second = first.astype(np.float64), second.astype(np.float64)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(axis=1) / np.maximum(lengths, 1e-30)


@contextmanager
def whole_or_absent(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write into that takes its name when the block ends well, and goes when it fails.

    Raises:
        InputError: Something else has the name, or an earlier export without `overwrite`.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("the output is a file, not a folder", file=folder, remedy="choose another --output")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / DESCRIPTION).is_file():
            raise InputError("the output holds files that are not of an export", file=folder, remedy="choose another")
        if not overwrite:
            raise InputError("the output holds an export", file=folder, remedy="choose another, or pass --overwrite")
    created = [parent for parent in folder.parents if not parent.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{folder.name}.partial-", dir=folder.parent))
    try:
        (work / "new").mkdir()
        yield work / "new"
        if folder.exists():
            folder.rename(work / "old")
        (work / "new").rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        for parent in created:
            if not any(parent.iterdir()):
                parent.rmdir()


if __name__ == "__main__":
    run(main)
