"""Compare encoders as document classifiers: frozen, partly frozen, fine-tuned, with LoRA and its kin, with few labels.

    python scripts/classify.py --data corpus --label_column specialty --models base=BASE adapted=MODEL --output_dir DIR

Every system is trained on the same nested samples of the training documents, choices are made on validation documents
or by cross-validation, and each cell reads the test documents once. Majority class and TF-IDF stand in the same table.
Run the same command again after an interruption: finished cells are not computed twice.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classification_cells import Cell, ResultFolder, all_cells
from classify_options import HYBRIDS, TRAINED, ProtocolOptions, TrainingOptions
from command_line import RecipeParser, run
from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.label_tasks import LabelOptions, classification_task
from corpora.records import ReadingOptions
from corpora.sources import find_sources
from modeling.checkpoint_folder import check_checkpoint
from named_paths import named_paths
from untouched_models import untouched_models

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict

    from corpora.label_tasks import ClassificationTask

OPTIONS = (ProtocolOptions, LabelOptions, TrainingOptions, ReadingOptions)
SPLITS = ("train", "validation", "test")


class Study:
    """The documents, their classes, and what the systems need of them, each made once.

    Args:
        corpus: Train, validation and test documents.
        task: What is predicted.
        models: Checkpoints by name.
        protocol: Options.
        training: Options.
        results: Where embeddings are kept.
    """

    def __init__(
        self,
        corpus: DatasetDict,
        task: ClassificationTask,
        models: dict[str, str],
        protocol: ProtocolOptions,
        training: TrainingOptions,
        results: ResultFolder,
    ) -> None:
        self.task, self.models, self.protocol, self.training = task, models, protocol, training
        self.results = results
        self.documents: dict[str, Dataset] = {}
        self.targets: dict[str, np.ndarray] = {}
        for split in SPLITS:
            kept, self.targets[split] = task.labelled(corpus[split])
            self.documents[split] = corpus[split].select(kept)
        self._words: Any = None
        self._features: tuple[tuple[str | bool | None, ...], Any] | None = None
        self._tokenized: tuple[str, Any] | None = None

    def rows(self, cell: Cell) -> np.ndarray:
        """Return the training documents of a cell."""
        import numpy as np

        from corpora.few_shot import few_shot_sample

        if cell.shots is None:
            return np.arange(len(self.targets["train"]))
        ids = self.documents["train"]["document_id"][:]
        return few_shot_sample(self.targets["train"], cell.shots, cell.seed, ids)

    def probe(self, cell: Cell) -> tuple[np.ndarray, dict[str, Any]]:
        """Fit a probe or a baseline."""
        from classification_probes import fit_probe

        # Methods that read the same features share them.
        kind = (cell.model, cell.reading, cell.method in HYBRIDS)
        if self._features is None or self._features[0] != kind:
            self._features = (kind, self._make_features(cell))
        rows, classes = self.rows(cell), len(self.task.labels)
        return fit_probe(cell.method, self._features[1], rows, self.targets["train"][rows], classes, cell.seed)

    def _make_features(self, cell: Cell) -> Any:
        """Make what a probe reads of all training and test documents."""
        from classification_probes import embedding_features, side_by_side

        if cell.model is None:
            return self._bag()
        embeddings = self.embedded(cell)
        dense = embedding_features(embeddings["train"], embeddings["test"])
        return side_by_side(self._bag(), dense) if cell.method in HYBRIDS else dense

    def _bag(self) -> Any:
        from classification_probes import bag_of_words

        if self._words is None:
            self._words = bag_of_words(self.documents["train"]["text"][:], self.documents["test"]["text"][:])
        return self._words

    def embedded(self, cell: Cell) -> dict[str, np.ndarray]:
        """Return the embeddings of all splits by the frozen encoder; made once, and kept in the results' folder."""
        return self.results.embeddings(f"{cell.model}-{cell.reading}", lambda: self._embed(cell))

    def _embed(self, cell: Cell) -> dict[str, np.ndarray]:
        from modeling.frozen_features import embed_documents

        model = self.system(cell).new_classifier(cell.seed).to(self.device())
        model.freeze("all")
        documents, tokenizer = self.tokenized(cell.model)
        collator, size = model.collator(tokenizer), self.protocol.batch_size
        cache = self._cache(cell, model)
        if cache is None:
            return {split: embed_documents(model, part, collator, size) for split, part in documents.items()}
        hidden = model.encoder.config.hidden_size
        return {
            split: cache.embed(
                [document["input_ids"] for document in part],
                hidden,
                lambda places, part=part: embed_documents(model, [part[place] for place in places], collator, size),
            )
            for split, part in documents.items()
        }

    def _cache(self, cell: Cell, model: Any) -> Any:
        """Return the embeddings kept for this model and this way of reading; None where there is no such place."""
        from embedding_cache import EmbeddingCache
        from embedding_files import digest_of_checkpoint

        folder, checkpoint = self.protocol.embedding_cache, Path(self.models[cell.model])
        if folder is None or not checkpoint.is_dir():  # files of the Hub may change under the same name
            return None
        plan = {name: getattr(model.config, name) for name in ("reading", "window_length", "window_overlap")}
        return EmbeddingCache(folder, {"checkpoint": digest_of_checkpoint(checkpoint), **plan})

    def device(self) -> str:
        """Return where to compute."""
        import torch

        return "cuda" if torch.cuda.is_available() and not self.training.use_cpu else "cpu"

    def system(self, cell: Cell) -> Any:
        """Return the system that a cell belongs to."""
        from classification_training import TrainedSystem

        checkpoint = self.models[cell.model]
        return TrainedSystem(
            checkpoint,
            cell,
            self.task.labels,
            self.task.kind,
            self.protocol,
            self.training,
            lambda: self.embedded(cell),
        )

    def tokenized(self, model: str) -> tuple[dict[str, Any], Any]:
        """Return the tokenised documents of each split, and the tokenizer."""
        from collators import tokenize_documents
        from modeling.loading import load_tokenizer

        if self._tokenized is None or self._tokenized[0] != model:
            tokenizer = load_tokenizer(self.models[model])
            parts = {
                split: [{"input_ids": ids} for ids in tokenize_documents(part, tokenizer)["input_ids"][:]]
                for split, part in self.documents.items()
            }
            self._tokenized = (model, (parts, tokenizer))
        return self._tokenized[1]


