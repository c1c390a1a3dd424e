"""Verdicts, what several sources say of one claim, tables, and folders of any kind."""

import dataclasses
import json

import pytest

from corpora.errors import InputError
from reporting.claims import ClaimResult, Finding, join_claims
from reporting.claims_report import claims_markdown, judge_evidence, load_evidence, write_claims

SYSTEMS = {
    ("mine", "logistic_regression", "windows", "all"): 2.4,
    ("mlm", "logistic_regression", "windows", "all"): 0.9,
}


def finding(low, high, task="wards"):
    return Finding(task, "a v. b", "macro-F1", (low + high) / 2, (low, high))


def claim(*intervals, text="A beats B.", study=1):
    return ClaimResult(study, text, [finding(*ends) for ends in intervals])


@pytest.mark.parametrize(
    ("intervals", "verdict", "counts"),
    [
        ([], "not tested", (0, 0, 0)),
        ([(0.01, 0.2), (-0.1, 0.3)], "holds", (1, 0, 1)),
        ([(-0.2, -0.01), (-0.1, 0.3)], "does not hold", (0, 1, 1)),
        ([(-0.2, -0.01), (0.1, 0.3)], "depends", (1, 1, 0)),
        ([(-0.2, 0.01), (0.0, 0.3)], "not shown", (0, 0, 2)),
    ],
)
def test_verdicts(intervals, verdict, counts):
    assert (claim(*intervals).verdict, claim(*intervals).counts) == (verdict, counts)


def test_sources_are_joined_claim_by_claim():
    other, again = claim((-0.2, -0.1)), claim(text="C beats D.", study=3)
    joined = join_claims([[again, claim((0.1, 0.2))], [other, claim(text="Later.", study=1)], [again]])
    assert [(one.study, one.claim, one.verdict) for one in joined] == [
        (1, "A beats B.", "depends"),
        (1, "Later.", "not tested"),
        (3, "C beats D.", "not tested"),
    ]
    assert [found.interval for found in joined[0].findings] == [(0.1, 0.2), (-0.2, -0.1)]


def test_tables_number_claims_within_their_study(tmp_path):
    claims = [claim((0.1, 0.3)), claim((0.1, 0.3), (-0.3, 0.1), text="E."), ClaimResult(2, "C|D", [], "this project")]
    files = write_claims(claims, tmp_path / "made" / "out")
    assert [file.name for file in files] == ["claims.json", "claims.md", "claims.tex"]
    text = (tmp_path / "made/out/claims.md").read_text()
    assert text == claims_markdown(claims)
    lines = text.splitlines()
    assert "| 1.1 | A beats B. | Taylor et al. 2024 | **holds** | 1 / 0 / 0 | +0.200 [+0.100, +0.300] |" in lines
    assert "| 1.2 | E. | Taylor et al. 2024 | **holds in 1 of 2** | 1 / 0 / 1 | -0.100 to +0.200 |" in lines
    assert "| 2.1 | C\\|D | this project | **not tested** | - | - |" in lines
    assert "| 1.2 | wards | a v. b | macro-F1 | -0.100 [-0.300, +0.100] | undecided |" in lines
    values = json.loads((tmp_path / "made/out/claims.json").read_text())
    assert values["kind"] == "claims" and values["claims"][0]["findings"] == [
        {"task": "wards", "what": "a v. b", "measure": "macro-F1", "difference": 0.2, "interval": [0.1, 0.3]}
    ]
    latex = (tmp_path / "made/out/claims.tex").read_text()
    assert latex.count(r"\begin{table}") == 2 and r"\textbf{not tested}" in latex and "C|D" in latex
    # Nothing was tested: no table of findings.
    assert "rest on" not in claims_markdown([claim()])


