"""study_jobs: several steps at a time, on steps whose script writes down when it began and ended."""

import dataclasses
import json
import os
import time

import pytest

import study_jobs
import study_runner
from study_jobs import StudyJobs, environment_of
from study_plan import Step
from study_runner import StudyFolder, Work
from study_time import TimeTable

SCRIPT = """
import json, os, sys, time, yaml
options = yaml.safe_load(open(sys.argv[1]))
begun = time.monotonic()
time.sleep(options["seconds"])
if options["fails"]:
    sys.exit("step.py: error: broken")
told = [begun, time.monotonic(), os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_VISIBLE_DEVICES")]
json.dump(told, open(options["output"], "w"))
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/step.py").write_text(SCRIPT)
    monkeypatch.setattr(study_runner, "SCRIPTS", tmp_path / "scripts")
    monkeypatch.setattr(study_jobs, "PAUSE", 0.01)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def make_step(folder, name, *needs, seconds=0.3, fails=False, takes=False):
    made = folder / f"{name}.made"
    options = {"seconds": seconds, "fails": fails, "output": str(made)}
    return Step(name, "step.py", options, needs, made, made, takes_what_is_there=takes)


def run(folder, steps, jobs):
    study = StudyFolder(folder, steps)
    with study.locked() as lock:
        work = StudyJobs(study, steps, TimeTable(study, steps), jobs, [], lock)
        work.run()
    return work


def spans(folder, steps):
    """Return by name what the script of each finished step wrote."""
    return {step.name: json.loads(step.made.read_text()) for step in steps if step.made.exists()}


@pytest.mark.parametrize("jobs", [1, 2])
def test_steps_run_after_their_needs_and_so_many_at_a_time(script, tmp_path, jobs, capsys):
    out = tmp_path / "out"
    steps = [make_step(out, "a"), make_step(out, "b", "a"), make_step(out, "c"), make_step(out, "d", "a", "c")]
    steps += [make_step(out, "report", "b", "d", takes=True)]
    assert run(out, steps, jobs).failed == {}
    found = spans(out, steps)
    assert len(found) == 5
    for step in steps:
        assert all(found[need][1] <= found[step.name][0] for need in step.needs)
    most = max(sum(begun <= one[0] < ended for begun, ended, *_ in found.values()) for one in found.values())
    assert most == jobs
    told = capsys.readouterr().out
    assert "[1/5] a: about" in told and "[5/5] report: done in" in told
    run(out, steps, jobs)
    assert capsys.readouterr().out.count("finished before") == 5


def test_a_failure_stops_only_what_needs_it(script, tmp_path, capsys):
    out = tmp_path / "out"
    steps = [make_step(out, "a", fails=True), make_step(out, "b", "a"), make_step(out, "c", seconds=0.6)]
    steps += [make_step(out, "report", "b", "c", takes=True)]
    work = run(out, steps, 2)
    assert work.failed == {"a": "step.py: error: broken"} and work.left_out == {"b"}
    found = spans(out, steps)
    assert set(found) == {"c", "report"} and found["report"][0] >= found["c"][1]
    assert "[2/4] b: left out, for it needs a" in capsys.readouterr().out


def test_a_step_lets_another_end_first_and_runs_although_it_failed(script, tmp_path):
    out = tmp_path / "out"
    filled = dataclasses.replace(make_step(out, "b"), after=("a",))
    steps = [make_step(out, "a"), filled, make_step(out, "c")]
    assert run(out, steps, 2).failed == {}
    found = spans(out, steps)
    assert found["b"][0] >= found["a"][1] > found["c"][0]
    steps = [make_step(tmp_path / "again", "a", fails=True), dataclasses.replace(filled, needs=())]
    assert set(run(tmp_path / "again", steps, 2).failed) == {"a"}
    # Where the other is no part of the run, nobody waits for it.
    assert (
        run(tmp_path / "alone", [dataclasses.replace(make_step(tmp_path / "alone", "b"), after=("a",))], 2).failed == {}
    )


def test_an_interruption_ends_all_steps_at_work(script, tmp_path, monkeypatch):
    out = tmp_path / "out"
    steps = [make_step(out, "a", seconds=60), make_step(out, "b", seconds=60)]
    started = []
    start = StudyFolder.start

    def interrupted(self, *arguments):
        if len(started) == 2:
            raise AssertionError
        started.append(start(self, *arguments))
        return started[-1]

    def pause(seconds):
        if len(started) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(StudyFolder, "start", interrupted)
    monkeypatch.setattr(study_jobs.time, "sleep", pause)
    with pytest.raises(KeyboardInterrupt):
        run(out, steps, 2)
    assert len(started) == 2 and all(work.process.returncode < 0 for work in started)
    assert all((out / "steps" / f"{name}.seconds").is_file() for name in "ab")


def test_each_of_several_steps_gets_its_share_of_the_machine(script, tmp_path, monkeypatch):
    cores = len(os.sched_getaffinity(0))
    assert environment_of(0, 1) == {}
    assert environment_of(1, 2) == {"OMP_NUM_THREADS": str(max(1, cores // 2))}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,6,7")
    assert [environment_of(place, 2)["CUDA_VISIBLE_DEVICES"] for place in (0, 1)] == ["3,5", "6,7"]
    assert "CUDA_VISIBLE_DEVICES" not in environment_of(0, 5)  # fewer GPUs than jobs: they share
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert "OMP_NUM_THREADS" not in environment_of(0, 2)

    steps = [make_step(tmp_path / "out", name) for name in "ab"]
    run(tmp_path / "out", steps, 2)
    assert sorted(told[2:] for told in spans(tmp_path / "out", steps).values()) == [["7", "3,5"], ["7", "6,7"]]


def test_time_left_is_that_of_the_steps_that_run_beside_each_other(tmp_path, monkeypatch):
    steps = [
        make_step(tmp_path, "a"),
        make_step(tmp_path, "b"),
        make_step(tmp_path, "c", "a"),
        make_step(tmp_path, "d"),
    ]
    seconds = {"a": 10.0, "b": 30.0, "c": 5.0, "d": 20.0}
    table = TimeTable(StudyFolder(tmp_path, steps), steps)
    monkeypatch.setattr(table, "estimate", lambda step: seconds[step.name])
    assert table.left(steps) == 65.0
    # a and b; c from 10 to 15; d from 15 to 35.
    assert table.left(steps, jobs=2) == 35.0
    finished = {"b"}
    monkeypatch.setattr(table.folder, "is_finished", lambda step: step.name in finished)
    assert table.left(steps) == 35.0  # what was finished before takes no time
    finished.clear()
    works = [Work(steps[0], None, time.monotonic() - 8.0)]
    assert table.left(steps[1:], works, jobs=2) == pytest.approx(30.0, abs=0.1)  # a to 2, c to 7, d to 27, b to 30
