import dataclasses
import enum
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Optional

import pytest

from command_line import RecipeParser, run
from corpora.errors import InputError


class Pooling(enum.Enum):
    MEAN = "mean"
    FIRST = "cls"


@dataclass
class Base:
    """Options that another class inherits."""

    _argument_group_name = "Inherited"
    seed: int = field(default=42, metadata={"help": "Seed, 100% of it."})


@dataclass
class Options(Base):
    _argument_group_name = "Own"
    data: list[str] = field(default_factory=list, metadata={"help": "Files."})
    rate: float = 1e-3
    steps: int | None = None
    clean: bool = True
    sparse: Optional[bool] = None  # noqa: UP045
    strategy: Literal["subsuming", "adjacent"] = "subsuming"
    pooling: Pooling = Pooling.MEAN
    extra: dict | str | None = None
    labels: tuple[str, ...] = ()
    folder: Path | None = None
    report: str | list[str] | None = None
    reference: str | None = "base"
    derived: int = field(init=False, default=3)

    def __post_init__(self):
        if self.rate < 0:
            raise ValueError("rate must not be\nnegative")


@dataclass
class Model:
    model: str = field(metadata={"positional": True, "help": "Checkpoint folder."})
    overwrite: bool = False


def parse(*argv):
    return RecipeParser(Options).parse(list(argv))[0]


def recipe(tmp_path, text):
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    return str(file)


def test_defaults_are_kept():
    assert parse() == Options()


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        (["--rate", "2e-5"], "rate", 2e-5),
        (["--rate=3"], "rate", 3.0),
        (["--steps", "1e3"], "steps", 1000),
        (["--steps", "none"], "steps", None),
        (["--steps", "-1"], "steps", -1),
        (["--clean"], "clean", True),
        (["--no_clean"], "clean", False),
        (["--no-clean"], "clean", False),
        (["--clean", "false"], "clean", False),
        (["--clean=no"], "clean", False),
        (["--clean", "--seed", "1"], "clean", True),
        (["--sparse"], "sparse", True),
        (["--sparse", "none"], "sparse", None),
        (["--no_sparse"], "sparse", False),
        (["--strategy", "adjacent"], "strategy", "adjacent"),
        (["--pooling", "cls"], "pooling", Pooling.FIRST),
        (["--data", "a.csv", "b.csv"], "data", ["a.csv", "b.csv"]),
        (["--labels", "x", "y"], "labels", ("x", "y")),
        (["--extra", '{"a": [1, 2]}'], "extra", {"a": [1, 2]}),
        (["--extra", "file.json"], "extra", "file.json"),
        (["--folder", "runs"], "folder", Path("runs")),
        (["--report", "none"], "report", "none"),
        (["--reference", "none"], "reference", None),
        (["--reference", "nonesuch"], "reference", "nonesuch"),
        (["--report", "a", "b"], "report", ["a", "b"]),
        (["--seed", "1", "--seed", "2"], "seed", 2),
    ],
)
def test_command_line_values(argv, name, value):
    result = getattr(parse(*argv), name)
    assert result == value and type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("rate: 2e-5", "rate", 2e-5),
        ("rate: 1", "rate", 1.0),
        ("steps: 010", "steps", 10),
        ("steps: 1e3", "steps", 1000),
        ("steps: null", "steps", None),
        ("steps:", "steps", None),
        ("clean: no", "clean", False),
        ("clean: false", "clean", False),
        ("report: no", "report", "no"),
        ("report: 2026-01-02", "report", "2026-01-02"),
        ("data: [a.csv, b.csv]", "data", ["a.csv", "b.csv"]),
        ("data: a.csv", "data", ["a.csv"]),
        ("extra:\n  num_cycles: 2\n  on: true", "extra", {"num_cycles": 2, "on": True}),
        ("pooling: cls", "pooling", Pooling.FIRST),
    ],
)
def test_recipe_values(tmp_path, text, name, value):
    result = getattr(parse(recipe(tmp_path, text)), name)
    assert result == value and type(result) is type(value)


def test_command_line_wins_over_the_recipe(tmp_path):
    options = parse(
        recipe(tmp_path, "rate: 1.0\nclean: false\ndata: [a]"), "--rate", "2", "--clean", "--data", "b", "c"
    )
    assert (options.rate, options.clean, options.data) == (2.0, True, ["b", "c"])


