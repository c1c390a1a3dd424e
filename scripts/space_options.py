"""Options of analyse_embeddings.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from column_options import DocumentColumns


@dataclass(kw_only=True)
class SpaceOptions(DocumentColumns):
    """What is analysed."""

    _argument_group_name = "Analysis"

    spaces: list[str] = field(
        metadata={
            "positional": True,
            "help": "Checkpoint folders, Hub ids, or .npy and .parquet files of encode.py, each as NAME=PATH or PATH; "
            "they begin the command line.",
        }
    )
    output_dir: str = field(
        metadata={"help": "Folder of the page, tables and figures; the same command goes on where it stopped."}
    )
    data: list[str] = field(
        default_factory=list,
        metadata={"help": "Folder of prepare_notes.py, or files of notes; not needed for files without categories."},
    )
    embeddings_dir: str | None = field(
        default=None,
        metadata={
            "help": "Folder where embeddings are kept; analyses of the same documents by other labels may share it. "
            "OUTPUT_DIR/embeddings by default."
        },
    )
    label_column: str | None = field(
        default=None, metadata={"help": "Category of the documents; without it there are no measures of categories."}
    )
    split: list[str] | None = field(default=None, metadata={"help": "Splits to analyse; all by default."})
    split_column: str | None = field(
        default=None, metadata={"help": "Column of train, validation or test, in files of notes."}
    )
    reference: str | None = field(
        default=None, metadata={"help": "Name of the model that others are compared with; the first by default."}
    )
    min_class_documents: int = field(
        default=2, metadata={"help": "Documents of rarer categories count as without category."}
    )
    max_documents: int = field(
        default=20_000,
        metadata={"help": "Draw so many where there are more: time grows with their square. 0: all."},
    )
    figures: bool = field(default=True, metadata={"help": "Figures for papers (PNG and SVG) beside the page."})
    seed: int = field(default=0, metadata={"help": "Of all draws."})
    quiet: bool = field(default=False, metadata={"help": "No progress lines and no table on the screen."})
    restart: bool = field(default=False, metadata={"help": "Delete earlier results in output_dir."})
    shard: str | None = field(
        default=None,
        metadata={
            "help": "I/N: measure every N-th model from the I-th on, and write no page, for machines that work side by "
            "side on one output_dir; the command without it, run last, writes the page."
        },
    )

    def __post_init__(self) -> None:
        if self.min_class_documents < 1:
            raise ValueError("--min_class_documents is below 1; give at least 1")
        if self.max_documents < 0:
            raise ValueError("--max_documents is below 0; give 0 for all")
        if self.shard is not None and self.restart:
            raise ValueError("--restart would delete what other shards measured; delete output_dir before they start")
        if self.seed < 0:
            raise ValueError("--seed is below 0")


@dataclass(kw_only=True)
class MeasureOptions:
    """How it is measured and drawn."""

    _argument_group_name = "Measures and maps"

    neighbours: int = field(default=10, metadata={"help": "Nearest neighbours of purity and hubness."})
    cluster_seeds: int = field(default=5, metadata={"help": "Runs of k-means."})
    thresholds: list[float] = field(
        default_factory=lambda: [round(0.1 + 0.05 * step, 2) for step in range(18)],
        metadata={"help": "Cosines at or above which documents are joined."},
    )
    ks: list[int] = field(
        default_factory=lambda: [1, 2, 3, 5, 10, 20, 50], metadata={"help": "Nearest neighbours that are joined."}
    )
    densities: list[float] = field(
        default_factory=lambda: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1],
        metadata={"help": "Shares of all pairs, the most similar ones, that are joined."},
    )
    graph_density: float = field(
        default=0.01,
        metadata={"help": "The density of --densities whose graph stands in the table: equal for all models."},
    )
    alignment_documents: int = field(
        default=1_000,
        metadata={"help": "Documents whose two halves are embedded for the alignment; 0: none. Checkpoints only."},
    )
    map_documents: int = field(default=3_000, metadata={"help": "Documents of the t-SNE map; 0: no t-SNE."})
    perplexity: float = field(default=30.0, metadata={"help": "Of t-SNE: about how many neighbours a document has."})
    drawing_documents: int = field(default=300, metadata={"help": "Documents of the drawn graph; 0: no drawing."})
    similarity_file: str | None = field(default=None, metadata={"help": "File of rated text pairs. Checkpoints only."})
    similarity_columns: list[str] = field(
        default_factory=lambda: ["text_1", "text_2", "rating"],
        metadata={"help": "Its columns: first text, second text, rating."},
    )

    def __post_init__(self) -> None:
        for name in ("neighbours", "cluster_seeds"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is below 1")
        for name in ("alignment_documents", "map_documents", "drawing_documents"):
            if getattr(self, name) < 0:
                raise ValueError(f"--{name} is below 0; give 0 to leave it out")
        if self.perplexity <= 0:
            raise ValueError("--perplexity is not positive")
        if min(self.ks, default=1) < 1:
            raise ValueError("--ks is below 1; a document needs at least one neighbour")
        if not all(-1 <= value <= 1 for value in self.thresholds):
            raise ValueError("--thresholds must lie between -1 and 1")
        if not all(0 < value <= 1 for value in (*self.densities, self.graph_density)):
            raise ValueError("--densities and --graph_density must lie between 0 and 1")
        if len(self.similarity_columns) != 3:
            raise ValueError("--similarity_columns needs three names: first text, second text, rating")
        for name in ("thresholds", "ks"):
            setattr(self, name, sorted(set(getattr(self, name))))
        self.densities = sorted({*self.densities, self.graph_density})