def test_claims_judged_earlier_stand_for_their_results(write_results, tmp_path):
    folder = write_results({key: SYSTEMS[key] for key in SYSTEMS}, shots=(8, None))
    claims = judge_evidence(load_evidence([("wards", folder)]), {"mine": "declutr"})
    earlier = next(file for file in write_claims(claims, tmp_path / "earlier") if file.name == "claims.json")
    again = judge_evidence(load_evidence([(None, earlier)]), {})
    assert claims_markdown(again) == claims_markdown(claims) and [one.values() for one in again] == [
        one.values() for one in claims
    ]
    both = judge_evidence(load_evidence([(None, earlier), ("clinic", folder)]), {"mine": "declutr"})
    assert [one.claim for one in both] == [one.claim for one in claims]
    for joined, single in zip(both, claims, strict=True):
        tasks = [found.task for found in joined.findings]
        assert len(tasks) == 2 * len(single.findings)
        assert tasks[: len(single.findings)] == [
            task.replace("wards", "clinic") for task in tasks[len(single.findings) :]
        ]

    with pytest.raises(InputError, match="holds the names of its data; leave out 'wards='"):
        load_evidence([("wards", earlier)])
    values = json.loads(earlier.read_text())
    for change, words in (
        ({"kind": "other"}, "holds no claims"),
        ({"schema_version": 9}, "has schema version 9, not 1"),
        ({"claims": [{**values["claims"][0], "study": "nobody"}]}, "holds a claim that is damaged"),
        ({"claims": [{**values["claims"][0], "findings": [{"task": "a"}]}]}, "holds a claim that is damaged"),
    ):
        earlier.write_text(json.dumps({**values, **change}))
        with pytest.raises(InputError, match=words):
            load_evidence([(None, earlier)])


def test_folders_of_several_kinds_are_told_apart_and_joined_by_name(write_results, write_space):
    mine, other = (write_results({key: SYSTEMS[key]}, key[0], shots=(8, None)) for key in SYSTEMS)
    space = write_space(documents=60, categories=("a", "b"))
    evidence = load_evidence([("wards", mine), ("wards", other), (None, space)])
    ((name, joined),) = evidence.classifications
    assert name == "wards" and {cell.system.model for cell in joined.cells} >= {"mine", "mlm"}
    claims = judge_evidence(evidence, {"mine": "declutr"})
    assert {one.study for one in claims} == {1, 2, 3}
    tested = {one.claim: one for one in claims if one.findings}
    few = tested["With few labels a frozen DeCLUTR model beats a frozen MLM model."]
    assert [(one.task, one.what, one.sign) for one in few.findings] == [
        ("wards, specialty", "mine v. mlm, 8 a class", 1)
    ]
    spread = tested["DeCLUTR spreads documents more evenly than MLM (lower uniformity)."]
    assert [(one.task, one.what) for one in spread.findings] == [("space, specialty", "declutr v. mlm")]
    # The same space by another label says nothing new of a measure that knows no labels.
    evidence.spaces.append(("space", dataclasses.replace(evidence.spaces[0][1], label_column="team")))
    again = {one.claim: one for one in judge_evidence(evidence, {"mine": "declutr"})}
    assert again[spread.claim].findings == spread.findings
    # Under names of their own they are of different data, and nothing can be compared.
    apart = judge_evidence(load_evidence([("one", mine), ("two", other)]), {"mine": "declutr"})
    assert all(one.claim.startswith("TF-IDF") for one in apart if one.findings)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        (None, None, "no such folder; give output folders of run_study.py, classify.py"),
        ("table.md", "", "holds no results.json; give output folders"),
        ("settings.json", "{}", "is not finished: it holds no results.json; run its script again"),
        ("results.json", "{", "results.json: is not whole JSON"),
        ("results.json", "[]", "results.json: does not hold fields with values"),
        ("results.json", '{"kind": "probe"}', "results.json: holds results that no claim speaks of"),
        ("results.json", '{"kind": "tagging", "schema_version": 0}', "has schema version 0, not 1"),
    ],
)
def test_other_folders_are_refused(file, content, words, tmp_path):
    folder = tmp_path / "folder"
    if file:
        folder.mkdir()
        (folder / file).write_text(content)
    with pytest.raises(InputError) as error:
        load_evidence([(None, folder)])
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_folder_twice_and_an_unknown_role(write_results):
    folder = write_results(SYSTEMS, shots=(None,))
    with pytest.raises(InputError, match="is given twice"):
        load_evidence([(None, folder), ("again", folder / "cells" / "..")])
    with pytest.raises(InputError, match="there is no role 'best'; choose from base, mlm, declutr, mlm_declutr"):
        judge_evidence(load_evidence([(None, folder)]), {"mine": "best"})
    with pytest.raises(InputError, match="no model is called 'mien'; the models are: majority, mine, mlm, tfidf"):
        judge_evidence(load_evidence([(None, folder)]), {"mien": "declutr"})