def test_an_empty_recipe_changes_nothing(tmp_path):
    assert parse(recipe(tmp_path, "# nothing\n")) == Options()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raet: 1", ["unknown key 'raet'", "'rate'"]),
        ("rate: fast", ["key 'rate' expects a number, got 'fast'"]),
        ("rate: true", ["key 'rate' expects a number"]),
        ("rate: .nan", ["key 'rate' expects a number"]),
        ("steps: 1.5", ["key 'steps' expects a whole number or none, got 1.5"]),
        ("clean: maybe", ["key 'clean' expects true or false"]),
        ("strategy: above", ["one of subsuming, adjacent"]),
        ("pooling: max", ["one of mean, cls"]),
        ("data: {a: 1}", ["a list of text"]),
        ("data: [1]", ["a list of text"]),
        ("rate: 1\nrate: 2", ["line 2", "'rate' stands twice"]),
        ("rate: [1", ["line", "not a valid recipe"]),
        ("- rate", ["not a mapping"]),
        ("rate: -1", ["rate must not be negative"]),
        ("derived: 5", ["unknown key 'derived'"]),
    ],
)
def test_recipe_errors_name_file_and_key(tmp_path, text, words):
    file = recipe(tmp_path, text)
    with pytest.raises(InputError) as caught:
        parse(file)
    expected = words if "negative" in text or "-1" in text else [file, *words]
    assert all(word in str(caught.value) for word in expected), str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--raet", "1"], ["unknown option --raet", "'--rate'"]),
        (["--rat", "1"], ["unknown option --rat"]),
        (["--rate", "fast"], ["--rate expects a number, got 'fast'"]),
        (["--extra", '{"a": '], ["--extra is not valid JSON"]),
        (["--rate"], ["--rate"]),
        (["--derived", "5"], ["unknown option --derived"]),
        (["stray"], ["unexpected argument 'stray'"]),
        (["missing.yaml"], ["missing.yaml: no such recipe"]),
    ],
)
def test_command_line_errors(argv, words):
    with pytest.raises(InputError) as caught:
        parse(*argv)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_recipe_that_is_a_folder_or_not_text(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"rate: \xff\xfe")
    for name, words in (("folder.yaml", "is a folder"), ("binary.yaml", "not UTF-8")):
        with pytest.raises(InputError, match=words):
            parse(str(tmp_path / name))


def test_positional_and_required_fields(tmp_path):
    parser = RecipeParser([Model, Options])
    model, options = parser.parse(["--overwrite", "checkpoint", "--seed", "7"])
    assert (model, options.seed) == (Model("checkpoint", overwrite=True), 7)
    assert parser.parse([recipe(tmp_path, "model: other")])[0] == Model("other")
    assert parser.parse([recipe(tmp_path, "model: other"), "mine"])[0] == Model("mine")
    with pytest.raises(InputError, match="missing MODEL"):
        parser.parse([])


def test_two_dataclasses_may_not_share_an_option():
    with pytest.raises(TypeError, match="seed"):
        RecipeParser([Options, Base])


