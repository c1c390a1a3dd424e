"""Frozen embeddings probed by logistic regression, beside TF-IDF: `python scripts/probe.py --data corpus ...`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from column_options import DocumentColumns
from command_line import RecipeParser, run
from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.json_files import write_json
from corpora.records import ReadingOptions
from embedding_files import read_embeddings, rows_of_documents
from encoder_options import EncoderOptions
from modeling.checkpoint_folder import check_checkpoint
from named_paths import named_paths

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset, DatasetDict

    from frozen_probe import LabelledSplit, ProbeRow


@dataclass(kw_only=True)
class ProbeOptions(DocumentColumns):
    """What to probe."""

    _argument_group_name = "Probe"

    data: list[str] = field(metadata={"help": "Folder of prepare_notes.py, or files of notes."})
    label_columns: list[str] = field(metadata={"help": "Labels to predict; documents without one are left out."})
    embeddings: list[str] = field(
        default_factory=list,
        metadata={"help": "NAME=FILE of encode.py, matched by document id; it may hold more documents."},
    )
    models: list[str] = field(
        default_factory=list, metadata={"help": "NAME=CHECKPOINT, encoded here; folder or Hub id."}
    )
    train_split: str = field(default="train", metadata={"help": "Split to fit on."})
    test_split: str = field(default="test", metadata={"help": "Split to score on."})
    shots: list[int] = field(
        default_factory=lambda: [16], metadata={"help": "Labelled documents a class in few-shot rows; 0 for none."}
    )
    seeds: int = field(default=5, metadata={"help": "Training samples drawn for each row."})
    seed: int = field(default=0, metadata={"help": "First seed."})
    min_class_documents: int = field(
        default=1,
        metadata={
            "help": "Leave out classes with fewer training documents, from both splits; their number is printed."
        },
    )
    c: float = field(default=30.0, metadata={"help": "Inverse strength of the penalty of the logistic regression."})
    output: str | None = field(default=None, metadata={"help": "JSON file for all scores."})
    overwrite: bool = field(default=False, metadata={"help": "Replace an existing output."})
    markdown: bool = field(default=False, metadata={"help": "Print the table in Markdown."})
    split_column: str | None = field(
        default=None, metadata={"help": "Column of train, validation or test, in files of notes."}
    )
    quiet: bool = field(default=False, metadata={"help": "No progress bars."})

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError("--seeds is below 1; give at least 1")
        if self.min_class_documents < 1:
            raise ValueError("--min_class_documents is below 1; give at least 1")
        if self.c <= 0:
            raise ValueError("--c is not positive; 30 is the setting of the published baselines")
        if min(self.shots) < 0:
            raise ValueError("--shots is below 0; give the labelled documents a class, or 0 for no few-shot rows")


def main(argv: list[str] | None = None) -> None:
    """Probe as the command line says."""
    options, encoding, reading = RecipeParser(
        [ProbeOptions, EncoderOptions, ReadingOptions], description=__doc__
    ).parse(argv)
    files = named_paths(options.embeddings, "--embeddings")
    models = named_paths(options.models, "--models")
    if twice := files.keys() & models.keys():
        raise InputError(f"the name '{min(twice)}' stands for an embedding file and for a model")
    for folder in models.values():
        check_checkpoint(folder)
    output = _output(options)
    stored = {name: read_embeddings(file) for name, file in files.items()}
    splits = _splits(options, reading)
    embedded = {name: _matched(files[name], *stored[name], splits) for name in stored}
    for name, folder in models.items():
        encoder = encoding.load(folder)
        embedded[name] = {
            split: encoder.encode(part["text"], encoding.batch_size, show_progress_bar=not options.quiet)
            for split, part in splits.items()
        }
    from frozen_probe import ProbeSettings, probe_label

    shots = tuple(sorted({count for count in options.shots if count}))
    settings = ProbeSettings(c=options.c, seeds=options.seeds, shots=shots, seed=options.seed)
    rows: list[ProbeRow] = []
    counts = {}
    for label in options.label_columns:
        train, test = _labelled(splits, label, embedded, options)
        counts[label] = _counts(train, test)
        _warn(label, counts[label], shots)
        rows += probe_label(label, train, test, settings)
        if not options.quiet:
            print(f"probed {label}", file=sys.stderr)
    print(table(rows, markdown=options.markdown))
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            output,
            {
                "settings": {**asdict(settings), **_choices(options)},
                "documents": counts,
                "rows": [row.as_dict() for row in rows],
            },
        )
        print(f"\nScores: {output}")


def _output(options: ProbeOptions) -> Path | None:
    if options.output is None:
        return None
    path = Path(options.output)
    if path.is_dir() or (path.exists() and not options.overwrite):
        raise InputError("the output exists", file=path, remedy="choose another name, or pass --overwrite")
    if path.parent.exists() and not path.parent.is_dir():
        raise InputError("the output's folder is a file", file=path.parent)
    return path


def _choices(options: ProbeOptions) -> dict[str, Any]:
    names = ("train_split", "test_split", "min_class_documents")
    return {name: getattr(options, name) for name in names}


def _splits(options: ProbeOptions, reading: ReadingOptions) -> dict[str, Dataset]:
    """Return the training and the test split, under these two names, without documents that bear no label at all."""
    from corpora.loading import load_corpus

    columns = NoteColumns(
        options.text_column,
        options.document_id_column,
        label_columns=tuple(options.label_columns),
        split_column=options.split_column,
    )
    corpus: DatasetDict = load_corpus(options.data, columns, reading)
    if options.train_split == options.test_split:
        raise InputError("--train_split and --test_split are the same", remedy="score on other documents")
    for split, other in ((options.train_split, options.test_split), (options.test_split, options.train_split)):
        if split not in corpus:
            # The other one is no choice: nobody should score on the documents that probes were fitted on.
            choices = ", ".join(name for name in corpus if name != other)
            remedy = "prepare the notes with scripts/prepare_notes.py, or name --split_column"
            raise InputError(
                f"there is no split '{split}'",
                file=options.data[0],
                remedy=f"choose from {choices}" if choices else remedy,
            )
    parts = {}
    for name, split in (("train", options.train_split), ("test", options.test_split)):
        columns_of_labels = [corpus[split][label] for label in options.label_columns]
        labelled = [i for i, values in enumerate(zip(*columns_of_labels, strict=True)) if any(_is_set(values))]
        parts[name] = corpus[split].select(labelled)
    return parts


def _is_set(values: Sequence[Any]) -> list[bool]:
    return [value is not None for value in values]


def _matched(
    file: str, embeddings: np.ndarray, ids: Sequence[str], splits: Mapping[str, Dataset]
) -> dict[str, np.ndarray]:
    """Return the embeddings of each split's documents, in the order of the documents."""
    return {
        split: embeddings[rows_of_documents(ids, part["document_id"][:], file, f" of the {split} split")]
        for split, part in splits.items()
    }


