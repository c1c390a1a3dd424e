"""What a card says of taggers: their results, and what one of them is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model_cards.markdown import NONE, code, number, short_name, table, text
from model_cards.tagging_facts import RELAXED, STRICT, TOKEN_LEVEL

TITLES = {
    "f1_micro": "Micro-F1",
    "f1_macro": "Macro-F1",
    "precision_micro": "Precision",
    "recall_micro": "Recall",
    "exact_f1": "Exact F1",
    "partial_f1": "Partial F1",
    "ent_type_f1": "Type F1",
    "token_level_f1_macro": "token\\_level macro-F1",
    "token_level_f1_weighted": "token\\_level weighted F1",
}
RELAXED_WORDS = (
    "Exact asks for the boundaries alone; partial takes an overlap for a half, whatever the type; type asks for an "
    "overlap of the same type. token\\_level scores single tags with O as a class, as Belkadi et al. (2022) do; it is "
    "no score of entities."
)
COLLAPSED = "collapsed"


def tagging_introduction(result: Mapping[str, Any]) -> str:
    """Return what the tables are of."""
    split, largest = result["split"], _largest(result)
    words = (
        f"{len(result['types']):,} types of entities, scored on {result['documents']:,} {text(split)} documents with "
        f"{result['entities']:,} gold entities. Strict scores: type and both boundaries have to be right (seqeval's "
        "strict IOB2). Means over the runs with 95 % bootstrap intervals over documents and seeds; trained on "
        f"{share_name(largest)} of the training sentences."
    )
    if split == "validation":
        words += " The best weights were chosen on these documents too, so that the scores are too high."
    return words


def tagging_tables(result: Mapping[str, Any], own: str | None) -> str:
    """Return strict and relaxed scores, those of each type, the learning curve and the runs that collapsed.

    Args:
        result: From `tagging_facts.read_tagging`.
        own: What the card's model is called in it; its rows are bold.
    """
    rows = [row for row in result["rows"] if row["share"] == _largest(result)]
    strict = [
        [_name(row["model"], own), _runs(row), *(_cell(row, row["scores"].get(name)) for name in STRICT)]
        for row in rows
    ]
    tokens = [name for name in TOKEN_LEVEL if any(name in row["token_level"] for row in rows)]
    relaxed = [
        [
            _name(row["model"], own),
            *(_cell(row, row["scores"].get(name)) for name in RELAXED),
            *(_cell(row, row["token_level"].get(name)) for name in tokens),
        ]
        for row in rows
    ]
    parts = [
        table(["System", "Runs", *(TITLES[name] for name in STRICT)], strict),
        table(["System", *(TITLES[name] for name in (*RELAXED, *tokens))], relaxed),
        RELAXED_WORDS,
        _types_table(result, rows, own),
    ]
    if len({row["share"] for row in result["rows"]}) > 1:
        parts.append(_shares_table(result, own))
    fallen = [
        f"{_name(row['model'], own)}, {share_name(row['share'])}, seed {seed}: {text(short_name(words))}"
        for row in result["rows"]
        for seed, words in row["collapsed"].items()
    ]
    if fallen:
        parts.append(f"Runs that collapsed, which are in no score ({'; '.join(fallen)}).")
    return "\n\n".join(parts)


def share_name(share: float) -> str:
    """Return how a share of the training sentences is called."""
    return f"{share:g} %"


def tagger_table(tagger: Mapping[str, Any]) -> str:
    """Return what a tagger is made of, from `training_facts.read_model`."""
    decoding = "a linear layer and a CRF" if tagger["crf"] else "a linear layer; each word is tagged for itself"
    window = tagger["window"]
    rows = [
        ("Entity types", ", ".join(code(short_name(label)) for label in tagger["types"]) or "none"),
        ("Tags", f"{code(tagger['scheme'])}, one for each word"),
        ("On the encoder", decoding),
        ("Reads", "sentences; long ones in overlapping windows" + (f" of {window:,} tokens" if window else "")),
    ]
    return table(["What", "Value"], rows, numbers_from=None)


def run_rows(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return rows on the run whose weights a tagger has: what it was trained on, and its own scores."""
    run = training.get("run") or {}
    if not run:
        return []
    sentences = f"{share_name(run['share'])} of the sentences: {number(run['training_sentences'])}"
    sampled = run.get("down_sampling")
    if sampled:
        sentences += (
            f", after down-sampling those without an entity from {sampled['sentences_without_entity_before']:,} to "
            f"{sampled['sentences_without_entity_after']:,}"
        )
    return [
        ("Trained on", sentences),
        ("Trained parameters", number(run["trained_parameters"])),
        ("Strict micro-F1, validation", f"{_score(run['validation_f1_micro'])} after {run['best_epoch']:.3g} epochs"),
        (
            f"Strict micro-F1 of these weights, {text(short_name(run['split']))}",
            _score(run["f1_micro"]) + (f" (collapsed: {text(short_name(run['collapse']))})" if run["collapse"] else ""),
        ),
    ]


def _types_table(result: Mapping[str, Any], rows: list[Mapping[str, Any]], own: str | None) -> str:
    header = ["Type", "Gold entities", *(f"F1, {_name(row['model'], own)}" for row in rows)]
    cells = [
        [text(short_name(label)), f"{gold:,}", *(_cell(row, row["types"].get(label)) for row in rows)]
        for label, gold in result["types"].items()
    ]
    return table(header, cells)


def _shares_table(result: Mapping[str, Any], own: str | None) -> str:
    shares = sorted({row["share"] for row in result["rows"]})
    there = {(row["model"], row["share"]): row for row in result["rows"]}
    cells = []
    for model in result["models"]:
        found = [there.get((model, share)) for share in shares]
        cells.append(
            [_name(model, own), *(NONE if row is None else _cell(row, row["scores"].get("f1_micro")) for row in found)]
        )
    return table(["Micro-F1, training sentences", *map(share_name, shares)], cells)


def _largest(result: Mapping[str, Any]) -> float:
    return max(row["share"] for row in result["rows"])


def _name(model: str, own: str | None) -> str:
    name = text(short_name(model))
    return f"**{name}**" if model == own else name


def _runs(row: Mapping[str, Any]) -> str:
    kept, fallen = len(row["seeds"]), len(row["collapsed"])
    return f"{kept} of {kept + fallen}" if fallen else str(kept)


def _cell(row: Mapping[str, Any], found: Mapping[str, float] | float | None) -> str:
    if found is None:
        return NONE if row["seeds"] else COLLAPSED
    if isinstance(found, (int, float)):
        return _score(found)
    # The space within does not break, so that a narrow column breaks before the bracket.
    return f"{_score(found['mean'])} [{_score(found['low'])},\N{NO-BREAK SPACE}{_score(found['high'])}]"


def _score(value: float | None) -> str:
    """Return a score with three digits, as `table.md` has them."""
    return NONE if value is None else f"{value:.3f}"