def read_corpus(protocol: ProtocolOptions, reading: ReadingOptions) -> DatasetDict:
    """Read the corpus; without a validation split, keep a part of the training documents for it."""
    import datasets

    from corpora.hold_out import hold_out
    from corpora.loading import load_corpus

    datasets.disable_progress_bars()  # a fault is one line on stderr
    columns = NoteColumns(
        protocol.text_column,
        protocol.document_id_column,
        label_columns=(protocol.label_column,) if protocol.label_column != "note_category" else (),
        split_column=protocol.split_column,
    )
    corpus = load_corpus(protocol.data, columns, reading)
    for split in ("train", "test"):
        if split not in corpus:
            raise InputError(
                f"there is no split '{split}'",
                file=protocol.data[0],
                remedy="prepare the notes with scripts/prepare_notes.py, or name --split_column",
            )
    if "validation" not in corpus:
        corpus["train"], corpus["validation"] = hold_out(
            corpus["train"], protocol.validation_share, protocol.seed, protocol.label_column
        )
    return corpus


def settings_of(protocol: ProtocolOptions, training: TrainingOptions, labels: LabelOptions, digest: str) -> dict:
    """Return what decides the scores of a cell; which cells there are may change between calls."""
    free = (
        *("data", "output_dir", "models", "methods", "freeze", "readings", "shots", "seeds", "baselines", "restart"),
        "embedding_cache",
    )
    kept = {name: value for name, value in asdict(protocol).items() if name not in (*free, "quiet", "batch_size")}
    return {**kept, **asdict(training), **asdict(labels), "corpus_digest": digest}


def digests(models: dict[str, str]) -> dict[str, str]:
    """Return a digest of each model's files; of one from the Hub its name."""
    from embedding_files import digest_of_model

    return {name: digest_of_model(path) for name, path in models.items()}


