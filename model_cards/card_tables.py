"""The tables of a card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metrics.measures import MEASURES
from model_cards.markdown import NONE, code, interval, number, one_line, short_name, table, text
from model_cards.result_facts import shots_name
from model_cards.tagging_section import run_rows
from model_cards.training_facts import (
    base_words,
    category_rows,
    duration,
    loss_rows,
    objective_words,
)

# Models beside each other in a table of measures, which a page would else have to scroll sideways.
WIDEST = 4
NOT_RECORDED = "not recorded"
LOSSES = {
    "loss": "Training loss",
    "eval_loss": "Validation loss",
    "eval_mlm_loss": "Masked LM",
    "eval_mlm_accuracy": "Masked LM accuracy",
    "eval_contrastive_loss": "Contrastive",
    "eval_contrastive_accuracy": "Contrastive accuracy",
    "eval_category_loss": "Categories",
}
SPANS = {
    "num_anchors": "Anchors a document",
    "num_positives": "Positives an anchor",
    "min_span_length": "Shortest span, tokens",
    "max_span_length": "Longest span, tokens",
    "positive_strategy": "Where positives lie",
    "compatible_sampling": "Distribution of the original sampler",
    "clean_anchors": "Anchors without masks",
    "temperature": "Temperature",
    "contrastive_weight": "Weight of the contrastive loss",
    "same_document": "Other spans of the same document",
    "same_patient": "Spans of the same patient",
}
MASKING = {
    "mlm_weight": "Weight of the masked-LM loss",
    "mlm_probability": "Share of tokens predicted",
    "mask_share": "Of these, replaced by the mask",
    "random_share": "Of these, replaced by a random token",
    "whole_word_mask": "Whole words",
}
METADATA = {
    "category_columns": "Metadata columns",
    "category_weight": "Weight of their loss",
    "category_loss": "Loss",
    "category_view": "What the head reads",
    "category_balance": "Against rare categories",
}
TAGGING = {
    "scheme": "Tags",
    "crf": "CRF",
    "tagger_dropout": "Dropout before the linear layer",
    "freeze": "Of the encoder stays as it is",
    "head_learning_rate": "Learning rate of the linear layer",
    "crf_learning_rate": "Learning rate of the CRF",
    "weight_decay": "Weight decay",
    "sambd_share": "SamBD: share of sentences without an entity",
    "sambd_draw": "SamBD: draw of these",
}


def training_table(training: Mapping[str, Any], energy: Mapping[str, float] | None) -> str:
    """Return how a model was made: objective, base, documents, steps, hardware, duration, energy, versions."""
    settings = training.get("settings") or {}
    rows = [
        ("Objective", text(objective_words(training))),
        ("Started from", text(base_words(training))),
        ("Parameters", number(training.get("parameters"))),
    ]
    for name, counts in (training.get("documents") or {}).items():
        split = "Training" if name == "train" else text(short_name(name).capitalize())
        rows.append((f"{split} documents", _documents(counts, name, training)))
    batch, processes = settings.get("per_device_train_batch_size"), training.get("processes") or 1
    accumulation = settings.get("gradient_accumulation_steps") or 1
    rows += [
        ("Optimizer steps", number(training.get("steps"))),
        ("Epochs", number(training.get("epochs"), 2)),
        *_tokens_read(training),
        *run_rows(training),
        (
            "Batch",
            f"{batch * accumulation * processes:,} a step ({batch} a device, {accumulation} accumulated, "
            f"{processes} process{'' if processes == 1 else 'es'})"
            if batch
            else NOT_RECORDED,
        ),
        ("Learning rate", _rate(settings)),
        ("Precision", next((name for name in ("bf16", "fp16") if settings.get(name)), "fp32")),
    ]
    if settings.get("lora_rank"):
        rows.append(("Adapters", f"LoRA of rank {settings['lora_rank']}, merged"))
    seconds = training.get("seconds")
    rows += [
        ("Seed", number(settings.get("seed"))),
        ("Hardware", text(_hardware(training))),
        ("Duration", duration(seconds) if seconds is not None else NOT_RECORDED),
        ("Energy", _energy(energy)),
        ("Software", text(_versions(training.get("versions") or {}) or NOT_RECORDED)),
    ]
    return table(["What", "How"], rows, numbers_from=None)


def settings_table(training: Mapping[str, Any]) -> str:
    """Return the settings of spans, masking and metadata that the objective used; empty where none are recorded."""
    settings, objective = training.get("settings") or {}, training.get("objective")
    groups = [SPANS] if objective == "declutr" else [TAGGING] if objective == "tagging" else []
    if objective == "mlm" or settings.get("mlm_weight"):
        groups.append({name: title for name, title in MASKING.items() if objective != "mlm" or name != "mlm_weight"})
    if settings.get("category_columns"):
        groups.append(METADATA)
    rows = [
        (title, _setting(settings[name]))
        for group in groups
        for name, title in group.items()
        if settings.get(name) is not None
    ]
    return table(["Setting", "Value"], rows, numbers_from=None) if rows else ""


def losses_table(training: Mapping[str, Any]) -> str:
    """Return the losses over the steps; empty where none are recorded."""
    history = loss_rows([entry for entry in training.get("losses") or () if "step" in entry])
    shown = [name for name in LOSSES if any(name in entry for entry in history)]
    # One term alone is the loss itself.
    terms = [name for name in shown if name.endswith("_loss") and name != "eval_loss"]
    if len(terms) == 1:
        shown.remove(terms[0])
    rows = [[number(int(entry["step"])), *(number(entry.get(name), 4) for name in shown)] for entry in history]
    header = ["Step", *(LOSSES[name] for name in shown)]
    return table(header, rows, numbers_from=0) if rows and shown else ""


def categories_table(counts: Mapping[str, int]) -> str:
    """Return documents by category; categories of very few documents are not named."""
    total = sum(counts.values())
    rows = [(text(name), number(count), f"{count / total:.1%}") for name, count in category_rows(counts)]
    return table(["Category", "Documents", "Share"], rows)


def classification_table(result: Mapping[str, Any], own: str | None) -> str:
    """Return scores of systems by number of labels; rows of the card's model are bold."""
    rows = []
    for row in result["rows"]:
        name = text(row["system"])
        scores = [row["scores"].get(str(shots)) or {} for shots in result["shots"]]
        cells = [interval(score.get("mean"), score.get("low"), score.get("high")) for score in scores]
        rows.append([f"**{name}**" if own is not None and row["model"] == own else name, *cells])
    return table(["System", *map(shots_name, result["shots"])], rows)


