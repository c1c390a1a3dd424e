"""The fits of a transfer study: source models made once, tuned and local ones, logistic regression, controls."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from concept_transfer_cells import TransferCell, TransferFolder
from concept_transfer_options import FitOptions
from concept_transfer_sites import Pair, Sites, sets_of, together
from concept_transfer_vectors import ConceptVectors
from corpora.json_files import read_json, write_json

if TYPE_CHECKING:
    import torch

    from modeling.concept_set_classifier import ConceptSetClassifier
    from trainers.concept_set_training import FitPlan, FitResult, LabelledSets

FIT = "fit.json"


class TransferFits:
    """Computes the cells of a study.

    Args:
        sites: The encounters.
        vectors: The concept vectors.
        options: How classifiers are trained.
        folder: Where source models are kept.
    """

    def __init__(self, sites: Sites, vectors: ConceptVectors, options: FitOptions, folder: TransferFolder) -> None:
        self.sites, self.vectors, self.options, self.folder = sites, vectors, options, folder

    def run(self, cell: TransferCell, first_seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        """Return the probabilities of the outcome `(test encounters,)` and the facts of a cell.

        Args:
            cell: Which.
            first_seed: Of the study, with which the learning rate is chosen where that is done once.
        """
        pair = self.sites.pair(cell.vocabulary, cell.source)
        if cell.classifier == "bayes_ceiling":
            return self._ceiling(), {}
        train, validation = self._parts(cell, pair)
        facts = {"train": len(train), "validation": len(validation), "train_positives": int(train.outcomes.sum())}
        if cell.classifier == "majority":
            outcomes = np.concatenate([train.outcomes, validation.outcomes])
            return np.full(len(self.sites.test), outcomes.mean()), facts
        if cell.classifier.startswith("logistic"):
            found, further = self._logistic(cell, pair)
        else:
            found, further = self._sets(cell, pair, train, validation, first_seed)
        return found, {**facts, **further}

    def _ceiling(self) -> np.ndarray:
        from corpora.bayes_network import read_network

        options = self.sites.options
        positive = self.sites.reading.positive_values
        return read_network(options.bayes_network).posterior(self.sites.test_as_said(), positive, options.unsaid)

    def _rows(self, cell: TransferCell, pair: Pair) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the rows to train on and to choose by, of each site that a cell learns from itself."""
        rows = {}
        if cell.protocol in ("direct", "pooled") and pair.source is not None:
            rows["source"] = self.sites.parts(pair.source, np.arange(len(pair.source)), cell.seed)
        if cell.protocol != "direct":
            rows["target"] = self.sites.parts(pair.target, self.sites.sample(cell.size, cell.seed), cell.seed)
        return rows

    def _parts(self, cell: TransferCell, pair: Pair) -> tuple[LabelledSets, LabelledSets]:
        """Return what a cell trains on and what it chooses by; of pooled data the target's part is chosen by."""
        rows, sites = self._rows(cell, pair), {"source": pair.source, "target": pair.target}
        found = {name: [sets_of(sites[name], part) for part in parts] for name, parts in rows.items()}
        if len(found) == 1:
            ((train, validation),) = found.values()
            return train, validation
        source, target = found["source"], found["target"]
        return together(together(source[0], source[1]), target[0]), target[1]

    def _logistic(self, cell: TransferCell, pair: Pair) -> tuple[np.ndarray, dict[str, Any]]:
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score

        from frozen_probe import scale

        features, rows = self.vectors.pooled(cell, pair), self._rows(cell, pair)
        sites = {"source": pair.source, "target": pair.target}
        train = [(name, part) for name, parts in rows.items() for part in parts[:1]]
        if len(rows) == 2:
            train.append(("source", rows["source"][1]))
        chosen_by = "target" if "target" in rows else "source"
        x = np.concatenate([features[name][part] for name, part in train])
        y = np.concatenate([sites[name].outcomes[part] for name, part in train])
        held_out = rows[chosen_by][1]
        x_scaled, others = scale(
            x, np.concatenate([features[chosen_by][held_out], features["target"][self.sites.test]])
        )
        x_held, x_test = np.split(others, [len(held_out)])
        best: tuple[float, float, Any] | None = None
        tried = []
        for penalty in self.options.penalties:
            model = LogisticRegression(C=penalty, max_iter=1000).fit(x_scaled, y)
            found = model.decision_function(x_held)
            score = float(roc_auc_score(sites[chosen_by].outcomes[held_out], found))
            tried.append({"penalty": penalty, "validation_auroc": score})
            if best is None or score > best[0]:  # of equal ones the strongest penalty
                best = (score, penalty, model)
        facts = {"penalty": best[1], "tried": tried, "validation_auroc": best[0]}
        return best[2].predict_proba(x_test)[:, 1], facts

    def _sets(
        self, cell: TransferCell, pair: Pair, train: LabelledSets, validation: LabelledSets, first_seed: int
    ) -> tuple[np.ndarray, dict[str, Any]]:
        import torch

        table = self.vectors.table(cell, pair)
        vectors = torch.from_numpy(table.rows(pair.states))
        test = pair.target.select(self.sites.test)
        if cell.protocol == "direct":
            model, facts = self._source_model(cell, first_seed)
            return model.predict(test, table), facts
        if cell.protocol.startswith("tuned"):
            source, _ = self._source_model(cell.fit, first_seed)
            model, facts, result = self._fit(cell, lambda: deepcopy(source), vectors, train, validation, first_seed)
            from trainers.concept_set_training import scores_by_epoch

            by_epoch = scores_by_epoch(model, vectors, sets_of(pair.target, self.sites.test), result)
            for record, score in zip(facts["trajectory"], by_epoch, strict=True):
                record["test_auroc"] = score
        else:
            model, facts, _ = self._fit(
                cell, lambda: self._new_model(cell, vectors, train), vectors, train, validation, first_seed
            )
        return model.predict(test, table), facts

    def _source_model(self, cell: TransferCell, first_seed: int) -> tuple[ConceptSetClassifier, dict[str, Any]]:
        """Return the model trained at the source; made once and kept, as direct and tuned transfer begin with it.

        One of which a file was deleted or cut short is made again: the same seed gives the same weights.
        """
        import torch

        folder = self.folder.model(cell)
        kept = _read_source_model(folder)
        if kept is None:
            pair = self.sites.pair(cell.vocabulary, cell.source)
            vectors = torch.from_numpy(self.vectors.table(cell, pair).rows(pair.states))
            train, validation = self._parts(cell, pair)
            model, facts, _ = self._fit(
                cell, lambda: self._new_model(cell, vectors, train), vectors, train, validation, first_seed
            )
            partial = folder.with_name(folder.name + ".partial")
            shutil.rmtree(partial, ignore_errors=True)
            model.save_pretrained(partial)
            write_json(partial / FIT, facts)
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
            # What goes on is what an interrupted run would read.
            kept = _read_source_model(folder)
        return kept

    def _new_model(self, cell: TransferCell, vectors: torch.Tensor, train: LabelledSets) -> ConceptSetClassifier:
        import torch

        from modeling.concept_set_classifier import ConceptSetClassifier, ConceptSetConfig

        pooling = cell.classifier.removeprefix("set_")
        sizes = {"filters": self.options.filters, "dropout": self.options.dropout}
        model = ConceptSetClassifier(ConceptSetConfig(embedding_size=vectors.shape[1], pooling=pooling, **sizes))
        said = torch.from_numpy(np.asarray(train.occurs.sum(0)).ravel() > 0)
        model.start_from(vectors[said], cell.seed)
        return model

    def _fit(
        self,
        cell: TransferCell,
        start: Callable[[], ConceptSetClassifier],
        vectors: torch.Tensor,
        train: LabelledSets,
        validation: LabelledSets,
        first_seed: int,
    ) -> tuple[ConceptSetClassifier, dict[str, Any], FitResult]:
        """Fit with every learning rate and keep the best on the validation encounters; of equal ones the smallest."""
        from trainers.concept_set_training import fit_concept_sets

        plan = self._plan(cell)
        best: tuple[ConceptSetClassifier, FitResult, float] | None = None
        tried = []
        for rate in self._rates(cell, first_seed):
            model = start()
            result = fit_concept_sets(model, vectors, train, validation, replace(plan, learning_rate=rate), cell.seed)
            tried.append({"learning_rate": rate, **result.best})
            if best is None or result.score > best[1].score:
                best = (model, result, rate)
        model, result, rate = best
        facts = {
            "learning_rate": rate,
            "tried": tried,
            "best_epoch": result.best_epoch,
            "validation_auroc": result.best["validation_auroc"],
            "trajectory": [dict(record) for record in result.trajectory],
        }
        return model, facts, result

    def _rates(self, cell: TransferCell, first_seed: int) -> Sequence[float]:
        if cell.setting == "published":
            return [0.01 if cell.protocol.startswith("tuned") else 0.001]
        if self.options.choose_rate == "once" and cell.seed != first_seed:
            first = replace(cell, seed=first_seed)
            if cell.protocol == "direct":
                _, stored = self._source_model(first, first_seed)
            else:
                stored = self.folder.record(first)
            return [stored["learning_rate"]]
        return self.options.tuning_learning_rates if cell.protocol.startswith("tuned") else self.options.learning_rates

    def _plan(self, cell: TransferCell) -> FitPlan:
        from trainers.concept_set_training import FitPlan

        tuned, options = cell.protocol.startswith("tuned"), self.options
        part = "head" if cell.protocol == "tuned_head" else "all"
        if cell.setting == "published":  # the settings in the code that Gao et al. published
            return FitPlan(
                0.001, epochs=50, batch_size=32, steps=100, patience=None, optimizer="sgd", weight_decay=1e-3, part=part
            )
        return FitPlan(
            options.learning_rates[0],
            epochs=options.tuning_epochs if tuned else options.epochs,
            batch_size=options.batch_size,
            least_steps=options.least_steps,
            patience=None if tuned else options.patience,
            weight_decay=options.weight_decay,
            part=part,
        )


def _read_source_model(folder: Path) -> tuple[ConceptSetClassifier, dict[str, Any]] | None:
    """Return a kept model and the facts of its fit; None where they are not all there."""
    from safetensors import SafetensorError

    from modeling.concept_set_classifier import ConceptSetClassifier

    facts = read_json(folder / FIT)
    if facts is None:
        return None
    try:
        return ConceptSetClassifier.from_pretrained(folder), facts
    except (OSError, ValueError, SafetensorError):  # a file is missing, or the configuration or the weights are cut
        return None
