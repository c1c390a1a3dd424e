"""Time of frozen classification over the published protocol: the encoder in every epoch, against stored embeddings.

python benchmarks/frozen_protocol.py --model CHECKPOINT --plain_seeds 1 --plain_epochs 2

The protocol: five seeds x six numbers of labels a class, nested samples, a head trained on a frozen encoder with
validation after each epoch, one pass over the test documents. The plain way runs the encoder over every document in
every epoch; ours stores what the frozen part gives once and trains on that. Both train each cell from the same seed, on
the same batches, with the same trainer, and their test logits must agree to 1e-4, or the exit status is 1.

The documents are notes of the synthetic demo corpus. All cells are run both ways, which takes the plain way hours on a
CPU. Its epochs, and its seeds, are of equal work: `--plain_epochs` and `--plain_seeds` run a part of them, all sizes
each, and the output says what was multiplied; then the logits are compared with those of ours after as many epochs, not
counted in its time. Without a model, a small one is made from scratch. Processor seconds are those of this process, and
do not count what other programs take.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PrinterCallback, set_seed

from collators import tokenize_documents
from collators.classification import LabelledDocuments, collate_frozen
from corpora.demo import DemoOptions, generate_notes
from corpora.few_shot import few_shot_sample
from modeling.frozen_features import embed_documents, store_boundary_states
from modeling.loading import load_tokenizer, quiet_loading, quiet_training
from modeling.note_classifier import NoteClassifier
from trainers.best_weights import BestWeightsCallback
from trainers.classification_arguments import ClassificationArguments
from trainers.classification_trainer import ClassificationTrainer

BOUND = 1e-4


@dataclass
class Spent:
    """Time in seconds, and the largest resident memory of the process up to then in GiB."""

    wall: float = 0.0
    processor: float = 0.0
    peak: float = 0.0

    def measure(self, work: Callable[[], Any]) -> Any:
        """Do some work, and add what it took."""
        wall, processor = time.perf_counter(), time.process_time()
        found = work()
        self.wall += time.perf_counter() - wall
        self.processor += time.process_time() - processor
        unit = 2**20 if sys.platform != "darwin" else 2**30
        self.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        return found


class Protocol:
    """The documents and the way a cell is trained.

    Args:
        options: Of the command line.
        model: Folder or name of the encoder.
        folder: For what the trainer and the frozen part write.
    """

    def __init__(self, options: argparse.Namespace, model: str, folder: Path) -> None:
        self.options, self.model, self.folder = options, model, folder
        self.tokenizer = load_tokenizer(model)
        notes = notes_by_split(options)
        self.labels = sorted({note["specialty"] for note in notes["train"]})
        self.targets = {
            split: np.array([self.labels.index(note["specialty"]) for note in part]) for split, part in notes.items()
        }
        self.ids = [note["document_id"] for note in notes["train"]]
        self.documents = {split: self._tokenized(part) for split, part in notes.items()}

    def _tokenized(self, notes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        rows = Dataset.from_list([{"text": note["text"], "document_id": note["document_id"]} for note in notes])
        return [{"input_ids": ids} for ids in tokenize_documents(rows, self.tokenizer)["input_ids"][:]]

    def classifier(self, seed: int, depth: str) -> NoteClassifier:
        """Return the encoder, frozen to a depth, with a fresh head."""
        set_seed(seed)
        with quiet_loading():
            classifier = NoteClassifier.from_encoder(
                self.model, self.labels, reading="head", window_length=self.options.tokens
            )
        classifier.freeze(depth)
        return classifier

    def stored(self, depth: str) -> dict[str, list[dict[str, Any]]]:
        """Return what the frozen part gives for all documents."""
        model, found = self.classifier(0, depth), {}
        collator, size = model.collator(self.tokenizer), self.options.eval_batch_size
        for split, part in self.documents.items():
            if depth == "all":
                rows = embed_documents(model, part, collator, size)
                found[split] = [{"document_embeddings": row} for row in rows]
            else:
                found[split] = store_boundary_states(model, part, collator, self.folder / f"{split}.f32", size)
        return found

    def train(
        self,
        items: dict[str, list[dict[str, Any]]],
        shots: int,
        seed: int,
        depth: str,
        epochs: int,
        epochs_spent: Spent,
    ) -> np.ndarray:
        """Train a cell on documents or on what is stored of them; return its logits for the test documents.

        What the epochs take is added to `epochs_spent`: all but loading the model and reading the test documents.
        """
        model, is_stored = self.classifier(seed, depth), items is not self.documents
        rows = few_shot_sample(self.targets["train"], shots, seed, self.ids)
        arguments = ClassificationArguments(
            output_dir=str(self.folder / "trainer"),
            freeze=depth,
            learning_rate=1e-3 if depth == "all" else 3e-5,
            head_learning_rate=None if depth == "all" else 1e-3,
            num_train_epochs=epochs,
            per_device_train_batch_size=self.options.train_batch_size,
            per_device_eval_batch_size=self.options.eval_batch_size,
            eval_strategy="epoch",
            save_strategy="no",
            logging_strategy="no",
            use_cpu=self.options.use_cpu,
            report_to=[],
            disable_tqdm=True,
            seed=seed,
        )
        data = {split: LabelledDocuments(items[split], self.targets[split]) for split in ("validation", "test")}
        trainer = ClassificationTrainer(
            model,
            arguments,
            processing_class=self.tokenizer,
            data_collator=collate_frozen if is_stored else model.collator(self.tokenizer),
            train_dataset=LabelledDocuments([items["train"][row] for row in rows], self.targets["train"][rows]),
            eval_dataset=data["validation"],
            callbacks=[BestWeightsCallback()],
        )
        trainer.remove_callback(PrinterCallback)
        epochs_spent.measure(trainer.train)
        return trainer.predict(data["test"]).predictions


def notes_by_split(options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Draw notes of the largest specialties: enough for the largest sample, then validation and test documents."""
    notes = generate_notes(DemoOptions(patients=1_000_000, exact_copies=0, near_copies=0))
    seen = Counter(note["specialty"] for note in islice(notes, 2_000))
    wanted = [name for name, _ in seen.most_common(options.classes)]
    held_out = options.validation_documents + options.test_documents
    found: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    counts: Counter[str] = Counter()
    for note in notes:
        if note["specialty"] not in wanted:
            continue
        if counts[note["specialty"]] < max(options.shots):
            counts[note["specialty"]] += 1
            found["train"].append(note)
        elif len(found["validation"]) + len(found["test"]) < held_out:
            place = "validation" if len(found["validation"]) < options.validation_documents else "test"
            found[place].append(note)
        elif sum(counts.values()) == options.classes * max(options.shots):
            return found
    return found