def space_table(result: Mapping[str, Any], own: str | None) -> str:
    """Return measures by model; of more than four models those of the first, and of the card's own."""
    models: Sequence[str] = result["models"]
    places = list(range(len(models)))
    if len(models) > WIDEST:
        places = [0, *(place for place in places[1:] if models[place] == own)]
    titles = [text(short_name(models[place])) for place in places]
    titles = [f"**{title}**" if models[place] == own else title for place, title in zip(places, titles, strict=True)]
    better = {"higher": "higher", "lower": "lower", None: ""}
    rows = []
    for name, values in result["measures"].items():
        shown = [values[place] for place in places]
        cells = [NONE if value is None else interval(value["value"], value["low"], value["high"]) for value in shown]
        rows.append([MEASURES[name].title, better[MEASURES[name].better], *cells])
    found = table(["Measure", "Better", *titles], rows, numbers_from=2)
    left_out = len(models) - len(places)
    return f"{found}\n\n{left_out} further models were measured beside these." if left_out else found


def masked_lm_table(result: Mapping[str, Any], own: str | None) -> str:
    """Return loss and perplexity by model."""
    titles = {"loss": "Loss of a masked token, nats", "perplexity": "Pseudo-perplexity"}
    models = [f"**{text(short_name(name))}**" if name == own else text(short_name(name)) for name in result["models"]]
    rows = [
        [titles[name], *(interval(value["value"], value["low"], value["high"]) for value in values)]
        for name, values in result["measures"].items()
    ]
    return table(["Measure", *models], rows)


