"""A fingerprint of a checkpoint's weights, which tells whether an audit or a result is of these."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modeling.checkpoint_folder import transformer_folder


def weights_digest(model: str | Path) -> str | None:
    """Return the SHA-256 of a folder's weights, all files one after the other; None of a Hub id or without weights.

    Args:
        model: A checkpoint folder, or a Hub id.

    Raises:
        InputError: The folder's list of modules is damaged.
    """
    if not Path(model).is_dir():
        return None
    folder = transformer_folder(Path(model))
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*model*.bin")])
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest() if files else None
