"""The user guide and the README: their code runs, and scripts, options, links and pages that they name exist."""

import configparser
import posixpath
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import command_line

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
GUIDE = sorted(DOCS.rglob("*.md"))
PAGES = [ROOT / "README.md", *GUIDE]
SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
# Words of a page in place of which a reader writes their own.
PLACEHOLDERS = ("...", "[", "<")


def name_of(page):
    return page.relative_to(ROOT).as_posix()


def commands_of(page, code_blocks):
    """Yield the command lines of a page's blocks."""
    for block in code_blocks(page, "bash"):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()


def commands_within_text(page):
    """Yield the commands that stand in a sentence, which may leave options out."""
    outside = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`((?:python|accelerate|torchrun) [^`]+)`", outside):
        yield code.replace("\n", " ")


class Parsed(SystemExit):
    """Ends a script when its command line was read."""


@pytest.fixture
def read_command_line(monkeypatch):
    """Return a function that lets a script read its command line, and do no more."""
    parse = command_line.RecipeParser.parse

    def parse_and_stop(self, argv=None, *, partial=False):
        found = parse(self, argv, partial=partial)
        if not partial:
            raise Parsed
        return found

    monkeypatch.setattr(command_line.RecipeParser, "parse", parse_and_stop)
    monkeypatch.chdir(ROOT)

    def read(script, words):
        monkeypatch.setattr(sys, "argv", [script, *words])
        with pytest.raises(Parsed):
            module = import_module(Path(script).stem)
            # pretrain.py looks for its files first.
            getattr(module, "parse_options", module.main)(list(words))

    return read


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_names_a_script_and_options_that_exist(page, code_blocks, read_command_line):
    whole = list(commands_of(page, code_blocks))
    for command in [*whole, *commands_within_text(page)]:
        words = shlex.split(command, comments=True)
        assert not {"curl", "wget", "hf", "huggingface-cli"} & set(words[:1]), command
        for word in words:
            if re.match(r"(recipes|scripts|benchmarks)/.*\.\w+$", word):
                assert (ROOT / word).is_file(), command
        scripts = [place for place, word in enumerate(words) if word.startswith("scripts/")]
        if scripts and not any(word.startswith(PLACEHOLDERS) for word in words):
            try:
                read_command_line(words[scripts[0]], words[scripts[0] + 1 :])
            except command_line.InputError as error:
                assert command not in whole and error.problem.startswith("missing "), f"{command}: {error}"


def test_a_wrong_option_would_be_found(read_command_line):
    with pytest.raises(command_line.InputError, match="unknown option --shot"):
        read_command_line("scripts/classify.py", ["--data", "x", "--shot", "3"])


@pytest.fixture(scope="module")
def fields():
    """Names of the fields of all dataclasses, and of options that are added by hand."""
    found = set()
    for room in ("scripts", "trainers", "corpora", "model_cards", "benchmarks"):
        for file in (ROOT / room).glob("*.py"):
            text = file.read_text(encoding="utf-8")
            found |= set(re.findall(r"^    (\w+): ", text, re.MULTILINE)) | set(re.findall(r'"--(\w+)"', text))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_and_options_that_the_text_names_exist(page, fields):
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"(?:recipes|scripts|benchmarks|tests)/[\w/]+\.\w+", text)):
        assert (ROOT / name).is_file(), name
    for name in set(re.findall(r"`(\w+\.yaml)`", text)) - {"my_study.yaml", "statement.yaml"}:
        assert (ROOT / "recipes" / name).is_file(), name
    # Of argparse, accelerate, torchrun, pip and TrainingArguments.
    outside = {"help", "config_file", "nproc", "bf16", "gradient_checkpointing", "output_dir", "check", "strict"}
    outside |= {"num_processes", "num_machines", "machine_rank", "main_process_ip", "main_process_port", "multi_gpu"}
    outside |= {"mixed_precision", "per_device_train_batch_size", "max_steps", "torch_compile"}
    outside |= {"dataloader_num_workers", "gradient_accumulation_steps", "load_best_model_at_end", "use_cpu", "cpu"}
    outside |= {"array", "gres", "ntasks"}  # of Slurm
    named = {name.removeprefix("no_") for name in re.findall(r"(?<![\w-])--(\w+)", text)}
    assert named <= fields | outside, named - fields - outside


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_internal_link_leads_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        file = Path(posixpath.normpath(page.parent / name)) if name else page
        assert file.is_file(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", one.lower()).strip().replace(" ", "-") for one in headings}, (
                target
            )


def test_every_page_is_in_the_navigation():
    def files(entries):
        for entry in entries:
            value = next(iter(entry.values())) if isinstance(entry, dict) else entry
            yield from files(value) if isinstance(value, list) else [value]

    listed = list(files(SETTINGS["nav"]))
    assert sorted(listed) == [page.relative_to(DOCS).as_posix() for page in GUIDE]
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for room in setup["options.packages.find"]["include"].split():
        name = room.removesuffix("*")
        assert f"\n::: {name}\n" in (DOCS / "reference" / f"{name}.md").read_text(encoding="utf-8")


def test_readers_fetch_nothing_from_a_network():
    assert SETTINGS["theme"]["font"] is False
    for key in ("extra_css", "extra_javascript", "hooks"):
        for name in SETTINGS.get(key, []):
            assert (DOCS / name).is_file() or (ROOT / name).is_file(), name
    for file in [*GUIDE, *(DOCS / "site").iterdir()]:
        if file.is_file():
            text = file.read_text(encoding="utf-8")
            assert not re.search(r"!\[[^\]]*\]\(\s*http|(?:src|@import|url\()\s*[=(]?\s*[\"']?https?:|<script", text), (
                file
            )


PYTHON_PAGES = [page for page in GUIDE if "```python" in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=name_of)
def test_the_python_blocks_run(page, code_blocks, make_encoder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").symlink_to(make_encoder("roberta"), target_is_directory=True)
    for block in code_blocks(page, "python"):
        exec(block, {})
        assert capsys.readouterr().out.strip()


def test_the_recipes_of_the_guide_are_studies(code_blocks, make_encoder, tmp_path, monkeypatch, capsys):
    import make_demo_notes
    import run_study
    from study_recipe import KEYS, read_study

    monkeypatch.chdir(tmp_path)
    (recipe,) = code_blocks(DOCS / "tutorial.md", "yaml")
    Path("my_study.yaml").write_text(recipe)
    make_demo_notes.main(["--output", "notes.csv", "--patients", "5"])
    (dry_run,) = [one for one in commands_of(DOCS / "tutorial.md", code_blocks) if "--dry_run" in one]
    Path("base").symlink_to(make_encoder("bert"), target_is_directory=True)
    capsys.readouterr()
    assert run_study.main(shlex.split(dry_run)[2:]) == 0
    printed = capsys.readouterr().out
    assert "adapt/mine/declutr" in printed and "audit/mine/mlm" in printed and "card/mine/mlm" in printed

    page = DOCS / "how_to" / "studies.md"
    fragments = code_blocks(page, "yaml")
    (adapt,) = [fragment for fragment in fragments if fragment.startswith("adapt:")]
    for fragment in fragments:
        content = {"corpora": {"mine": {"labels": ["specialty"]}}, "base": {"checkpoint": "base"}}
        # Evaluations name the models of the fragment on adaptations.
        before = yaml.safe_dump(content) + (adapt if fragment.startswith("classify:") else "")
        Path("part.yaml").write_text(before + fragment)
        study = read_study("part.yaml", {"mine": ["notes.csv"]})
        assert len(study.adaptations) in (3, 9)
    # The tables of the page name every key that a recipe may hold.
    named = set(re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert set(KEYS) <= named, set(KEYS) - named
