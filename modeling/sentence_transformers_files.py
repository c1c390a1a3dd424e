"""The files that make a checkpoint folder load as a `SentenceTransformer`, without custom code.

The names of modules and settings are those of sentence-transformers 2 to 5, which later versions read too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def write_sentence_transformers_files(
    folder: str | Path, hidden_size: int, window: int, pooling: str = "mean", *, lower_case: bool = False
) -> None:
    """Write `modules.json`, `sentence_bert_config.json`, `config_sentence_transformers.json` and `1_Pooling/`.

    Args:
        folder: A folder that holds a saved model and tokenizer.
        hidden_size: Length of an embedding.
        window: Longest input in tokens, special tokens included.
        pooling: `mean`, `cls` or `max`.
        lower_case: Lower-case texts before tokenisation.
    """
    folder = Path(folder)
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    _write(folder / "modules.json", MODULES)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": window, "do_lower_case": lower_case})
    _write(
        folder / "config_sentence_transformers.json",
        {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )
    _write(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": hidden_size,
            "pooling_mode_cls_token": pooling == "cls",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": pooling == "max",
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
