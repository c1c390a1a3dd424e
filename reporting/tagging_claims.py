"""Claims of the study on clinical NER (Belkadi et al. 2022, arXiv 2210.12770) against results of tag.py.

Two taggers are compared where they learnt from the same share of the same sentences and their settings differ in
nothing but what the claim speaks of; settings are those that tag.py left beside its results. Scores are of strict spans
where the study scores sub-words with `O` as a class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from corpora.errors import InputError
from corpora.json_files import read_fields
from metrics.intervals import PairedDifference, ResampledScores, paired_difference
from reporting.claims import OURS, ClaimResult, Finding, Roles, finding
from reporting.study_results import BASE
from reporting.tagging_results import AGAIN, TaggingResults
from reporting.tagging_rows import TaggingRow, aggregate_tagging_rows, best_tagging_row, shares_of
from reporting.tagging_tables import share_name

RESAMPLES = 1_000
STRICT, MACRO, TOKENS = "f1_micro", "f1_macro", "token_level_f1_macro"
# Macro-F1 at token level, BERT-CRF .8372, TransformerCRF .7874.
PUBLISHED_DISTANCE = 0.05
SAMPLING = frozenset(("sambd_share", "sambd_draw"))
# An encoder from scratch has its own size, and needs other rates and more epochs.
ENCODER = frozenset(
    (
        *("model_name_or_path", "config_name", "tokenizer_name", "train_tokenizer", "vocab_size", "hidden_size"),
        *("num_hidden_layers", "num_attention_heads", "intermediate_size", "dropout", "window", "window_length"),
        *("learning_rate", "head_learning_rate", "crf_learning_rate", "warmup", "epochs", "min_steps", "evaluations"),
        *("train_batch_size", "gradient_accumulation_steps"),
    )
)


@dataclass(frozen=True, eq=False)
class _Tagger:
    """A row with the settings of its training."""

    row: TaggingRow
    settings: Mapping[str, Any]

    def is_like(self, other: _Tagger, *, but: frozenset[str]) -> bool:
        """Tell whether both were trained alike, but for some settings."""
        names = (self.settings.keys() | other.settings.keys()) - but
        return all(self.settings.get(name) == other.settings.get(name) for name in names)

    @property
    def from_scratch(self) -> bool:
        return self.settings.get("model_name_or_path") is None

    @property
    def name(self) -> str:
        collapsed = len(self.row.collapsed)
        return self.row.system + (f" ({collapsed} of {len(self.row.runs)} runs collapsed)" if collapsed else "")

    @property
    def trained(self) -> str:
        found = [run.trained_parameters for run in self.row.runs if run.trained_parameters is not None]
        return f"{max(found) / 1e6:.1f} million" if found else "an unknown number of"


def judge_tagging_claims(
    results: Sequence[TaggingResults], roles: Roles, resamples: int = RESAMPLES, seed: int = 0
) -> list[ClaimResult]:
    """Test every claim on every corpus and share of its training sentences that allow it.

    Args:
        results: One a corpus, after `join_tagging_results`.
        roles: What the systems stand for, for the claim on adapted encoders: one that has a role other than `base`.
        resamples: Bootstrap resamples.
        seed: Of all draws.

    Raises:
        InputError: The settings of a folder are missing or damaged, or a system was trained in two ways.
    """
    found: dict[str, list[Finding]] = {name: [] for name in ("crf", "lead", "near", "sampling", "adapted", "tokens")}
    for corpus in results:
        rows = aggregate_tagging_rows(corpus, resamples, seed)
        for share in shares_of(rows):
            task = f"{corpus.corpus}, {share_name(share)} of the training sentences"
            taggers = [_Tagger(row, _settings(row)) for row in rows if row.share == share and row.scores]
            for first, second in permutations(taggers, 2):
                for name, one in _compared(task, first, second, roles, seed):
                    found[name].append(one)
            found["tokens"] += _overstated(task, [tagger.row for tagger in taggers], seed)
    return [
        ClaimResult(2, "A CRF improves on the same encoder without.", found["crf"]),
        ClaimResult(2, "A pre-trained encoder beats one from scratch.", found["lead"]),
        ClaimResult(
            2,
            f"An encoder from scratch comes within {PUBLISHED_DISTANCE} of it, as at token level in the study.",
            found["near"],
        ),
        ClaimResult(2, "Leaving out sentences without entities (SamBD) costs F1.", found["sampling"]),
        ClaimResult(2, "An encoder adapted to the domain beats the one that it comes from.", found["adapted"]),
        ClaimResult(2, "Scores of single tags, O included, overstate entities found.", found["tokens"], OURS),
    ]


def _compared(task: str, first: _Tagger, second: _Tagger, roles: Roles, seed: int) -> Iterator[tuple[str, Finding]]:
    """Yield what one tagger's lead over another says, by the claim it speaks to."""
    what = f"{first.name} v. {second.name}"

    def lead() -> PairedDifference:
        same = first.row.seeds == second.row.seeds and _digest(first.row) == _digest(second.row)
        return paired_difference(first.row.scores[STRICT], second.row.scores[STRICT], seed, same_seeds=same)

    with_crf = bool(first.settings.get("crf")) and not second.settings.get("crf")
    if with_crf and first.is_like(second, but=frozenset(("crf", "crf_learning_rate"))):
        yield "crf", finding(task, what, "strict F1", lead())
    if not first.from_scratch and second.from_scratch and first.is_like(second, but=ENCODER):
        one = lead()
        what = f"{what} ({first.trained} v. {second.trained} trained numbers)"
        yield "lead", finding(task, what, "strict F1", one)
        ends = PUBLISHED_DISTANCE - one.interval[1], PUBLISHED_DISTANCE - one.interval[0]
        near = Finding(task, what, f"{PUBLISHED_DISTANCE} less the lead", PUBLISHED_DISTANCE - one.difference, ends)
        yield "near", near
    all_sentences = first.settings.get("sambd_share") is None and second.settings.get("sambd_share") is not None
    if all_sentences and first.is_like(second, but=SAMPLING):
        yield "sampling", finding(task, what, "strict F1", lead())
    behind = second.row.system in roles.named(BASE)
    ahead = roles.by_name.get(first.row.system, BASE) != BASE
    if behind and ahead and first.is_like(second, but=frozenset(("model_name_or_path", "window"))):
        yield "adapted", finding(task, what, "strict F1", lead())


