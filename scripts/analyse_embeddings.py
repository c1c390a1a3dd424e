"""What happened to the embedding space: geometry, clusters, retrieval and similarity graphs of one or several models.

    python scripts/analyse_embeddings.py base=BASE adapted=MODEL --data corpus --label_column specialty --output_dir DIR

writes `page.html` (open it in a browser; it needs no network), `table.md`, figures for papers, `results.json` and the
maps' coordinates. Run the same command again after an interruption, or with a further model: what is done is kept.
`--shard I/N` measures every N-th model only, for machines that work side by side; the command without it, run last,
finds their work done and writes the page.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_line import RecipeParser, run
from corpora.errors import InputError
from corpora.json_files import read_json, write_json
from corpora.records import ReadingOptions
from corpora.shards import Shard
from embedding_files import EmbeddingOutput, digest_of_model, read_embeddings
from encoder_options import EncoderOptions
from modeling.checkpoint_folder import check_checkpoint
from modeling.devices import check_device
from space_documents import Source, SpaceDocuments, halves, matched_embeddings, read_documents, read_sources
from space_options import MeasureOptions, SpaceOptions

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset

    from corpora.text_pairs import TextPairs
    from space_measures import Space

RESULTS, MARK = "results.json", "analysis.json"
OPTIONS = (SpaceOptions, MeasureOptions, EncoderOptions, ReadingOptions)
WRITTEN = ("models", "coordinates", "embeddings", "figures")  # folders that --restart deletes
SCHEMA_VERSION = 1


class Analysis:
    """One run: its documents, its options, its folder.

    Args:
        documents: What is analysed.
        pairs: Rated text pairs; None without.
        options: Which models and documents.
        measuring: How it is measured.
        encoding: How checkpoints read documents.
    """

    def __init__(
        self,
        documents: SpaceDocuments,
        pairs: TextPairs | None,
        options: SpaceOptions,
        measuring: MeasureOptions,
        encoding: EncoderOptions,
    ) -> None:
        self.documents, self.pairs = documents, pairs
        self.options, self.measuring, self.encoding = options, measuring, encoding
        self.folder = Path(options.output_dir)
        self._halves: Dataset | None = None
        if documents.texts is not None and measuring.alignment_documents:
            self._halves = halves(documents.texts, measuring.alignment_documents, options.seed)

    def record(self, source: Source) -> dict[str, Any]:
        """Return what is measured of a model, from an earlier run where nothing has changed since."""
        space = self._space(source)
        fingerprint = self._fingerprint(space)
        file = self.folder / "models" / f"{source.name}.json"
        stored = read_json(file)  # None too of one that was cut short, which is measured again
        if stored is not None and stored.pop("fingerprint", None) == fingerprint and self._has_coordinates(source):
            return stored
        from space_measures import measure_space

        found, maps = measure_space(space, len(self.documents.labels), self.measuring, self.options.seed)
        self._write_coordinates(source, maps)
        file.parent.mkdir(exist_ok=True)
        write_json(file, {**found, "fingerprint": fingerprint})
        return found

    def embeddings(self, source: Source) -> np.ndarray:
        """Return a model's embeddings of the documents, encoded once."""
        if source.is_file:
            return matched_embeddings(source.path, self.documents)
        return self._encoded(source, "", self.documents.texts)

    def _space(self, source: Source) -> Space:
        import numpy as np

        from space_measures import Space

        space: dict[str, Any] = {"embeddings": self.embeddings(source), "categories": self.documents.categories}
        if not source.is_file:
            if self._halves is not None:
                parts = self._encoded(source, "-halves", self._halves)
                space["halves"] = (parts[0::2], parts[1::2])
            if self.pairs is not None:
                parts = self._encoded(source, "-pairs", _as_documents(self.pairs))
                space["rated"] = (parts[0::2], parts[1::2], np.asarray(self.pairs.ratings))
        return Space(source.name, **space)

    def _encoded(self, source: Source, what: str, texts: Dataset) -> np.ndarray:
        """Encode texts to a file of the output folder, unless the same model has encoded the same texts into it."""
        from corpora.digest import corpus_digest
        from encoded_documents import encode_documents

        folder = Path(self.options.embeddings_dir or self.folder / "embeddings")
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{source.name}{what}.npy"
        made_of = {
            "checkpoint": digest_of_model(source.path),
            "texts": corpus_digest(texts),
            **{name: value for name, value in asdict(self.encoding).items() if name not in ("batch_size", "device")},
        }
        note = file.with_suffix(".json")
        with _alone(file):
            kept = _read_if_whole(file) if read_json(note) == made_of else None
            if kept is None:
                note.unlink(missing_ok=True)
                output = EmbeddingOutput(file, overwrite=True)
                output.prepare()
                try:
                    encode_documents(texts, source.path, self.encoding, output, quiet=self.options.quiet)
                finally:
                    output.abandon()
                write_json(note, made_of)
                kept = read_embeddings(file, in_memory=False)[0]
            return kept

    def _fingerprint(self, space: Space) -> str:
        """Return a digest of all that decides the measures."""
        import numpy as np
        import xxhash

        state = xxhash.xxh3_128()
        arrays = [space.embeddings, *(space.halves or ()), *(space.rated or ())]
        if space.categories is not None:
            arrays.append(space.categories)
        for array in arrays:
            state.update(f"{array.shape}{array.dtype}".encode())
            for start in range(0, len(array), 65_536):
                state.update(np.ascontiguousarray(array[start : start + 65_536]).tobytes())
        state.update(json.dumps([asdict(self.measuring), self.options.seed, self.documents.labels]).encode())
        return state.hexdigest()

    def _coordinates(self, source: Source) -> Path:
        return self.folder / "coordinates" / f"{source.name}.parquet"

    def _has_coordinates(self, source: Source) -> bool:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            pq.read_metadata(self._coordinates(source))
        except (OSError, pa.ArrowInvalid):
            return False
        return True

    def _write_coordinates(self, source: Source, maps: dict[str, np.ndarray]) -> None:
        import numpy as np
        import pyarrow as pa
        import pyarrow.parquet as pq

        documents, file = self.documents, self._coordinates(source)
        places = documents.categories if documents.categories is not None else np.full(len(documents.ids), -1)
        columns: dict[str, Any] = {
            "document_id": pa.array(documents.ids, pa.string()),
            "category": pa.array([documents.labels[place] if place >= 0 else None for place in places], pa.string()),
            "split": pa.array(documents.splits or [None] * len(documents.ids), pa.string()),
        }
        for name, places_of in maps.items():
            for axis, values in zip("xy", places_of.T, strict=True):
                columns[f"{name}_{axis}"] = pa.array(values, pa.float32(), mask=np.isnan(values))
        file.parent.mkdir(exist_ok=True)
        partial = file.with_suffix(".partial")
        pq.write_table(pa.table(columns), partial)
        partial.replace(file)

    def results(self, records: list[dict[str, Any]], cka: list[list[float]]) -> dict[str, Any]:
        """Return what `results.json` holds."""
        import numpy as np

        documents, options = self.documents, self.options
        categories = documents.categories
        counts = [] if categories is None else np.bincount(categories[categories >= 0], minlength=len(documents.labels))
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "embedding_space",
            "notespace_version": version("notespace"),
            "documents": len(documents.ids),
            "without_category": 0 if categories is None else int((categories < 0).sum()),
            "label_column": options.label_column,
            "categories": list(documents.labels),
            "category_counts": [int(count) for count in counts],
            "corpus_digest": documents.digest,
            "reference": options.reference or records[0]["name"],
            "settings": {
                "documents_found": documents.found,
                "splits": list(dict.fromkeys(documents.splits)),
                "min_class_documents": options.min_class_documents,
                "seed": options.seed,
                "similarity_pairs": 0 if self.pairs is None else len(self.pairs),
                **{name: value for name, value in asdict(self.measuring).items() if not name.startswith("similarity_")},
                **{name: getattr(self.encoding, name) for name in ("max_length", "window_overlap", "windows")},
            },
            "models": records,
            "cka": cka,
        }


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Wait for other runs that encode to the same file of a shared folder."""
    with file.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read_if_whole(file: Path) -> np.ndarray | None:
    """Return kept embeddings; None where they are not all there and have to be encoded again."""
    try:
        return read_embeddings(file, in_memory=False)[0]
    except InputError:
        return None


def main(argv: list[str] | None = None) -> None:
    """Analyse as the command line says."""
    options, measuring, encoding, reading = RecipeParser(
        OPTIONS,
        description=" ".join(__doc__.split("\n\n")[0].split()),
    ).parse(argv)
    shard = Shard.parse(options.shard) or Shard(1, 1)
    sources = read_sources(options.spaces)
    for source in sources:
        if not source.is_file:
            check_checkpoint(source.path)
    names = [source.name for source in sources]
    if options.reference not in (None, *names):
        raise InputError(f"--reference {options.reference} is no model", remedy=f"choose from {', '.join(names)}")
    if measuring.similarity_file and all(source.is_file for source in sources):
        raise InputError("--similarity_file needs a checkpoint to embed its texts")
    _check_folder(Path(options.output_dir))
    check_device(encoding.device)  # before documents are read and the folder is made
    documents = read_documents(options, reading, sources)
    for source in sources:
        if source.is_file:
            matched_embeddings(source.path, documents)  # a missing id is told before anything is computed
    pairs = None
    if measuring.similarity_file:
        from corpora.text_pairs import read_text_pairs

        pairs = read_text_pairs(measuring.similarity_file, *measuring.similarity_columns)
    _prepare_folder(Path(options.output_dir), restart=options.restart)
    analysis = Analysis(documents, pairs, options, measuring, encoding)
    if len(documents.ids) < documents.found:
        print(
            f"{len(documents.ids):,} of {documents.found:,} documents are drawn; --max_documents 0 takes all",
            file=sys.stderr,
        )
    records = []
    own = [source for place, source in enumerate(sources) if shard.owns(place)]
    for number, source in enumerate(own, 1):
        started = time.perf_counter()
        records.append(analysis.record(source))
        if not options.quiet:
            took = time.perf_counter() - started
            print(f"[{number}/{len(own)}] {source.name}: {took:.0f} s", file=sys.stderr, flush=True)
    if options.shard is not None:
        measured = ", ".join(source.name for source in own) or "no model"
        print(f"Shard {shard} measured {measured}; when all have run, the same command without --shard writes the page")
        return
    from metrics.representation_similarity import linear_cka

    spaces = [analysis.embeddings(source) for source in sources]
    cka = [[1.0] * len(spaces) for _ in spaces]
    for first in range(len(spaces)):
        for second in range(first):
            cka[first][second] = cka[second][first] = linear_cka(spaces[first], spaces[second])
    folder = Path(options.output_dir)
    write_json(folder / RESULTS, analysis.results(records, cka))
    report(folder, figures=options.figures, quiet=options.quiet)


def report(folder: Path, *, figures: bool = True, quiet: bool = False) -> None:
    """Print the table; write it, the figures and the page beside the results."""
    from reporting.space_figures import write_space_figures
    from reporting.space_page import write_space_page
    from reporting.space_results import load_space_results
    from reporting.space_tables import space_table

    results = load_space_results(folder)
    table = space_table(results)
    if not quiet:
        print(f"{table}\n")
    (folder / "table.md").write_text(table + "\n", encoding="utf-8")
    if figures:
        write_space_figures(results, folder / "figures")
    print(f"Page: {write_space_page(results, folder / 'page.html')}")


def _as_documents(pairs: TextPairs) -> Dataset:
    from datasets import Dataset

    texts = [text for both in zip(pairs.first, pairs.second, strict=True) for text in both]
    return Dataset.from_dict({"document_id": [f"pair-{row}" for row in range(len(texts))], "text": texts})


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError("the output is a file, not a folder", file=folder, remedy="choose another --output_dir")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise InputError(
            "the output folder holds files that are not of an analysis", file=folder, remedy="choose another one"
        )


def _prepare_folder(folder: Path, *, restart: bool) -> None:
    if restart:
        for name in WRITTEN:
            shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MARK).is_file():
        # Shards may start at once: each brings a mark of its own, whole, and the last one stays.
        own = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
        write_json(own, {"kind": "embedding_space", "schema_version": SCHEMA_VERSION})
        own.replace(folder / MARK)


if __name__ == "__main__":
    run(main)