def test_help_is_grouped_by_declaring_class(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    text = capsys.readouterr().out
    assert caught.value.code == 0
    own, inherited = text.index("Own:"), text.index("Inherited:")
    assert inherited < text.index("--seed") and own < text.index("--rate")
    assert "100% of it" in text and "default: 42" in text and "subsuming, adjacent" in text
    assert "derived" not in text


def test_a_percent_sign_is_shown_once_whoever_wrote_the_help(capsys):
    from transformers import TrainingArguments

    @dataclass
    class ForArgparse:
        share: float = field(default=0.1, metadata={"help": "Share, 10%% of it."})
        rest: float = field(default=1.0, metadata={"help": "Rest, 100% of it."})

    with pytest.raises(SystemExit):
        RecipeParser([ForArgparse, TrainingArguments]).parse(["--help"])
    text = capsys.readouterr().out
    assert "100% of it" in text and "10% of it" in text and "%%" not in text


def test_every_training_argument_is_accepted(tmp_path):
    from transformers import TrainingArguments

    @dataclass
    class DemoArguments(TrainingArguments):
        _argument_group_name = "Demo objective"
        temperature: float = field(default=0.05, metadata={"help": "Temperature."})
        learning_rate: float = 1e-4

    parser = RecipeParser(DemoArguments)
    names = {f.name for f in dataclasses.fields(TrainingArguments) if f.init}
    assert names <= set(parser.hints) and len(names) > 80
    text = parser._parser.format_help()
    assert text.index("Demo objective:") < text.index("--temperature") < text.index("Trainer (transformers):")
    assert text.index("--learning_rate") < text.index("Trainer (transformers):") < text.index("--weight_decay")

    output = str(tmp_path / "out")
    ours = parser.parse(["--output_dir", output, "--use_cpu"])[0]
    theirs = DemoArguments(output_dir=output, use_cpu=True)
    for name in names - {"distributed_state", "accelerator_config"}:
        assert getattr(ours, name) == getattr(theirs, name), name

    # A value for each option, as it would be typed, from the default of its own type.
    argv = ["--output_dir", output, "--use_cpu"]
    samples = {
        "lr_scheduler_type": ("cosine", "cosine"),
        "lr_scheduler_kwargs": ('{"num_cycles": 2}', {"num_cycles": 2}),
        "gradient_checkpointing_kwargs": ('{"use_reentrant": false}', {"use_reentrant": False}),
        "liger_kernel_config": ('{"rope": true}', {"rope": True}),
        "eval_strategy": ("no", "no"),
        "save_strategy": ("epoch", "epoch"),
        "optim": ("adamw_torch", "adamw_torch"),
        "report_to": ("none", []),
        "label_names": ("labels", ["labels"]),
        "warmup_steps": ("0.1", 0.1),
        "logging_steps": ("25", 25),
        "eval_steps": ("50", 50),
        "save_total_limit": ("2", 2),
        "bf16": ("false", False),
        "tf32": ("none", None),
        "metric_for_best_model": ("loss", "loss"),
    }
    for name, (word, _) in samples.items():
        argv += [f"--{name}", word]
    given = parser.parse(argv)[0]
    for name, (_, value) in samples.items():
        assert getattr(given, name) == value, name

    file = tmp_path / "recipe.yaml"
    file.write_text("lr_scheduler_kwargs:\n  num_cycles: 2\neval_strategy: no\nlearning_rate: 2e-5\nfsdp:\n")
    read = parser.parse([str(file), "--output_dir", output, "--use_cpu"])[0]
    assert (read.lr_scheduler_kwargs, read.eval_strategy, read.learning_rate) == (
        {"num_cycles": 2},
        "no",
        2e-5,
    )
    for argv, words in (
        (["--lr_scheduler_type", "cosin"], "lr_scheduler_type expects one of linear"),
        (["--learnin_rate", "1"], "--learning_rate"),
        (["--gradient_accumulation_steps", "0", "--label_smoothing_factor", "x"], "label_smoothing_factor"),
    ):
        with pytest.raises(InputError, match=words):
            parser.parse(argv)


def _run(main):
    with pytest.raises(SystemExit) as caught:
        run(main, [])
    return caught.value.code


def test_run_turns_user_faults_into_one_line(capsys, tmp_path):
    def plain(argv):
        raise InputError("no text", file="notes.csv", row=3)

    def wrapped(argv):
        try:
            plain(argv)
        except InputError as error:
            raise RuntimeError("dataset generation failed") from error

    def missing(argv):
        (tmp_path / "nowhere" / "file").read_text()

    def interrupted(argv):
        raise KeyboardInterrupt

    for main, status, words in (
        (plain, 2, "error: notes.csv, row 3: no text"),
        (wrapped, 2, "error: notes.csv, row 3: no text"),
        (missing, 2, "nowhere/file: No such file or directory"),
        (interrupted, 130, "interrupted"),
    ):
        assert _run(main) == status
        captured = capsys.readouterr()
        assert words in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert _run(lambda argv: None) == 0
    assert _run(lambda argv: 3) == 3


def test_run_lets_bugs_through():
    def buggy(argv):
        raise OSError("a library's own words, without a path")

    with pytest.raises(OSError, match="own words"):
        run(buggy, [])


def test_import_is_light():
    code = (
        "import sys, json, command_line; heavy = {'torch', 'transformers', 'datasets', 'numpy', 'pandas'};"
        "print(json.dumps(sorted(heavy & set(sys.modules))))"
    )
    scripts = Path(__file__).resolve().parents[2] / "scripts"
    result = subprocess.run([sys.executable, "-c", code], cwd=scripts, capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == []


def test_a_partial_reading_passes_over_options_of_other_classes(tmp_path):
    file = recipe(tmp_path, "rate: 1e-4\ntemperature: 0.05\n")
    parser = RecipeParser(Options)
    (options,) = parser.parse([file, "--steps", "7", "--learning_rate", "3", "--data", "a", "b"], partial=True)
    assert (options.rate, options.steps, options.data) == (1e-4, 7, ["a", "b"])
    with pytest.raises(InputError, match="temperature"):
        parser.parse([file])
    with pytest.raises(InputError, match="learning_rate"):
        parser.parse(["--learning_rate", "3"])


def test_a_class_shows_its_own_options_before_those_it_inherits(capsys):
    with pytest.raises(SystemExit):
        RecipeParser(Options).parse(["--help"])
    printed = capsys.readouterr().out
    assert printed.index("\nOwn:") < printed.index("\nInherited:")


@dataclass
class Leading:
    """A list that begins the command line."""

    folders: list[str] = field(metadata={"positional": True, "help": "Folders."})
    seed: int = 0


@pytest.mark.parametrize("words", [["a", "b", "--seed", "3"], ["--seed", "3", "--folders", "a", "b"]])
def test_a_list_may_begin_the_command_line(words):
    (options,) = RecipeParser([Leading]).parse(words)
    assert (options.folders, options.seed) == (["a", "b"], 3)


def test_a_list_may_stand_in_a_recipe_or_after_it(tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("folders: [x]\nseed: 2\n")
    assert RecipeParser([Leading]).parse([str(recipe)])[0] == Leading(["x"], 2)
    assert RecipeParser([Leading]).parse([str(recipe), "y", "z"])[0] == Leading(["y", "z"], 2)


def test_a_missing_list_is_named():
    with pytest.raises(InputError, match="missing FOLDERS"):
        RecipeParser([Leading]).parse([])