def _labelled(
    splits: Mapping[str, Dataset],
    label: str,
    embedded: Mapping[str, Mapping[str, np.ndarray]],
    options: ProbeOptions,
) -> tuple[LabelledSplit, LabelledSplit]:
    """Return the training and the test documents that bear a label of a class that is not left out."""
    import numpy as np

    from frozen_probe import LabelledSplit

    values = {split: part[label][:] for split, part in splits.items()}
    if any(isinstance(value, list) for part in values.values() for value in part):
        raise InputError(
            "documents bear several values of this label",
            file=options.data[0],
            column=label,
            remedy="probe a single-valued label",
        )
    known = Counter(str(value) for value in values["train"] if value is not None)
    rare = {name for name, count in known.items() if count < options.min_class_documents}
    # A class of the test split that is not in training is rare as well.
    if options.min_class_documents > 1:
        rare |= {str(value) for value in values["test"] if value is not None} - known.keys()
    parts = []
    for split, part in splits.items():
        rows = [row for row, value in enumerate(values[split]) if value is not None and str(value) not in rare]
        if not rows and any(_is_set(values[split])):
            raise InputError(
                f"all documents of the {split} split are of classes with fewer than {options.min_class_documents:,} "
                "training documents",
                file=options.data[0],
                column=label,
                remedy="lower --min_class_documents",
            )
        if not rows:
            raise InputError(f"no document of the {split} split bears this label", file=options.data[0], column=label)
        if rare:
            dropped = sum(value is not None for value in values[split]) - len(rows)
            print(
                f"{label}: {len(rare)} classes with fewer than {options.min_class_documents} training documents left "
                f"out, {dropped} documents of the {split} split",
                file=sys.stderr,
            )
        parts.append(
            LabelledSplit(
                texts=part.select(rows)["text"][:],
                labels=np.array([str(values[split][row]) for row in rows]),
                embeddings={name: vectors[split][rows] for name, vectors in embedded.items()},
            )
        )
    return parts[0], parts[1]


def _counts(train: LabelledSplit, test: LabelledSplit) -> dict[str, Any]:
    import numpy as np

    return {
        split: dict(zip(*(array.tolist() for array in np.unique(part.labels, return_counts=True)), strict=True))
        for split, part in (("train", train), ("test", test))
    }


def _warn(label: str, counts: Mapping[str, Mapping[str, int]], shots: Sequence[int]) -> None:
    unseen = counts["test"].keys() - counts["train"].keys()
    if unseen:
        print(f"warning: {label}: {len(unseen)} classes of the test split are not in training", file=sys.stderr)
    for count in shots:
        few = sum(total < count for total in counts["train"].values())
        if few:
            print(f"warning: {label}: {few} classes have fewer than {count} training documents", file=sys.stderr)


def table(rows: Sequence[ProbeRow], *, markdown: bool = False) -> str:
    """Lay scores out: a line for each kind of features, a column for each label and number of training documents.

    Args:
        rows: The scores.
        markdown: A Markdown table rather than aligned columns.

    Returns:
        Macro-F1 as mean [95 % interval].
    """
    columns = list(dict.fromkeys((row.label, row.shots) for row in rows))
    cells = {(row.features, row.label, row.shots): row for row in rows}
    lines = [["macro-F1", *(f"{label}, {'all' if shots is None else f'{shots} a class'}" for label, shots in columns)]]
    for features in dict.fromkeys(row.features for row in rows):
        found = [cells[features, label, shots] for label, shots in columns]
        lines.append([features, *(f"{r.macro_f1:.3f} [{r.interval[0]:.3f}, {r.interval[1]:.3f}]" for r in found)])
    if markdown:
        rule = ["---", *("---:" for _ in columns)]
        return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


if __name__ == "__main__":
    run(main)