def _overstated(task: str, rows: Sequence[TaggingRow], seed: int) -> Iterator[Finding]:
    """Set the token-level score of the best tagger against its strict one, both macro averages.

    The token-level score is stored for all documents together: the interval is that of the strict score.
    """
    best = best_tagging_row(rows, MACRO) if rows else None
    if best is None or not all(TOKENS in cell.metrics for cell in best.cells):
        return
    strict, tokens = best.scores[MACRO], np.array([cell.metrics[TOKENS] for cell in best.cells])
    fixed = ResampledScores(tokens, np.repeat(tokens[:, None], strict.resampled.shape[1], axis=1))
    what = f"{best.system}: token level v. strict spans"
    yield finding(task, what, "macro-F1", paired_difference(fixed, strict, seed, same_seeds=True))


def _settings(row: TaggingRow) -> dict[str, Any]:
    """Return what all runs of a row were trained with."""
    found: dict[str, Any] = {}
    for folder in dict.fromkeys(cell.folder for cell in row.cells):
        file = folder / "settings.json"
        settings = read_fields(file, AGAIN)
        if found and found != settings:
            changed = ", ".join(sorted(name for name in found | settings if found.get(name) != settings.get(name)))
            raise InputError(
                f"system '{row.system}' was trained with other settings ({changed}) in another folder",
                file=file,
                remedy="give different systems different names",
            )
        found = settings
    return found


def _digest(row: TaggingRow) -> str:
    return row.cells[0].corpus_digest