def small_encoder(folder: Path) -> str:
    """Save an untrained encoder of four layers of 256 and a tokenizer of the demo corpus, and return the folder."""
    from modeling.from_scratch import EncoderSize, scratch_config, train_tokenizer, untrained_model

    notes = islice(generate_notes(DemoOptions(patients=1_000)), 1_000)
    tokenizer = train_tokenizer(Dataset.from_list([{"text": note["text"]} for note in notes]), 3_000)
    set_seed(0)
    untrained_model(scratch_config("roberta", EncoderSize(), tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def compare(
    protocol: Protocol, depth: str, shots: list[int], seeds: int, epochs: int, plain_seeds: int, plain_epochs: int
) -> bool:
    """Time both ways, print them, and tell whether their logits agree."""
    ours, plain, plain_training, ignored = Spent(), Spent(), Spent(), Spent()
    stored = ours.measure(lambda: protocol.stored(depth))
    storing = ours.processor
    logits = {}
    for seed, size in product(range(seeds), shots):
        cell = partial(protocol.train, stored, size, seed, depth)
        logits[seed, size] = ours.measure(lambda cell=cell: cell(epochs, ignored))
    if plain_epochs < epochs:
        for seed, size in product(range(plain_seeds), shots):
            logits[seed, size] = protocol.train(stored, size, seed, depth, plain_epochs, ignored)
    apart, spread = 0.0, 0.0
    for seed, size in product(range(plain_seeds), shots):
        cell = partial(protocol.train, protocol.documents, size, seed, depth)
        found = plain.measure(lambda cell=cell: cell(plain_epochs, plain_training))
        apart = max(apart, float(np.abs(found - logits[seed, size]).max()))
        spread = max(spread, float(found.std(axis=0).max()))
    # Loading and the test documents come once a cell, however many epochs there are.
    more, times = epochs / plain_epochs - 1, seeds / plain_seeds
    wall = times * (plain.wall + more * plain_training.wall)
    processor = times * (plain.processor + more * plain_training.processor)
    whole = more == 0 and times == 1
    lines = [
        (f"stored once: {seeds * len(shots)} cells, {epochs} epochs", ours.wall, ours.processor, ours.peak),
        (f"plain: {plain_seeds * len(shots)} cells, {plain_epochs} epochs", plain.wall, plain.processor, plain.peak),
    ]
    if not whole:
        lines.append((f"plain, EXTRAPOLATED to {seeds * len(shots)} cells, {epochs} epochs", wall, processor, None))
    print(f"\n{'frozen' if depth == 'all' else f'{depth} layers frozen'}: {' '.join(map(str, shots))} labels a class")
    print(f"{'':<52}{'seconds':>10}{'processor s':>13}{'peak GiB':>10}")
    for label, seconds, busy, peak in lines:
        print(f"{label:<52}{seconds:>10,.1f}{busy:>13,.1f}{'' if peak is None else f'{peak:.2f}':>10}")
    print(f"of ours, {storing:.1f} processor s to make what is stored")
    print(
        f"ratio: {wall / ours.wall:.1f} x in seconds, {processor / ours.processor:.1f} x in processor seconds "
        f"({'all cells timed' if whole else 'the plain way extrapolated'})"
    )
    agrees = apart <= BOUND
    print(
        f"test logits of {plain_seeds * len(shots)} cells after {plain_epochs} epochs: at most {apart:.1e} apart (they "
        f"vary by {spread:.2g} over documents): {'agree' if agrees else 'DO NOT AGREE'} to {BOUND:g}",
        flush=True,
    )
    return agrees


def main() -> int:
    """Compare both ways for a frozen and a partly frozen encoder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="checkpoint folder or Hub id; a small one from scratch by default")
    parser.add_argument("--shots", type=int, nargs="+", default=[8, 16, 32, 64, 128, 200], help="labels a class")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plain_seeds", type=int, help="seeds that the plain way is timed for; all by default")
    parser.add_argument("--epochs", type=int, default=50, help="of a head on the frozen encoder, as in the study")
    parser.add_argument("--plain_epochs", type=int, help="epochs that the plain way is timed for; all by default")
    parser.add_argument("--tokens", type=int, default=64, help="tokens at the head of a note that are read")
    parser.add_argument("--classes", type=int, default=3, help="specialties of the demo corpus, at most 8")
    parser.add_argument("--validation_documents", type=int, default=30)
    parser.add_argument("--test_documents", type=int, default=60)
    parser.add_argument("--depth", type=int, help="frozen layers of the partly frozen encoder; all but one by default")
    parser.add_argument("--depth_shots", type=int, nargs="*", default=[32], help="its labels a class; none: leave out")
    parser.add_argument("--depth_epochs", type=int, default=3)
    parser.add_argument("--train_batch_size", type=int, default=32)
    parser.add_argument("--eval_batch_size", type=int, default=16)
    parser.add_argument("--use_cpu", action="store_true", help="leave a GPU alone")
    options = parser.parse_args()
    plain = (
        min(options.plain_seeds or options.seeds, options.seeds),
        min(options.plain_epochs or options.epochs, options.epochs),
    )
    with tempfile.TemporaryDirectory() as folder, quiet_training():
        model = options.model or small_encoder(Path(folder) / "encoder")
        protocol = Protocol(options, model, Path(folder))
        encoder = protocol.classifier(0, "none").encoder
        layers = encoder.config.num_hidden_layers
        lengths = [len(document["input_ids"]) for part in protocol.documents.values() for document in part]
        threads = torch.get_num_threads()
        print(
            f"{options.model or 'from scratch'}: {layers} layers of {encoder.config.hidden_size}, "
            f"{encoder.num_parameters():,} parameters; {len(lengths)} notes, read to {options.tokens} of "
            f"{int(np.median(lengths))} tokens (median), {options.classes} classes; {threads} thread(s)",
            flush=True,
        )
        agrees = compare(protocol, "all", options.shots, options.seeds, options.epochs, *plain)
        if options.depth_shots:
            protocol = Protocol(
                argparse.Namespace(**{**vars(options), "shots": options.depth_shots}), model, Path(folder)
            )
            depth = str(options.depth if options.depth is not None else layers - 1)
            agrees &= compare(protocol, depth, options.depth_shots, 1, options.depth_epochs, 1, options.depth_epochs)
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
