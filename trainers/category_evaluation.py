"""What evaluation says of the metadata columns: accuracy, macro-F1, silhouette."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from accelerate import Accelerator

from corpora.category_columns import CategoryColumn
from metrics.classification import category_scores
from metrics.clusters import silhouette
from trainers.category_loss import has_category
from trainers.gathering import gather_rows

MAX_SILHOUETTE_DOCUMENTS = 5_000


class CategoryEvaluation:
    """Collects the rows of an evaluation and scores them, one item a document: the mean of its rows.

    Several spans of a document make one item that way, and a document that Accelerate repeats to fill the last batch
    of several processes counts once.

    Args:
        columns: The metadata columns.
        documents: How many there are to evaluate; of more than 5,000 a fixed sample enters the silhouette.
    """

    def __init__(self, columns: Sequence[CategoryColumn], documents: int) -> None:
        self._columns = columns
        self._sampled_share = min(1.0, MAX_SILHOUETTE_DOCUMENTS / max(1, documents))
        self._rows: dict[str, list[torch.Tensor]] = {}

    def add(
        self,
        document_keys: torch.Tensor,
        embeddings: torch.Tensor,
        targets: Mapping[str, torch.Tensor],
        probabilities: Mapping[str, torch.Tensor],
    ) -> None:
        """Keep a batch.

        Args:
            document_keys: `(rows,)`.
            embeddings: `(rows, hidden)`.
            targets: By column, as `category_targets` gives them.
            probabilities: By column `(rows, categories)`; empty where no head is trained.
        """
        # The keys are hashes: those below a bound are a random sample, the same in every process and every time.
        sampled = document_keys.double() / 2**63 < self._sampled_share
        self._keep("document", document_keys)
        self._keep("sampled document", document_keys[sampled])
        self._keep("embedding", embeddings[sampled])
        for column in self._columns:
            self._keep(f"target {column.name}", targets[column.name])
            self._keep(f"sampled target {column.name}", targets[column.name][sampled])
            if column.name in probabilities:
                self._keep(f"probability {column.name}", probabilities[column.name])

    def _keep(self, name: str, rows: torch.Tensor) -> None:
        self._rows.setdefault(name, []).append(rows.detach().cpu())

    def scores(self, accelerator: Accelerator) -> dict[str, float]:
        """Return the scores over all processes; every process must call it.

        `COLUMN_accuracy` and `COLUMN_f1_macro` (`metrics.classification`), `COLUMN_silhouette` (`metrics.clusters`)
        for columns of one category a document; documents without a known category are left out.
        """
        if not self._rows:
            return {}
        rows = {
            name: gather_rows(torch.cat(parts).to(accelerator.device), accelerator).cpu().numpy()
            for name, parts in self._rows.items()
        }
        found: dict[str, float] = {}
        for column in self._columns:
            known = has_category(torch.from_numpy(rows[f"target {column.name}"])).numpy()
            documents = rows["document"][known]
            if f"probability {column.name}" in rows:
                probabilities = _mean_by_document(documents, rows[f"probability {column.name}"][known])
                targets = _first_by_document(documents, rows[f"target {column.name}"][known])
                scores = category_scores(probabilities, targets)
                found |= {f"{column.name}_{name}": value for name, value in scores.items()}
            if not column.multi_label:
                targets = rows[f"sampled target {column.name}"]
                known = has_category(torch.from_numpy(targets)).numpy()
                documents = rows["sampled document"][known]
                embeddings = _mean_by_document(documents, rows["embedding"][known])
                found[f"{column.name}_silhouette"] = silhouette(
                    embeddings, _first_by_document(documents, targets[known]), None
                )
        return found


def _mean_by_document(documents: np.ndarray, values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(documents, return_inverse=True, return_counts=True)
    sums = np.zeros((len(count), values.shape[1]), dtype=np.float64)
    np.add.at(sums, place, values)
    return sums / count[:, None]


def _first_by_document(documents: np.ndarray, values: np.ndarray) -> np.ndarray:
    return values[np.unique(documents, return_index=True)[1]]
