"""Learn at one hospital, predict at another, from encounters as sets of concepts: do embeddings of their names help?

    python scripts/concept_transfer.py --sources north=EVENTS.csv,STAYS.csv --target south=EVENTS.csv,STAYS.csv \
        --embeddings base=BASE adapted=MODEL --output_dir DIR

Classifiers are trained locally, moved as they are, tuned, or trained on both sites; choices are made on validation
encounters, and each cell reads the target's test encounters once. One-hot and random vectors, logistic regression and
the majority stand in the same table. Run the same command again after an interruption: finished cells are not computed
twice.
"""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from command_line import RecipeParser, run
from concept_transfer_cells import TransferCell, TransferFolder, all_cells
from concept_transfer_options import CONTROLS, ConceptOptions, FitOptions, TransferOptions
from corpora.encounter_options import EncounterOptions
from corpora.errors import InputError
from modeling.checkpoint_folder import check_checkpoint
from modeling.concept_embeddings import ConceptTemplates
from named_paths import named_paths

# What decides which cells there are, or where things lie, and not the score of a cell.
FREE_SETTINGS = frozenset(
    (
        *("sources", "target", "target_test", "output_dir", "protocols", "target_sizes", "seeds", "vocabularies"),
        *("renamed_shares", "synonyms", "bayes_network", "restart", "quiet", "embeddings", "settings"),
        *("embedding_cache", "classifiers", "concept_names"),
    )
)


def settings_of(options: list[Any], sites: Any) -> dict[str, Any]:
    """Return what decides the scores of a cell; which cells there are may change between calls."""
    kept = {name: value for part in options for name, value in asdict(part).items() if name not in FREE_SETTINGS}
    return {**kept, "target_digest": sites.target.digest, "test_encounters": len(sites.test)}


def digests(checkpoints: dict[str, str], sites: Any, options: TransferOptions) -> dict[str, str]:
    """Return a digest of each checkpoint, of each source and of the files that cells depend on."""
    from embedding_files import digest_of_model

    found = {name: digest_of_model(path) for name, path in checkpoints.items()}
    found |= {f"site {name}": site.digest for name, site in sites.sources.items()}
    for name in ("synonyms", "bayes_network"):
        file = getattr(options, name)
        if file is not None:
            found[f"--{name}"] = hashlib.blake2b(Path(file).read_bytes(), digest_size=16).hexdigest()
    return found


def check_sizes(options: TransferOptions, sites: Any) -> None:
    """Make sure that every sample and its parts can be drawn, before the first fit.

    Raises:
        InputError: There are too few encounters, or too few of one outcome.
    """
    seeds = range(options.seed, options.seed + options.seeds)
    if set(options.protocols) - {"direct"}:
        for size in options.sizes():
            for seed in seeds:
                sites.parts(sites.target, sites.sample(size, seed), seed)
    if set(options.protocols) - {"local"}:
        for source in sites.sources.values():
            for seed in seeds:
                sites.parts(source, range(len(source)), seed)


def check_names(names: list[str]) -> None:
    """Make sure that names can be part of a file's name.

    Raises:
        InputError: One holds anything but letters, digits and `_ . + -`.
    """
    for name in names:
        if not re.fullmatch(r"[\w.+-]+", name):
            raise InputError(f"'{name}' cannot name a file", remedy="name sites and encoders by letters and digits")


def main(argv: list[str] | None = None) -> None:
    """Run the study."""
    options, concepts, fits, reading = RecipeParser(
        [TransferOptions, ConceptOptions, FitOptions, EncounterOptions],
        description=" ".join(__doc__.split("\n\n")[0].split()),
    ).parse(argv)
    checkpoints = named_paths(concepts.embeddings, "--embeddings")
    check_names([*checkpoints, *named_paths(options.sources, "--sources"), *named_paths([options.target], "--target")])
    for checkpoint in checkpoints.values():
        check_checkpoint(checkpoint)
    if options.bayes_network is not None:
        if not Path(options.bayes_network).is_file():
            raise InputError("no such file", file=options.bayes_network, remedy="check --bayes_network")
        if not reading.positive_values:
            raise InputError("--bayes_network needs the outcome's classes", remedy="give --positive_values")
    ConceptTemplates(concepts.template, concepts.negation, concepts.level)
    folder = TransferFolder(options.output_dir, restart=options.restart)
    from concept_transfer_sites import Sites

    sites = Sites(options, reading)
    check_sizes(options, sites)
    folder.open(settings_of([options, concepts, fits, reading], sites), digests(checkpoints, sites, options))
    for name in ("models", "tables"):
        (folder.folder / name).mkdir(exist_ok=True)
    test = sites.target.select(sites.test)
    folder.write_test(test)
    cells = list(
        all_cells(
            embeddings=[*CONTROLS, *checkpoints],
            settings=concepts.settings,
            classifiers=fits.classifiers,
            protocols=options.protocols,
            sources=list(sites.sources),
            vocabularies=options.overlaps(),
            sizes=options.sizes(),
            seeds=range(options.seed, options.seed + options.seeds),
            ceiling=options.bayes_network is not None,
        )
    )
    overlaps = compute(cells, sites, [concepts, fits], checkpoints, folder, options)
    head = {"target": sites.target.site, "sites": sites.describe(), "overlaps": overlaps, "test_encounters": len(test)}
    folder.finish(cells, head)
    report(folder.folder)


def compute(
    cells: list[TransferCell],
    sites: Any,
    options: list[Any],
    checkpoints: dict[str, str],
    folder: TransferFolder,
    study: TransferOptions,
) -> list[dict[str, Any]]:
    """Compute the cells that are not done yet; return how far the vocabularies of each pair of sites overlap."""
    from concept_transfer_fits import TransferFits
    from concept_transfer_vectors import ConceptVectors
    from metrics.binary_scores import binary_scores
    from modeling.loading import quiet_training

    concepts, fits = options
    computed = TransferFits(sites, ConceptVectors(concepts, checkpoints, folder), fits, folder)
    outcomes = sites.target.outcomes[sites.test]
    with quiet_training():
        for number, cell in enumerate(cells, 1):
            if folder.is_done(cell):
                continue
            started = time.perf_counter()
            found, facts = computed.run(cell, study.seed)
            found = found.astype("float32")  # as they are stored, so that a tie cannot fall another way when read
            facts |= {
                "metrics": binary_scores(found.clip(0, 1), outcomes),
                "seconds": round(time.perf_counter() - started, 2),
            }
            folder.write(cell, found, facts)
            if not study.quiet:
                print(f"[{number}/{len(cells)}] {cell.id}: AUROC {facts['metrics']['auroc']:.4f}", flush=True)
    pairs = dict.fromkeys((cell.vocabulary, cell.source) for cell in cells if cell.source is not None)
    return [
        {"vocabulary": vocabulary, "source": source, **sites.pair(vocabulary, source).overlap}
        for vocabulary, source in pairs
    ]


def report(folder: Path) -> None:
    """Print the table; write the table, the comparisons and the figures beside the results."""
    from reporting.transfer_report import main_tables, make_report, write_report
    from reporting.transfer_results import load_transfer_results

    made = make_report(load_transfer_results(folder))
    print(main_tables(made))
    for file in write_report(made, folder):
        print(file)


if __name__ == "__main__":
    run(main)
