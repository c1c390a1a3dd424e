"""judge_claims.py from the command line to the files."""

import json

import numpy as np
import pytest

import judge_claims
from corpora.errors import InputError
from metrics.tagging_scores import tagging_counts
from reporting.tagging_results import write_cell_counts


@pytest.fixture
def taggers(tmp_path):
    """Folders of two systems of tag.py that differ in the CRF: it finds half of the entities, the other none."""
    gold, ids = [[("Drug", 0, 1)]] * 20, [str(number) for number in range(20)]
    folders = []
    for system, crf, found in (("with", True, 10), ("without", False, 0)):
        folder = tmp_path / f"system={system}"
        (folder / "cells").mkdir(parents=True)
        (folder / "settings.json").write_text(json.dumps({"crf": crf, "model_name_or_path": "d"}))
        said = gold[:found] + [[]] * (20 - found)
        write_cell_counts(folder / "cells" / "0.npz", tagging_counts(gold, said, ids, ["Drug"]))
        cell = {"id": "0", "system": system, "share": 100, "seed": 0, "collapse": None, "training_sentences": 9}
        cell |= {"trained_parameters": None, "seconds": 1.0, "metrics": {}, "counts": "cells/0.npz"}
        head = {"schema_version": 1, "kind": "tagging", "corpus": "wards", "corpus_digest": "c", "split": "test"}
        (folder / "results.json").write_text(json.dumps({**head, "labels": ["Drug"], "cells": [cell]}))
        folders.append(str(folder))
    return folders


def test_claims_are_printed_and_written(taggers, tmp_path, capsys):
    output = tmp_path / "out"
    judge_claims.main([*taggers, "--output", str(output)])
    printed = capsys.readouterr().out
    assert (
        "| 2.1 | A CRF improves on the same encoder without. | Belkadi et al. 2022 | **holds** | 1 / 0 / 0 |" in printed
    )
    assert "| 2.1 | wards, 100 % of the training sentences | with v. without | strict F1 |" in printed
    assert printed.count("**not tested**") == printed.count("| - | - |") > 20
    assert (output / "claims.md").read_text() in printed
    (crf,) = (one for one in json.loads((output / "claims.json").read_text())["claims"] if one["findings"])
    assert crf["verdict"] == "holds" and np.isclose(crf["findings"][0]["difference"], 2 / 3)
    before = {file.name: file.read_bytes() for file in output.iterdir()}
    judge_claims.main(["--results", *taggers, "--output", str(output)])
    assert {file.name: file.read_bytes() for file in output.iterdir()} == before
    capsys.readouterr()
    judge_claims.main([f"clinic={folder}" for folder in taggers])
    assert "| 2.1 | clinic, 100 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "missing RESULTS"),
        (["{tmp}/none"], "none: no such folder"),
        (["=x"], "=x is not of the form NAME=FOLDER"),
        (["{one}", "{one}"], "is given twice"),
        (["{one}", "--roles", "with"], "--roles with is not of the form MODEL=ROLE"),
        (["{one}", "--roles", "with=best"], "there is no role 'best'"),
        (["{one}", "--roles", "other=mlm"], "no model is called 'other'; the models are: with"),
        (["{one}", "--seed", "-1"], "--seed is below 0"),
        (["{one}", "--output", "{one}/results.json"], "results.json: the output is a file"),
    ],
)
def test_input_errors_leave_nothing(arguments, words, taggers, tmp_path):
    places = {"tmp": tmp_path, "one": taggers[0]}
    output = [] if "--output" in arguments or not arguments else ["--output", str(tmp_path / "out")]
    with pytest.raises(InputError, match=words):
        judge_claims.main([*(word.format(**places) for word in arguments), *output])
    assert not (tmp_path / "out").exists()


def test_faults_are_one_line_and_status_2(run_script, tmp_path):
    result = run_script("judge_claims", tmp_path)
    assert (result.returncode, result.stdout) == (2, "") and len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith(f"judge_claims.py: error: {tmp_path}: holds no results.json; give output folders")
