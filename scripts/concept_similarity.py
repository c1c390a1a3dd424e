"""Do vectors of concept names know what people know: how alike two concepts are, and which of them are related?

    python scripts/concept_similarity.py --pairs ratings=PAIRS.csv --relations may_treat=RELATIONS.csv \
        --models base=BASE adapted=MODEL --output DIR

Rated pairs (columns first, second, rating) are correlated with cosines; of related pairs (columns first, second,
first_kind, second_kind) those are counted whose cosine exceeds the 95th percentile of random pairs of the same kinds.
Random vectors and the letters of the names stand in the same table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import RecipeParser, run
from corpora.concept_relations import ConceptRelation, read_relations
from corpora.errors import InputError
from corpora.json_files import write_json
from corpora.text_pairs import TextPairs, read_text_pairs
from modeling.checkpoint_folder import check_checkpoint
from named_paths import named_paths

if TYPE_CHECKING:
    import numpy as np

    from reporting.concept_similarity_report import SimilarityScore

RANDOM, LETTERS = "random", "letters"
RESULTS = "results.json"


@dataclass(kw_only=True)
class SimilarityOptions:
    """What is measured on what."""

    _argument_group_name = "Concept similarity"

    models: list[str] = field(
        metadata={"help": "NAME=CHECKPOINT of text encoders; random and letters are there as controls in any case."}
    )
    pairs: list[str] = field(default_factory=list, metadata={"help": "NAME=FILE of rated pairs of concept names."})
    pair_columns: list[str] = field(
        default_factory=lambda: ["first", "second", "rating"],
        metadata={"help": "Columns of --pairs: first name, second name, rating."},
    )
    relations: list[str] = field(
        default_factory=list,
        metadata={"help": "NAME=FILE of related pairs, with the columns first, second, first_kind and second_kind."},
    )
    output: str = field(metadata={"help": "Folder for results.json, table.md and the figure (PNG and SVG)."})
    template: str = field(default="{name}", metadata={"help": "Text of a concept that the encoders read."})
    embedding_cache: str | None = field(
        default=None, metadata={"help": "Folder where embeddings of concepts are kept for other studies."}
    )
    null_pairs: int = field(default=10_000, metadata={"help": "Random pairs of each two kinds of --relations."})
    seed: int = field(default=0, metadata={"help": "Of random vectors, random pairs and intervals."})
    overwrite: bool = field(default=False, metadata={"help": "Replace earlier results in the output folder."})

    def __post_init__(self) -> None:
        if not self.pairs and not self.relations:
            raise ValueError("nothing to measure; give --pairs, --relations or both")
        if len(self.pair_columns) != 3:
            raise ValueError("--pair_columns needs three names: first name, second name, rating")
        if self.null_pairs < 100:
            raise ValueError("--null_pairs is below 100, too few for a 95th percentile")
        if self.seed < 0:
            raise ValueError("--seed is below 0")


@dataclass(frozen=True)
class Benchmark:
    """A file of pairs.

    Args:
        name: What it is called.
        content: Rated pairs, or related ones.
    """

    name: str
    content: TextPairs | list[ConceptRelation]

    @property
    def kind(self) -> str:
        """`rated` or `related`."""
        return "rated" if isinstance(self.content, TextPairs) else "related"

    @property
    def names(self) -> list[str]:
        """The different names of concepts, in their first order."""
        pairs = self.content
        if isinstance(pairs, TextPairs):
            return list(dict.fromkeys([*pairs.first, *pairs.second]))
        return list(dict.fromkeys(name for pair in pairs for name in (pair.first, pair.second)))


def main(argv: list[str] | None = None) -> None:
    """Measure as the command line says."""
    (options,) = RecipeParser([SimilarityOptions], description=" ".join(__doc__.split("\n\n")[0].split())).parse(argv)
    output = Path(options.output)
    if output.exists() and not output.is_dir():
        raise InputError("the output is a file", file=output, remedy="give a folder")
    if (output / RESULTS).exists() and not options.overwrite:
        raise InputError("the output holds results", file=output, remedy="choose another folder, or pass --overwrite")
    checkpoints = named_paths(options.models, "--models")
    for name, checkpoint in checkpoints.items():
        if name in (RANDOM, LETTERS):
            raise InputError(f"--models {name} is the name of a control", remedy="give the encoder another")
        check_checkpoint(checkpoint)
    benchmarks = read_benchmarks(options)
    from reporting.concept_similarity_report import scores_json, scores_table, write_figure
    from reporting.report_folder import write_report_files

    scores = list(measure(benchmarks, checkpoints, options))
    table = scores_table(scores)
    values = {"seed": options.seed, "null_pairs": options.null_pairs, "template": options.template}

    def write(partial: Path) -> None:
        (partial / "table.md").write_text(table + "\n", encoding="utf-8")
        write_figure(scores, partial)
        write_json(partial / RESULTS, {**scores_json(scores), **values})

    files = write_report_files(output, write, [])
    print(table + "\n\n" + "\n".join(map(str, files)))


def read_benchmarks(options: SimilarityOptions) -> list[Benchmark]:
    """Read the files of pairs.

    Raises:
        InputError: A file cannot be read or is at fault, two have the same name, or the template holds no name.
    """
    from corpora.encounters import ConceptState
    from modeling.concept_embeddings import ConceptTemplates, concept_texts

    rated = named_paths(options.pairs, "--pairs")
    related = named_paths(options.relations, "--relations")
    for name in rated.keys() & related.keys():
        raise InputError(f"--pairs and --relations both name '{name}'", remedy="give different names")
    templates = ConceptTemplates(options.template)
    found = [Benchmark(name, read_text_pairs(file, *options.pair_columns)) for name, file in rated.items()]
    found += [Benchmark(name, read_relations(file)) for name, file in related.items()]
    for one, file in zip(found, [*rated.values(), *related.values()], strict=True):
        try:
            concept_texts([ConceptState(name, name) for name in one.names], templates)
        except InputError as error:  # a name of signs alone
            raise InputError(error.problem, file=file, remedy="mend or remove its rows") from error
    return found


def measure(
    benchmarks: list[Benchmark], checkpoints: dict[str, str], options: SimilarityOptions
) -> Iterator[SimilarityScore]:
    """Score the controls and each encoder on each benchmark; encoders as they are and centred."""
    from corpora.encounters import ConceptState
    from modeling.concept_embeddings import random_vectors

    states = [ConceptState(name, name) for name in dict.fromkeys(name for one in benchmarks for name in one.names)]
    place = {state.name: row for row, state in enumerate(states)}
    rows = [[place[name] for name in one.names] for one in benchmarks]
    for model in (RANDOM, LETTERS, *checkpoints):
        if model == RANDOM:
            vectors = random_vectors(states, seed=options.seed)
        elif model == LETTERS:
            vectors = letter_vectors([state.name for state in states])
        else:
            vectors = text_vectors(states, checkpoints[model], options)
        for one, chosen in zip(benchmarks, rows, strict=True):
            for centred in (False, True) if model in checkpoints else (False,):
                own = vectors[chosen]
                yield score(one, model, own - own.mean(0) if centred else own, centred, options)


def text_vectors(states: list, checkpoint: str, options: SimilarityOptions) -> np.ndarray:
    """Embed names by an encoder, `(states, hidden)` float32."""
    from modeling.concept_embeddings import ConceptTemplates, embed_concepts
    from modeling.loading import quiet_training

    with quiet_training():
        return embed_concepts(states, checkpoint, ConceptTemplates(options.template), options.embedding_cache)


def letter_vectors(names: list[str]) -> np.ndarray:
    """Return counts of 2 to 4 letters in a row, hashed, `(names, 4096)` float32: names that are spelt alike."""
    from sklearn.feature_extraction.text import HashingVectorizer

    counts = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=4096, alternate_sign=False)
    return counts.transform(names).toarray().astype("float32")


def score(
    benchmark: Benchmark, model: str, vectors: np.ndarray, centred: bool, options: SimilarityOptions
) -> SimilarityScore:
    """Score vectors of the benchmark's names, in their order."""
    from metrics.concept_similarity import relation_benchmark, similarity_of_rated_pairs
    from reporting.concept_similarity_report import SimilarityScore

    content, names = benchmark.content, benchmark.names
    if isinstance(content, TextPairs):
        rated = similarity_of_rated_pairs(names, vectors, content, options.seed)
        found, kinds = rated.spearman, ()
        counts = (rated.pairs, rated.left_out)
    else:
        related = relation_benchmark(names, vectors, content, options.seed, options.null_pairs)
        found, kinds = related.share, related.by_kinds
        counts = (related.pairs, related.left_out)
    return SimilarityScore(benchmark.name, benchmark.kind, model, centred, found, *counts, kinds)


if __name__ == "__main__":
    run(main)
