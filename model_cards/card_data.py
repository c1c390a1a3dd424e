"""The metadata at the head of a card, as the Hub reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from metrics.measures import MEASURES
from model_cards.markdown import one_line, short_name
from model_cards.result_facts import shots_name
from model_cards.statements import DataStatement, ModelStatement
from model_cards.tagging_section import share_name

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
PRIVATE_DATASET = "private"
MASKED_LM = {"loss": "Loss of a masked token", "perplexity": "Pseudo-perplexity"}
# The Hub's names of metrics.
SCORES = (("mean", "f1", "F1 macro"), ("accuracy", "accuracy", "Accuracy"))
ENTITY_SCORES = (
    ("f1_micro", "f1", "F1 (strict, micro"),
    ("precision_micro", "precision", "Precision (strict, micro"),
    ("recall_micro", "recall", "Recall (strict, micro"),
    ("f1_macro", "f1", "F1 (strict, macro"),
)


class CardData(ModelCardData):
    """`huggingface_hub.ModelCardData`, filled from what training and evaluation wrote.

    What nobody stated is left out, not guessed: a licence, a language, an id of the base model.

    Args:
        title: Of the card.
        statement: What is said of the model.
        data: What is said of the notes.
        training: Content of `training_summary.json`; None where it is missing.
        model: From `training_facts.read_model`.
        results: From `result_facts.read_results`.
        result_name: What the model is called in them.
        energy: From `training_facts.read_energy`.
    """

    def __init__(
        self,
        *,
        title: str,
        statement: ModelStatement,
        data: DataStatement,
        training: Mapping[str, Any] | None,
        model: Mapping[str, Any],
        results: Sequence[Mapping[str, Any]] = (),
        result_name: str | None = None,
        energy: Mapping[str, float] | None = None,
    ) -> None:
        training = training or {}
        sentences = model["sentence_transformers"]
        task = "text-classification" if model["classes"] else "feature-extraction"
        task = "token-classification" if model["tagger"] else task
        base = statement.base_model or training.get("base_model_id")
        base = base if base and HUB_ID.fullmatch(base) else None
        found = eval_results(results, result_name, data)
        extra: dict[str, Any] = {}
        if base:
            extra["base_model_relation"] = "finetune"
        if energy is not None:
            extra["co2_eq_emissions"] = {
                "emissions": round(1_000 * energy["kilograms"], 3),  # in grams
                "source": "codecarbon",
                "training_type": "pre-training" if not training.get("base_model") else "fine-tuning",
                "hardware_used": short_name(training.get("device") or "not recorded"),
            }
        tags = ["notespace", "clinical", "medical", training.get("objective"), model["model_type"]]
        language = statement.language or None
        named = {result.metric_type for result in found} & {kind for _, kind, _ in (*SCORES, *ENTITY_SCORES)}
        super().__init__(
            language=language[0] if language and len(language) == 1 else language,
            license=statement.license,
            library_name="sentence-transformers" if sentences else "transformers",
            pipeline_tag="sentence-similarity" if sentences else task,
            tags=[
                *(["sentence-transformers", "sentence-similarity"] if sentences else []),
                task,
                *(["named-entity-recognition"] if model["tagger"] else []),
                *(short_name(tag).replace("_", "-") for tag in tags if tag),
            ],
            base_model=base,
            datasets=[data.dataset_id] if data.dataset_id and HUB_ID.fullmatch(data.dataset_id) else None,
            metrics=sorted(named) or None,
            model_name=one_line(title) if found else None,
            eval_results=found or None,
            **extra,
        )


def eval_results(results: Sequence[Mapping[str, Any]], name: str | None, data: DataStatement) -> list[EvalResult]:
    """Return the model's own results for `model-index`; those of other models stand in the tables alone."""
    dataset = {
        "dataset_type": data.dataset_id if data.dataset_id and HUB_ID.fullmatch(data.dataset_id) else PRIVATE_DATASET,
        "dataset_name": short_name(data.dataset_name) if data.dataset_name else "clinical notes (not public)",
    }
    found = []
    for result in results:
        if name not in result["models"]:
            continue
        label = {"dataset_config": result["label"]} if result["label"] else {}
        of_label = f": {result['label']}" if result["label"] else ""
        if result["kind"] == "classification":
            for row in (row for row in result["rows"] if row["model"] == name):
                for shots in result["shots"]:
                    scores = row["scores"].get(str(shots)) or {}
                    found += [
                        EvalResult(
                            task_type="text-classification",
                            task_name=f"Classification{of_label}",
                            dataset_split=result.get("split", "test"),
                            metric_type=kind,
                            metric_name=f"{title} ({row['system']}, {shots_name(shots)})",
                            metric_value=round(scores[key], 4),
                            **dataset,
                            **label,
                        )
                        for key, kind, title in SCORES
                        if scores.get(key) is not None
                    ]
        elif result["kind"] == "tagging":
            # The weights are those of a run on the largest share; the other shares stand in the tables.
            row = max((row for row in result["rows"] if row["model"] == name), key=lambda row: row["share"])
            runs = f"mean of {len(row['seeds'])} runs" if len(row["seeds"]) > 1 else "one run"
            if row["share"] != 100:
                runs += f" on {share_name(row['share'])} of the sentences"
            found += [
                EvalResult(
                    task_type="token-classification",
                    task_name=f"Entities{of_label}",
                    dataset_split=result["split"],
                    metric_type=kind,
                    metric_name=f"{title}, {runs})",
                    metric_value=round(row["scores"][key]["mean"], 4),
                    **dataset,
                    **label,
                )
                for key, kind, title in ENTITY_SCORES
                if key in row["scores"]
            ]
        else:
            place, masked = result["models"].index(name), result["kind"] == "masked_lm"
            split = {"dataset_split": result["split"]} if "split" in result else {}
            found += [
                EvalResult(
                    task_type="fill-mask" if masked else "feature-extraction",
                    task_name="Masked language modelling" if masked else f"Embedding space{of_label}",
                    metric_type=measure,
                    metric_name=MASKED_LM[measure] if masked else MEASURES[measure].title,
                    metric_value=round(values[place]["value"], 4),
                    **dataset,
                    **split,
                    **label,
                )
                for measure, values in result["measures"].items()
                if values[place] is not None
            ]
    return found
