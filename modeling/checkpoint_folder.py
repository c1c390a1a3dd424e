"""Looks whether a checkpoint folder can be loaded, from its files alone.

Nothing heavy is imported: a wrong path should be named in milliseconds, not after torch and transformers.
"""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path

from corpora.errors import InputError

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "adapter_model.safetensors", "adapter_model.bin")
WEIGHT_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
TOKENIZER_PATTERNS = ("tokenizer.json", "vocab.*", "*.model", "spiece.*", "tekken.json")
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def check_checkpoint(name_or_folder: str | Path) -> Path | None:
    """Check that a folder holds a model and a tokenizer.

    Args:
        name_or_folder: A folder written by `save_pretrained` (transformers or sentence-transformers), or a Hub id.

    Returns:
        The folder, or None for a Hub id.

    Raises:
        InputError: The folder is missing, is not a checkpoint, has no weights or no tokenizer, or its weights are cut
            short; or the name can only be a Hub id, the Hub is switched off and nothing is cached under it.
    """
    folder = Path(name_or_folder)
    if folder.is_dir():
        _check_folder(folder)
        return folder
    if folder.exists():
        raise InputError("is a file, not a checkpoint folder", file=folder, remedy="give the folder that holds it")
    if not HUB_ID.fullmatch(str(name_or_folder)):
        raise InputError("no such checkpoint folder", file=folder)
    if hub_is_offline() and not _is_cached(str(name_or_folder)):
        raise InputError(
            "no such checkpoint folder, nor a cached model of that name while HF_HUB_OFFLINE is set",
            file=folder,
            remedy="check the path, or download the model once while online",
        )
    return None


def hub_is_offline() -> bool:
    """Tell whether the environment forbids the Hub."""
    return any(
        os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def transformer_folder(folder: Path) -> Path:
    """Return the folder of the encoder's weights: that of the first module that `modules.json` lists, if any."""
    if not (folder / "modules.json").is_file():
        return folder
    modules = _read_json(folder / "modules.json")
    try:
        return folder / modules[0]["path"]
    except (LookupError, TypeError) as error:
        raise InputError("lists no modules", file=folder / "modules.json") from error


def _check_folder(folder: Path) -> None:
    encoder = transformer_folder(folder)
    if not (encoder / "config.json").is_file() and not (encoder / "adapter_config.json").is_file():
        inner = sorted(folder.glob("*/config.json"), key=lambda file: file.stat().st_mtime)
        inner = [file.parent for file in inner if _weight_files(file.parent)]
        remedy = f"did you mean '{inner[-1]}'?" if inner else "give a folder written by save_pretrained"
        raise InputError("is not a checkpoint folder (no config.json)", file=folder, remedy=remedy)
    for name in ("config.json", "adapter_config.json"):
        if (encoder / name).is_file() and not isinstance(_read_json(encoder / name), dict):
            raise InputError("is not a model's configuration", file=encoder / name)
    weights = _weight_files(encoder)
    if not weights:
        raise InputError(
            "the checkpoint folder has no weights (model.safetensors)", file=folder, remedy="copy the whole folder"
        )
    for file in weights:
        if not file.is_file():
            raise InputError("part of the weights is missing", file=file, remedy="copy the whole folder")
        if file.suffix == ".safetensors":
            _check_safetensors(file)
    if not any(any(place.glob(pattern)) for place in (encoder, folder) for pattern in TOKENIZER_PATTERNS):
        raise InputError(
            "the checkpoint folder has no tokenizer (tokenizer.json)", file=folder, remedy="save the tokenizer with it"
        )


def _weight_files(folder: Path) -> list[Path]:
    for index in WEIGHT_INDEXES:
        if (folder / index).is_file():
            content = _read_json(folder / index)
            if not isinstance(content, dict) or not isinstance(content.get("weight_map"), dict):
                raise InputError("is not an index of weights", file=folder / index)
            return [folder / name for name in sorted(set(content["weight_map"].values()))]
    return [folder / name for name in WEIGHTS if (folder / name).is_file()][:1]


def _check_safetensors(file: Path) -> None:
    """Compare the size of a safetensors file with what its header promises: a copy that broke off is shorter."""
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        size = file.stat().st_size
        try:
            header = json.loads(stream.read(length)) if 0 < length <= size - 8 else None
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, TypeError, AttributeError, LookupError):
            ends = None
    if ends is None:
        raise InputError("is not a safetensors file, or only its beginning", file=file, remedy="copy it again")
    if size != 8 + length + max(ends, default=0):
        raise InputError("the weights are cut short", file=file, remedy="copy the file again")


def _read_json(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError("cannot be read as JSON", file=file, remedy="copy the checkpoint again") from error


def _is_cached(name: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    # Names without an owner are either official models or sentence-transformers' own.
    names = [name] if "/" in name else [name, f"sentence-transformers/{name}"]
    try:
        return any(isinstance(try_to_load_from_cache(each, "config.json"), str) for each in names)
    except ValueError:  # not a valid id
        return False
