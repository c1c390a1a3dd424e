"""Scores of entity recognition as `evaluate.Metric`: accumulate with `add_batch`, then `compute`.

Importing this module imports `evaluate`, which takes seconds. The metric is made directly, without `evaluate.load`,
which would look for a script on the Hub:

    metric = EntityMetric()
    metric.add_batch(predictions=[["B-Drug", "O"]], references=[["B-Drug", "O"]], document_ids=["a"])
    metric.compute(resamples=1_000)
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate

from metrics.entity_intervals import resample_documents, resample_entity_scores
from metrics.entity_scores import spans_by_document
from metrics.intervals import percentile_interval
from metrics.tagging_scores import scores_of_counts, tagging_counts
from metrics.token_level import token_level_scores

WITH_INTERVALS = ("f1_micro", "f1_macro")


class EntityMetric(evaluate.Metric):
    """Strict, relaxed and token-level scores; see `metrics.tagging_scores.score_documents` for their names.

    `compute(predictions, references, document_ids, resamples=1000, seed=0)` takes the IOB2 tags of sentences and the
    document of each. `f1_micro_low`, `f1_micro_high` and the same of `f1_macro` are the ends of 95 % bootstrap
    intervals over the documents.
    """

    def _info(self) -> evaluate.MetricInfo:
        tags = datasets.Sequence(datasets.Value("string"))
        return evaluate.MetricInfo(
            description="Strict span-level scores as seqeval's, relaxed ones as nervaluate's, and token-level scores.",
            citation="",
            inputs_description="IOB2 tags of each sentence, and the id of its document.",
            features=datasets.Features(
                {"predictions": tags, "references": tags, "document_ids": datasets.Value("string")}
            ),
        )

    def _compute(
        self, predictions: Any, references: Any, document_ids: Any, resamples: int = 1_000, seed: int = 0
    ) -> dict[str, float]:
        gold, predicted = (spans_by_document(tags, document_ids) for tags in (references, predictions))
        counts = tagging_counts(list(gold.values()), list(predicted.values()), list(gold))
        found = scores_of_counts(counts) | token_level_scores(references, predictions)
        resampled = resample_entity_scores([counts], resample_documents(len(gold), resamples, seed))
        for name in WITH_INTERVALS:
            found[f"{name}_low"], found[f"{name}_high"] = percentile_interval(resampled[name], seed)
        return found