def main(argv: list[str] | None = None) -> None:
    """Run the study."""
    protocol, labels, training, reading = RecipeParser(
        OPTIONS,
        description=" ".join(__doc__.split("\n\n")[0].split()),
    ).parse(argv)
    models = named_paths(protocol.models, "--models")
    for checkpoint in models.values():
        check_checkpoint(checkpoint)
    if protocol.baselines:
        further, lines = untouched_models(models)
        models |= further
        for line in lines:
            print(f"warning: {line}", file=sys.stderr)
    find_sources(protocol.data)
    results = ResultFolder(protocol.output_dir, restart=protocol.restart)
    corpus = read_corpus(protocol, reading)
    task = classification_task(
        {split: corpus[split] for split in SPLITS}, protocol.label_column, labels, file=protocol.data[0]
    )
    for line in task.warnings:
        print(f"warning: {line}", file=sys.stderr)
    from corpora.digest import corpus_digest
    from corpora.few_shot import few_shot_shortage
    from modeling.loading import quiet_training

    digest = "-".join(corpus_digest(corpus[split]) for split in SPLITS)
    results.open(settings_of(protocol, training, labels, digest), digests(models))
    study = Study(corpus, task, models, protocol, training, results)
    for size in filter(None, protocol.sizes()):
        shortage = few_shot_shortage(study.targets["train"], size, task.labels)
        if shortage.classes:
            print(f"warning: {shortage.line()}; they give all they have", file=sys.stderr)
    results.write_targets(study.targets["test"], study.documents["test"]["document_id"][:])
    seeds = range(protocol.seed, protocol.seed + protocol.seeds)
    cells = list(
        all_cells(
            list(models),
            protocol.methods,
            protocol.readings,
            protocol.freeze,
            protocol.sizes(),
            seeds,
            baselines=protocol.baselines,
        )
    )
    with quiet_training():
        compute(study, cells, results, quiet=protocol.quiet)
    head = {
        **task.as_dict(),
        "documents": {split: len(targets) for split, targets in study.targets.items()},
        "corpus_digest": digest,
        "reference": next(iter(models), None),
    }
    results.finish(cells, head)
    report(results.folder)


def compute(study: Study, cells: list[Cell], results: ResultFolder, *, quiet: bool) -> None:
    """Compute the cells that are not done yet, system by system."""
    done = 0
    for _, group in itertools.groupby(cells, key=lambda cell: (cell.model, cell.method, cell.reading, cell.frozen)):
        system = None
        for cell in group:
            done += 1
            if results.is_done(cell):
                continue
            started = time.perf_counter()
            if cell.method in TRAINED:
                system = system or study.system(cell)
                documents, tokenizer = study.tokenized(cell.model)
                rows = study.rows(cell)
                found, facts = system.run(cell, documents, study.targets, rows, tokenizer, results.folder)
            else:
                found, settings = study.probe(cell)
                facts = {"trained_parameters": None, "chosen": settings}
            # As they are stored, so that a tie cannot fall another way when they are read.
            found = found.astype("float32")
            facts |= {"metrics": scores(found, study), "seconds": round(time.perf_counter() - started, 2)}
            results.write(cell, found, facts)
            if not quiet:
                print(
                    f"[{done}/{len(cells)}] {cell.id}: macro-F1 {facts['metrics'].get('f1_macro', 0):.3f}", flush=True
                )
        if system is not None:
            system.close()
    shutil.rmtree(results.folder / "trainer", ignore_errors=True)


def scores(probabilities: np.ndarray, study: Study) -> dict[str, float]:
    """Return all scores of a cell on the test documents."""
    from metrics.classification import classification_metrics

    return classification_metrics(probabilities, study.targets["test"], ordinal=study.task.kind == "ordinal")


def report(folder: Path) -> None:
    """Print the table; write the table, the comparisons and the figures beside the results."""
    from reporting.classification_report import main_table, make_report, write_report
    from reporting.classification_results import load_results

    made = make_report(load_results(folder))
    print(main_table(made))
    for file in write_report(made, folder):
        print(file)


if __name__ == "__main__":
    run(main)
