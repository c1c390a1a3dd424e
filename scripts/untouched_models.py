"""Which model a checkpoint was adapted from, so that a table can show what adaptation gave."""

from __future__ import annotations

import json
from pathlib import Path

from embedding_files import digest_of_checkpoint
from modeling.checkpoint_folder import check_checkpoint
from run_folder import SETTINGS

NAME = "untouched"


def origin(checkpoint: str) -> str | None:
    """Return the model that a run of pretrain.py began with, through all runs before it.

    Returns:
        Folder or Hub id; None for a checkpoint that no such run made, or one trained from scratch.
    """
    seen: list[str] = []
    while checkpoint not in seen:
        seen.append(checkpoint)
        file = Path(checkpoint) / SETTINGS
        try:
            before = json.loads(file.read_text(encoding="utf-8")).get("model_name_or_path")
        except (OSError, ValueError, AttributeError):
            break
        if not before:  # from scratch
            return None
        checkpoint = before
    return checkpoint if len(seen) > 1 else None


def untouched_models(models: dict[str, str]) -> tuple[dict[str, str], list[str]]:
    """Find the models that others were adapted from and that are not among them.

    Args:
        models: Checkpoints by name.

    Returns:
        Further checkpoints by name, and a line for each that is not at hand.
    """
    digests = {digest_of_checkpoint(Path(path)) for path in models.values() if Path(path).is_dir()}
    found: dict[str, str] = {}
    lines = []
    for name, path in models.items():
        base = origin(path)
        if base is None or base in models.values():
            continue
        if not Path(base).is_dir():
            # A Hub id may not be in the cache, and a folder may have moved: that is for the user to say.
            lines.append(f"the model that '{name}' was adapted from is not among --models; name it to see the gain")
            continue
        digest = digest_of_checkpoint(check_checkpoint(base) or Path(base))
        if digest not in digests:
            digests.add(digest)
            free = (f"{NAME}-{number}" if number > 1 else NAME for number in range(1, len(models) + len(found) + 2))
            found[next(name for name in free if name not in models and name not in found)] = base
    return found, lines
