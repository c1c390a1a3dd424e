"""Claims on entities: taggers that differ in one setting, compared on the same documents."""

import json

import pytest

from corpora.errors import InputError
from metrics.intervals import paired_difference
from metrics.tagging_scores import tagging_counts
from reporting.claims import Roles
from reporting.study_report import make_study_report, report_values
from reporting.study_results import StepRecord, StudyModel, StudyResults
from reporting.tagging_claims import judge_tagging_claims
from reporting.tagging_results import join_tagging_results, load_tagging_results, write_cell_counts
from reporting.tagging_rows import aggregate_tagging_rows

DOCUMENTS = 60
PRE_TRAINED = {"model_name_or_path": "d1", "config_name": None, "crf": True, "sambd_share": None, "learning_rate": 1e-4}
SCRATCH = {"model_name_or_path": None, "config_name": "distilbert", "learning_rate": 5e-4}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the folder of one system, as tag.py train does.

    Each document has one entity; the system finds those of the first documents and says nothing of the others, so that
    its strict F1 is `2 found / (found + 60)`.
    """

    def make(system, found, seeds=(0, 1, 2), share=100.0, tokens=0.95, collapsed=(), **settings):
        folder = tmp_path / f"{system}-{share:g}-{seeds[0]}"
        (folder / "cells").mkdir(parents=True)
        (folder / "settings.json").write_text(json.dumps({**PRE_TRAINED, **settings}))
        ids = [f"note-{number}" for number in range(DOCUMENTS)]
        gold, cells = [[("Drug", 0, 1)]] * DOCUMENTS, []
        for seed in seeds:
            said = gold[:found] + [[]] * (DOCUMENTS - found)
            write_cell_counts(folder / "cells" / f"{seed}.npz", tagging_counts(gold, said, ids, ["Drug"]))
            cell = {"id": str(seed), "system": system, "share": share, "seed": seed, "training_sentences": 9}
            cell |= {"collapse": "all O" if seed in collapsed else None, "trained_parameters": 2_500_000}
            cell |= {"seconds": 1.0, "metrics": {"token_level_f1_macro": tokens}, "counts": f"cells/{seed}.npz"}
            cells.append(cell)
        head = {"schema_version": 1, "kind": "tagging", "corpus": "wards", "corpus_digest": "c", "split": "test"}
        (folder / "results.json").write_text(json.dumps({**head, "labels": ["Drug"], "cells": cells}))
        return folder

    return make


def f1(found):
    return 2 * found / (found + DOCUMENTS)


def judge(*folders, roles=None):
    results = join_tagging_results([load_tagging_results(folder) for folder in folders])
    claims = judge_tagging_claims([results], Roles(roles or {"base": "base", "mlm": "mlm"}), resamples=200)
    names = ("crf", "lead", "near", "sampling", "adapted", "tokens")
    assert len(claims) == len(names) and {claim.study for claim in claims} == {2}
    return dict(zip(names, claims, strict=True))


@pytest.mark.parametrize(("plain", "verdict"), [(20, "holds"), (40, "not shown"), (58, "does not hold")])
def test_a_crf_is_compared_with_the_same_encoder_without(write, plain, verdict):
    folders = write("crf", 40), write("apt", plain, crf=False, crf_learning_rate=1e-2)
    claims = judge(*folders)
    (found,) = claims["crf"].findings
    assert claims["crf"].verdict == verdict
    assert (found.task, found.what, found.measure) == (
        "wards, 100 % of the training sentences",
        "crf v. apt",
        "strict F1",
    )
    assert found.difference == pytest.approx(f1(40) - f1(plain))
    results = join_tagging_results([load_tagging_results(folder) for folder in folders])
    first, second = (row.scores["f1_micro"] for row in aggregate_tagging_rows(results, 200))
    assert found.interval == paired_difference(first, second, same_seeds=True).interval
    assert all(claims[name].verdict == "not tested" for name in ("lead", "near", "sampling", "adapted"))


def test_shares_and_other_settings_are_kept_apart(write):
    other = write("apt", 20, crf=False, learning_rate=9e-4)
    assert judge(write("crf", 40), other)["crf"].verdict == "not tested"
    less = write("few", 20, crf=False, share=25.0)
    assert judge(write("crf2", 40), less)["crf"].verdict == "not tested"


def test_an_encoder_from_scratch_may_be_near_and_behind(write):
    claims = judge(write("crf", 57), write("scratch", 53, **SCRATCH))
    assert (claims["lead"].verdict, claims["near"].verdict) == ("holds", "not shown")
    (lead,), (near,) = claims["lead"].findings, claims["near"].findings
    assert near.difference == pytest.approx(0.05 - lead.difference)
    assert near.interval == pytest.approx((0.05 - lead.interval[1], 0.05 - lead.interval[0]))
    assert lead.what == "crf v. scratch (2.5 million v. 2.5 million trained numbers)"
    far = judge(write("crf2", 57), write("scratch2", 20, **SCRATCH))
    assert (far["lead"].verdict, far["near"].verdict) == ("holds", "does not hold")
    # Frozen, the encoder would not be what is compared.
    frozen = judge(write("crf3", 57), write("scratch3", 20, freeze="all", **SCRATCH))
    assert frozen["lead"].verdict == "not tested"


def test_down_sampling_and_adaptation(write):
    claims = judge(write("base", 30), write("less", 45, sambd_share=0.2072), write("mlm", 50, model_name_or_path="d2"))
    assert claims["sampling"].verdict == "does not hold"  # it gains
    assert [found.what for found in claims["sampling"].findings] == ["base v. less"]
    assert claims["adapted"].verdict == "holds"
    assert [found.what for found in claims["adapted"].findings] == ["mlm v. base"]
    unknown = judge(write("one", 30), write("two", 50, model_name_or_path="d2"))
    assert unknown["adapted"].verdict == "not tested"


def test_the_token_level_score_is_set_against_strict_spans_of_the_best(write):
    claims = judge(write("crf", 40, tokens=0.9), write("apt", 20, tokens=0.99, crf=False))
    (found,) = claims["tokens"].findings
    assert found.what == "crf: token level v. strict spans" and claims["tokens"].source == "this project"
    assert found.difference == pytest.approx(0.9 - f1(40)) and claims["tokens"].verdict == "holds"


def test_collapsed_runs_are_named_and_left_out(write):
    claims = judge(write("crf", 40, collapsed=(2,)), write("apt", 20, crf=False, collapsed=(0, 1, 2)))
    assert claims["crf"].verdict == "not tested"
    claims = judge(write("crf2", 40, collapsed=(2,)), write("apt2", 20, crf=False))
    assert claims["crf"].findings[0].what == "crf2 (1 of 3 runs collapsed) v. apt2"


def test_settings_are_needed_and_must_agree(write):
    folder = write("crf", 40)
    (folder / "settings.json").write_text("{")
    with pytest.raises(InputError, match=r"settings\.json: is not whole JSON; run tag\.py again"):
        judge(folder)
    (folder / "settings.json").unlink()
    with pytest.raises(InputError, match=r"settings\.json: cannot be read"):
        judge(folder)
    with pytest.raises(InputError, match=r"system 'a' was trained with other settings \(epochs\) in another folder"):
        judge(write("a", 40), write("a", 40, seeds=(3,), epochs=2))


def test_a_study_with_entities_reports_what_they_say(write, tmp_path):
    folders = {"base": write("base", 30), "adapted": write("adapted", 50, model_name_or_path="d2")}
    steps = [StepRecord(f"tag/drugs/{name}", "tag.py", folder, None, 1.0) for name, folder in folders.items()]
    steps.append(StepRecord("tag/drugs/compared", "tag.py", tmp_path, None, 1.0))
    models = [StudyModel("base", None, {}, None, "base", None), StudyModel("adapted", "wards", {}, None, "mlm", 10)]
    report = make_study_report(StudyResults(tmp_path, steps, {}, models))
    titles = {section.title: section for section in report.sections}
    verdicts, findings = titles["What holds of the study on entities"].tables
    assert verdicts.caption == "Claims of Belkadi et al. 2022 on this study's tasks"
    assert ["drugs, 100 % of the training sentences", "adapted v. base"] in [line[1:3] for line in findings.lines]
    names = [table.name for section in report.sections for table in section.tables]
    assert len(set(names)) == len(names)
    told = {one["claim"]: one for one in report_values(report)["claims"]}
    adapted = told["An encoder adapted to the domain beats the one that it comes from."]
    assert (adapted["study"], adapted["verdict"]) == ("Belkadi et al. 2022", "holds")
    # Without a tagging step nothing is said of that study.
    without = make_study_report(StudyResults(tmp_path, [], {}, models))
    assert {claim.study for claim in without.claims} == {1}
