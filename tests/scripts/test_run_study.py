"""run_study.py: one small study from made-up notes to a report; failures, interruptions, what is done again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

import run_study
from corpora.errors import InputError
from reporting.claims_report import judge_evidence, load_evidence
from study_plan import plan
from study_recipe import read_study
from study_runner import StudyFolder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    for name, value in (("HF_HUB_OFFLINE", "1"), ("OMP_NUM_THREADS", "1"), ("HF_DATASETS_CACHE", str(tmp_path / "c"))):
        monkeypatch.setenv(name, value)


@pytest.fixture
def recipe(tmp_path, make_encoder):
    content = {
        "corpora": {"wards": {"demo": {"patients": 30}, "labels": ["specialty"]}},
        "base": {"checkpoint": str(make_encoder("bert"))},
        "adapt": {
            "mlm": {"objective": "mlm", "max_steps": 2, "use_cpu": True, "max_length": 32, "save_strategy": "no"}
        },
        "classify": {"frozen": {"methods": ["logistic_regression"], "shots": [0], "seeds": 1}},
    }
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def run(recipe, output, *words):
    return run_study.main([str(recipe), "--output_dir", str(output), *words])


def test_a_study_from_notes_to_a_report(recipe, tmp_path, capsys):
    output = tmp_path / "out"
    assert run(recipe, output, "--dry_run") == 0 and not output.exists()
    printed = capsys.readouterr().out
    assert "adapt/wards/mlm" in printed and printed.count("to do") == 6  # with the sum of their times

    # A part first, then the rest.
    assert run(recipe, output, "--only", "corpus") == 0
    assert sorted(file.name for file in output.iterdir()) == ["corpora", "logs", "steps", "study.json", "study.lock"]
    times = {file: file.stat().st_mtime_ns for file in (output / "corpora").rglob("*.arrow")}
    capsys.readouterr()
    assert run(recipe, output) == 0
    printed = capsys.readouterr().out
    assert "corpus/wards: finished before" in printed and "5 of 5 steps are finished" in printed
    assert len(times) == 3 and {file: file.stat().st_mtime_ns for file in times} == times

    report = output / "report"
    assert sorted(file.name for file in report.iterdir()) == ["report.html", "report.json", "tables.md", "tables.tex"]
    page, tables, latex = ((report / name).read_text() for name in ("report.html", "tables.md", "tables.tex"))
    results = json.loads((output / "results/classify/wards/specialty/frozen/results.json").read_text())
    assert results["reference"] == "base"
    for text in (page, tables):
        assert "Gain over base" in text and "TF-IDF" in text and "MLM on the notes improves a frozen model" in text
    assert "http" not in page.replace("http-equiv", "")  # asks nothing of the network
    notes = [json.loads(line)["text"] for line in (output / "corpora/wards.jsonl").open()]
    for file in [*report.iterdir(), *(output / "logs").rglob("*.log")]:
        text = file.read_text()
        assert not any(note[:40] in text for note in notes), file.name

    for name, task in ((None, "wards, specialty"), ("ours", "ours: wards, specialty")):
        claims = judge_evidence(load_evidence([(name, output)]), {})
        assert {found.task for claim in claims for found in claim.findings} == {task}

    # Another setting is refused and nothing is touched; --redo makes a step again.
    content = yaml.safe_load(recipe.read_text())
    content["classify"]["frozen"]["shots"] = [4]
    recipe.with_name("other.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=r"classify/wards/specialty/frozen.*--redo classify/wards/specialty/frozen"):
        run(recipe.with_name("other.yaml"), output)
    (report / "report.html").write_text("edited")
    assert run(recipe, output) == 0 and (report / "report.html").read_text() == "edited"
    assert run(recipe, output, "--redo", "report") == 0
    assert {name: (report / name).read_text() for name in ("tables.md", "tables.tex")} == {
        "tables.md": tables,
        "tables.tex": latex,
    }


@pytest.mark.parametrize("words", [[], ["--output_dir", "{tmp}/out"], ["--output_dir", "{tmp}/out", "study.yaml"]])
def test_a_study_without_a_recipe_is_told_of_one(tmp_path, words):
    with pytest.raises(InputError, match=r"no study is named; begin with its recipe, .* recipes/study_demo\.yaml"):
        run_study.main([word.format(tmp=tmp_path) for word in words])
    assert (ROOT / "recipes" / "study_demo.yaml").is_file() and not (tmp_path / "out").exists()


def test_a_failure_stops_only_what_needs_it(recipe, tmp_path, capsys, monkeypatch):
    content = yaml.safe_load(recipe.read_text())
    content["corpora"]["clinic"] = {"demo": {"patients": 20}, "labels": ["specialty"], "prepare": {"min_words": 100000}}
    content["adapt"], content["classify"] = {}, {}
    recipe.write_text(yaml.safe_dump(content))
    monkeypatch.setattr(sys, "argv", ["run_study.py"])
    assert run(recipe, tmp_path / "out") == 1
    told = capsys.readouterr().err
    assert "corpus/clinic" in told and "prepare_notes.py: error: " in told and len(told.splitlines()) == 1
    assert "under corpora.clinic.prepare" in told
    assert (tmp_path / "out/corpora/wards/preparation.json").is_file()
    assert (tmp_path / "out/report/report.html").is_file() and "corpus/clinic" in (
        tmp_path / "out/report/report.html"
    ).read_text()


def test_nothing_is_deleted_that_no_step_made(recipe, tmp_path):
    output = tmp_path / "out"
    mine = output / "corpora/wards/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("keep")
    for more in ((), ("--dry_run",)):
        with pytest.raises(InputError, match="out: the output folder holds files that are not of a study; choose"):
            run(recipe, output, *more)
    assert [file for file in output.rglob("*") if file.is_file()] == [mine]
    # In a study's folder, too, what lies in the place of a step that was never started is not the step's.
    (output / "study.json").write_text("{}")
    with pytest.raises(InputError, match="--redo would delete corpus/wards, which --only leaves out"):
        run(recipe, output, "--only", "notes/*", "--redo", "corpus/wards")
    steps = plan(read_study(str(recipe), {}, None), output)
    folder, step = StudyFolder(output, steps), next(step for step in steps if step.name == "corpus/wards")
    folder.forget(step)
    assert mine.read_text() == "keep"
    folder.log(step).parent.mkdir(parents=True)
    folder.log(step).write_text("")
    folder.forget(step)
    assert not mine.exists()


def test_killed_and_run_again_while_a_step_lives_on(recipe, tmp_path):
    content = yaml.safe_load(recipe.read_text())
    recipe.write_text(yaml.safe_dump({**content, "adapt": {}, "classify": {}}))  # nothing that takes long to import
    command = [sys.executable, str(ROOT / "scripts/run_study.py"), str(recipe), "--output_dir", str(tmp_path / "out")]
    command += ["--only", "corpus"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while "notes/wards" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The step holds the lock of the run that was killed, until it ends.
    for _ in range(100):
        try:
            assert run(recipe, tmp_path / "out", "--only", "corpus") == 0
            break
        except InputError as error:
            assert "is at work here" in str(error)
            time.sleep(0.1)
    assert (tmp_path / "out/corpora/wards/preparation.json").is_file()
    assert not list((tmp_path / "out").rglob("*.partial"))