def thresholds_table(thresholds: Mapping[str, Any]) -> str:
    """Return the thresholds of a privacy audit: a row each, a column for each level; words are left out."""
    groups = {
        name: value if isinstance(value, Mapping) else {"value": value}
        for name, value in thresholds.items()
        if not isinstance(value, str)
    }
    levels = list(dict.fromkeys(level for group in groups.values() for level in group))
    rows = [
        [
            text(short_name(name.replace("_", " "))),
            *(_setting(group[level]) if level in group else "" for level in levels),
        ]
        for name, group in groups.items()
    ]
    return table(["Threshold", *(text(level.replace("_", " ")) for level in levels)], rows)


def _documents(counts: Mapping[str, Any], name: str, training: Mapping[str, Any]) -> str:
    parts = [f"{counts['documents']:,}"] if counts.get("documents") is not None else []
    kept = counts.get("kept", counts.get("read"))
    if kept is not None and kept != counts.get("documents"):
        parts.append(f"{kept:,} of them long enough to be read")
    if counts.get("rows") is not None:
        parts.append(f"in {counts['rows']:,} rows")
    if counts.get("tokens") is not None:
        parts.append(f"{counts['tokens']:,} tokens")
    parts += [f"{counts[name]:,} {name}" for name in ("sentences", "words", "entities") if counts.get(name) is not None]
    patients = ((training.get("corpus") or {}).get("splits") or {}).get(name, {}).get("patients")
    if patients is not None:
        parts.append(f"{patients:,} patients")
    return ", ".join(parts) or NOT_RECORDED


def _tokens_read(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a row with the tokens that went through the model in training; none where that is not known."""
    if training.get("tokens_read"):
        return [("Tokens read", f"{training['tokens_read']:,}")]
    tokens, epochs = ((training.get("documents") or {}).get("train") or {}).get("tokens"), training.get("epochs")
    # Rows of masked language modelling hold all tokens once an epoch; other objectives draw spans or windows.
    if training.get("objective") == "mlm" and tokens and epochs:
        return [("Tokens read", f"about {float(f'{tokens * epochs:.3g}'):,.0f} (tokens x epochs)")]
    return []


def _rate(settings: Mapping[str, Any]) -> str:
    if settings.get("learning_rate") is None:
        return NOT_RECORDED
    schedule = "slanted_triangular" if settings.get("slanted_triangular") else settings.get("lr_scheduler_type")
    words = f"{settings['learning_rate']:g}"
    return f"{words}, {text(str(schedule).replace('_', ' '))} schedule" if schedule else words


def _hardware(training: Mapping[str, Any]) -> str:
    device = training.get("device")
    if device is None:
        return NOT_RECORDED
    processes = training.get("processes") or 1
    return f"{'' if processes == 1 else f'{processes} x '}{'CPU' if device == 'cpu' else short_name(device)}"


def _energy(energy: Mapping[str, float] | None) -> str:
    if energy is None:
        return "not measured"
    return f"{energy['kilowatt_hours']:.3g} kWh, {energy['kilograms']:.3g} kg of CO2 equivalents (codecarbon)"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{one_line(name)} {one_line(version)}" for name, version in versions.items())


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(code(short_name(part)) for part in value) or "none"
    return f"{value:g}" if isinstance(value, (int, float)) else text(short_name(str(value).replace("_", " ")))


def result_titles(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a heading for each result; several of one label are told apart by how the encoders were used."""
    words = {
        "classification": "Classification",
        "embedding_space": "Embedding space",
        "masked_lm": "Masked language modelling",
        "tagging": "Entities",
    }
    titles = [words[one["kind"]] + (f": {text(one['label'])}" if one["label"] else "") for one in results]
    return [
        f"{title} ({'; '.join(ways)})" if titles.count(title) > 1 and (ways := _ways(result)) else title
        for title, result in zip(titles, results, strict=True)
    ]


def _ways(result: Mapping[str, Any]) -> list[str]:
    """Return how a classification used its encoders, such as "fine-tuned, 2 layers frozen"."""
    if result["kind"] != "classification":
        return []
    rows = [row for row in result["rows"] if row["model"] is not None]
    return list(dict.fromkeys(text(row["system"].removeprefix(f"{short_name(row['model'])}, ")) for row in rows))
