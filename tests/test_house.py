"""The rules of the house that a machine can check."""

import ast
import configparser
import fnmatch
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# What each room may import, besides itself.
BELOW = {
    "corpora": set(),
    "collators": {"corpora"},
    "modeling": {"collators", "corpora"},
    "metrics": {"modeling", "collators", "corpora"},
    "trainers": {"metrics", "modeling", "collators", "corpora"},
    "reporting": {"trainers", "metrics", "modeling", "collators", "corpora"},
    "model_cards": {"trainers", "metrics", "modeling", "collators", "corpora"},
}
ROOMS = [name for name in BELOW if (ROOT / name).is_dir()]
SCRIPTS = {file.stem for file in (ROOT / "scripts").glob("*.py")}
PROJECT = [*ROOMS, "scripts", "tests", "benchmarks", "recipes"]


def _settings():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings


def _files(*folders):
    return [file for folder in folders for file in sorted((ROOT / folder).rglob("*.py"))]


def _imports(file):
    """Yield the first part of every module that a file imports, inside functions too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield node.module.split(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room):
    others = (set(BELOW) | {"scripts", "tests", "benchmarks", *SCRIPTS}) - {room} - BELOW[room]
    files = _files(room)
    assert files
    upwards = {
        f"{file.relative_to(ROOT)} imports {name}" for file in files for name in _imports(file) if name in others
    }
    assert not upwards


def test_the_import_check_sees_what_it_should(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("import os.path\ndef f():\n    from trainers.mlm import x\n    import scripts as s\n")
    assert list(_imports(file)) == ["os", "trainers", "scripts"]


def test_files_are_short_and_named_for_what_they_hold():
    files = _files(*PROJECT)
    assert len(files) > 20
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert not {file.name: length for file, length in lengths.items() if length > 500}
    vague = {"util", "utils", "helper", "helpers", "misc", "common"}
    assert not [file for file in files if vague & {part.removesuffix(".py") for part in file.parts[-3:]}]


def test_test_files_have_names_of_their_own():
    names = [file.name for file in _files("tests") if file.name.startswith("test_")]
    assert len(names) == len(set(names))


def test_a_wheel_would_hold_every_room_whole():
    settings = _settings()
    included = settings["options.packages.find"]["include"].split()
    for room in ROOMS:
        assert f"{room}*" in included
        folders = {file.parent for file in _files(room)}
        assert all((folder / "__init__.py").is_file() for folder in folders)
        patterns = settings["options.package_data"].get(room, "").replace(",", " ").split()
        data = [f for f in (ROOT / room).rglob("*") if f.is_file() and f.suffix not in (".py", ".pyc")]
        assert not [file for file in data if not any(_matches(file, room, pattern) for pattern in patterns)]
    assert not [name for name in included if name.rstrip("*") in ("scripts", "tests", "recipes", "benchmarks")]


def _matches(file, room, pattern):
    return fnmatch.fnmatch(file.relative_to(ROOT / room).as_posix(), pattern)


def test_constraints_hold_every_requirement():
    settings = _settings()
    required = settings["options"]["install_requires"] + "\n".join(settings["options.extras_require"].values())
    names = {line.split(">")[0].strip().lower() for line in required.splitlines() if line.strip()}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].strip() for line in lines if line and not line.startswith("#")}
    assert {"torch", "transformers", "pytest"} <= names
    assert names <= pinned


def test_folders_of_the_same_name_beside_a_notebook_hide_nothing(tmp_path, run_script):
    for name in ("metrics", "trainers", "corpora", "modeling", "collators"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.csv").write_text("a\n")
    code = f"from importlib.util import find_spec\nfor name in {ROOMS}: print(find_spec(name).origin)"
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    found = [Path(line).parent.name for line in result.stdout.split()]
    assert found == ROOMS and str(tmp_path) not in result.stdout
    # Even packages: a script's own folder and the installed rooms come before the working directory.
    (tmp_path / "corpora" / "__init__.py").write_text("raise RuntimeError('the wrong corpora')\n")
    result = run_script("encode", "--help", cwd=tmp_path)
    assert result.returncode == 0 and "--window_overlap" in result.stdout


def test_nothing_names_a_machine_or_a_package_index():
    words = ("index" + "-url", "find" + "-links", "/tmp" + "/dev", "/work" + "/")
    texts = [ROOT / name for name in ("Makefile", "setup.cfg", "pyproject.toml", "constraints.txt", "README.md")]
    texts += [*_files(*PROJECT), *(ROOT / "recipes").rglob("*.yaml")]
    assert not [(file.name, word) for file in texts for word in words if word in file.read_text(encoding="utf-8")]
