"""Does a checkpoint load as users will load it, and do the loaders agree?"""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from corpora.errors import InputError
from modeling.checkpoint_folder import check_checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOLERANCE = 1e-5
PROBES = (
    "No fever.",
    "Mild chest pain on exertion, no cough.",
    "Left knee swelling after a fall; x-ray without fracture.",
    "Follow up in two weeks.",
    "Stable overnight, no new complaints. " * 120,
)
"""Made-up sentences, of no corpus; the last one is longer than most windows, and has to be cut."""


def loader_outputs(folder: str | Path) -> dict[str, np.ndarray]:
    """Load a checkpoint with every loader that it promises to serve, and embed a few made-up sentences.

    An encoder is loaded by `AutoModel`, by `SentenceTransformer`, and by `AutoModelForMaskedLM` when it has that head;
    a note classifier by `NoteClassifier` and by `AutoModelForSequenceClassification`, a tagger by `TokenTagger` and by
    `AutoModelForTokenClassification`.

    Args:
        folder: Checkpoint folder.

    Returns:
        Loader to its output: embeddings `(sentences, hidden)`, a classifier's probabilities `(sentences, classes)`, or
        of a tagger `(words, tags)` the probability of each word's chosen tag at its place, 0 elsewhere.

    Raises:
        InputError: A loader fails, or gives numbers that are not finite, or two loaders' outputs differ by more than
            1e-5 of the largest value.
    """
    folder = Path(folder)
    check_checkpoint(folder)
    from modeling.loading import quiet_loading

    try:
        with quiet_loading():
            found = _OURS.get(_config(folder).get("model_type"), _encoder)(folder)
    except InputError:
        raise
    except Exception as error:  # every loader has its own classes
        raise InputError(
            f"the checkpoint cannot be loaded and used ({type(error).__name__})",
            file=folder,
            remedy="export the model again",
        ) from error
    first, *others = found
    what = "predictions" if first == "TokenTagger" else "embeddings"
    # All loaders agree on such weights, so that exporting them again would not help.
    if not all(np.isfinite(output).all() for output in found.values()):
        raise InputError(
            f"the model's {what} of plain sentences are not finite numbers",
            file=folder,
            remedy="its weights are broken: publish an earlier checkpoint, or train again at a lower learning rate",
        )
    for other in others:
        check_equal(found[first], found[other], f"{first} and {other} give different {what}", folder)
    return found


def check_equal(left: np.ndarray, right: np.ndarray, problem: str, file: str | Path) -> None:
    """Compare two outputs.

    Raises:
        InputError: They differ in shape, or by more than 1e-5 of the largest value.
    """
    same_shape = left.shape == right.shape
    scale = max(1.0, float(np.abs(left).max(initial=0)))
    # Written so that a NaN counts as a difference.
    if not same_shape or not float(np.abs(left - right).max(initial=0)) <= TOLERANCE * scale:
        detail = f"by {float(np.abs(left - right).max()):.2g}" if same_shape else f"{left.shape} and {right.shape}"
        raise InputError(f"{problem} ({detail})", file=file, remedy="export the model again")


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "config.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _classifier(folder: Path) -> dict[str, np.ndarray]:
    from transformers import AutoModelForSequenceClassification

    from modeling.note_classifier import NoteClassifier

    loaders = {
        "NoteClassifier": NoteClassifier,
        "AutoModelForSequenceClassification": AutoModelForSequenceClassification,
    }
    return {name: loader.from_pretrained(folder).predict(PROBES) for name, loader in loaders.items()}


def _tagger(folder: Path) -> dict[str, np.ndarray]:
    from transformers import AutoModelForTokenClassification

    from modeling.tagger import TokenTagger

    loaders = {"TokenTagger": TokenTagger, "AutoModelForTokenClassification": AutoModelForTokenClassification}
    return {name: _tag(loader.from_pretrained(folder)) for name, loader in loaders.items()}


def _tag(model: Any) -> np.ndarray:
    """Tag the sentences, each a text without further division."""
    from collators.tagging import tokenize_sentences
    from corpora.tag_schemes import tag_names
    from modeling.tagger_prediction import tag_sentences

    tags = tag_names(sorted({tag.partition("-")[2] for tag in model.config.tags if tag != "O"}), "IOB2")
    tagged = tag_sentences(model, tokenize_sentences([text.split() for text in PROBES], model.tokenizer()))
    found = [(tags.index(tag), value) for one in tagged for tag, value in zip(one.tags, one.probabilities, strict=True)]
    output = np.zeros((len(found), len(tags)))
    output[np.arange(len(found)), [place for place, _ in found]] = [value for _, value in found]
    return output


_OURS = MappingProxyType({"note_classifier": _classifier, "token_tagger": _tagger})


def _encoder(folder: Path) -> dict[str, np.ndarray]:
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel, AutoModelForMaskedLM

    sentences = SentenceTransformer(str(folder), device="cpu", local_files_only=True).eval()
    found = {"SentenceTransformer": sentences.encode(list(PROBES), batch_size=1, show_progress_bar=False)}
    if not (folder / "config.json").is_file():  # sentence-transformers' older layout, without a model at the top
        return found
    found["AutoModel"] = _embed(AutoModel.from_pretrained(folder, dtype=torch.float32), sentences)
    if any(name.endswith("ForMaskedLM") for name in _config(folder).get("architectures") or ()):
        model = AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32)
        found["AutoModelForMaskedLM"] = _embed(model.base_model, sentences)
    return found


def _embed(model: PreTrainedModel, sentences: Any) -> np.ndarray:
    """Put a transformers model in the place of the first module of a SentenceTransformer."""
    import torch

    model.eval()
    rows = []
    with torch.inference_mode():
        for text in PROBES:
            inputs = sentences.tokenizer(
                text, truncation=True, max_length=sentences.max_seq_length, return_tensors="pt"
            )
            features = {**inputs, "token_embeddings": model(**inputs).last_hidden_state}
            for module in list(sentences)[1:]:
                features = module(features)
            rows.append(features["sentence_embedding"][0].float().numpy())
    return np.stack(rows)
