"""Claims are judged by intervals, gains by pairs that differ in the encoder alone."""

from dataclasses import replace

import numpy as np
import pytest

from metrics.intervals import holm
from reporting.classification_results import System, load_results
from reporting.study_claims import ClaimResult, Finding, judge_claims
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


def finding(low, high):
    return Finding("task", "what", (low + high) / 2, (low, high))


@pytest.mark.parametrize(
    "intervals, verdict",
    [
        ([], "not tested"),
        ([(0.01, 0.2), (-0.1, 0.3)], "holds"),
        ([(-0.2, -0.01), (-0.1, 0.3)], "does not hold"),
        ([(-0.2, -0.01), (0.1, 0.3)], "depends"),
        ([(-0.2, 0.01), (0.0, 0.3)], "not shown"),
    ],
)
def test_verdicts(intervals, verdict):
    assert ClaimResult("claim", [finding(*ends) for ends in intervals]).verdict == verdict


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


def test_claims_find_their_models_by_role(evaluation):
    models = [
        StudyModel("base", None, {}, None, "base", None),
        StudyModel("contrastive", "wards", {}, None, "declutr", 10),
        StudyModel("masked", "wards", {}, None, "mlm", 10),
    ]
    study = StudyResults("folder", [], {}, models)
    claims = {claim.claim: claim for claim in judge_claims(study, [evaluation], [])}
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
