"""Claims of the main study find their models and sizes; gains are of pairs that differ in the encoder alone."""

from dataclasses import replace

import numpy as np
import pytest

from metrics.intervals import holm
from reporting.claims import Roles
from reporting.classification_results import System, load_results
from reporting.space_results import load_space_results
from reporting.study_claims import judge_claims
from reporting.study_gains import gains, gains_over_base, make_evaluation
from reporting.study_results import StudyModel, StudyResults

SYSTEMS = {
    ("base", "logistic_regression", "windows", "all"): 1.0,
    ("contrastive", "logistic_regression", "windows", "all"): 2.4,
    ("contrastive", "hybrid", "windows", "all"): 2.4,
    ("masked", "logistic_regression", "windows", "all"): 0.9,
}


@pytest.fixture
def evaluation(write_results):
    return make_evaluation("wards", "specialty", "frozen", load_results(write_results(SYSTEMS, shots=(8, None))))


def test_gains_compare_only_what_is_used_in_the_same_way(evaluation):
    found = gains_over_base(evaluation)
    # The base has no hybrid, so that of `contrastive` has nothing to be compared with.
    assert {(one.system.model, one.system.method, one.shots) for one in found} == {
        (model, "logistic_regression", shots) for model in ("contrastive", "masked") for shots in (8, None)
    }
    means = {(row.system, row.shots): row.mean for row in evaluation.rows}
    for one in found:
        assert one.reference == replace(one.system, model="base")
        assert one.difference == pytest.approx(means[one.system, one.shots] - means[one.reference, one.shots])
        assert one.interval[0] <= one.difference <= one.interval[1]
    np.testing.assert_allclose([one.adjusted_p_value for one in found], holm([one.p_value for one in found]))
    assert all(one.significant == (one.system.model == "contrastive") for one in found)


def test_resamples_grow_with_the_gains_of_a_table(write_results, monkeypatch):
    monkeypatch.setattr("reporting.study_gains.RESAMPLES", 100)
    results = load_results(write_results(SYSTEMS, shots=(8, None)))
    found = make_evaluation("wards", "specialty", "frozen", results)
    # Four gains; after Holm the smallest p-value has to lie below 0.05.
    assert len(gains_over_base(found)) == 4 and found.rows[0].scores.resampled.shape[1] == 160


def test_claims_find_their_models_by_role(evaluation):
    models = [
        StudyModel("base", None, {}, None, "base", None),
        StudyModel("contrastive", "wards", {}, None, "declutr", 10),
        StudyModel("masked", "wards", {}, None, "mlm", 10),
    ]
    study = StudyResults("folder", [], {}, models)
    claims = {claim.claim: claim for claim in judge_claims(study.roles_of, [evaluation], [])}
    few = claims["With few labels a frozen DeCLUTR model beats a frozen MLM model."]
    systems = [System(name, "logistic_regression", "windows", "all") for name in ("contrastive", "masked")]
    (expected,) = gains(evaluation.rows, [(*systems, 8)])
    assert [(one.what, one.difference, one.interval) for one in few.findings] == [
        ("contrastive v. masked, 8 a class", expected.difference, expected.interval)
    ]
    assert few.verdict == "holds"
    assert claims["DeCLUTR after MLM beats MLM alone, frozen, few labels."].verdict == "not tested"
    words = claims["TF-IDF beats frozen encoders, all labels."]
    assert [one.what for one in words.findings] == [
        f"TF-IDF v. {name}, all" for name in ("base", "contrastive", "masked")
    ]
    assert [one.sign for one in words.findings][1] == -1


def test_few_labels_and_all_are_not_each_other(write_results):
    roles = Roles({"contrastive": "declutr", "masked": "mlm"})

    def compared(shots):
        found = make_evaluation("wards", "specialty", "", load_results(write_results(SYSTEMS, str(shots), shots=shots)))
        claims = judge_claims(lambda corpus: roles, [found], [])
        return [one.what for claim in claims for one in claim.findings if "beats" in claim.claim]

    assert compared((8, 64)) == ["contrastive v. masked, 8 a class"]
    assert compared((None,)) == [
        "contrastive v. masked, all",
        *(f"TF-IDF v. {name}, all" for name in ("base", "contrastive", "masked")),
    ]


def test_several_models_of_a_role_and_their_spaces(write_space):
    space = load_space_results(
        write_space(documents=60, categories=("a", "b"), models={"x": (1.2, 0.3), "y": (0.5, 1.6), "z": (1.3, 0.3)})
    )
    values = {model.name: model.measures["uniformity"] for model in space.models}
    claims = judge_claims(lambda corpus: Roles({"x": "declutr", "z": "declutr", "y": "mlm"}), [], [("wards", space)])
    (even,) = (claim for claim in claims if "uniformity" in claim.claim)
    assert [found.what for found in even.findings] == ["x v. y", "z v. y"] and even.verdict == "holds"
    found = even.findings[0]
    assert (found.task, found.measure) == ("wards, specialty", "uniformity")
    assert found.difference == pytest.approx(values["y"].value - values["x"].value)
    assert found.interval == pytest.approx((values["y"].low - values["x"].high, values["y"].high - values["x"].low))
