"""Claims on concept embeddings: text against controls, tuned against direct, few encounters, codes that part."""

import json

import numpy as np
import pytest

from reporting.claims import Roles
from reporting.transfer_claims import judge_transfer_claims
from reporting.transfer_results import load_transfer_results

CLAIMS = ("one_hot", "random", "ranking", "adapted", "tuned", "overtuned", "few", "renamed", "disjoint")
OUTCOMES = (np.arange(160) % 4 == 0).astype(int)


@pytest.fixture
def judge(tmp_path):
    """Return a function that writes cells as concept_transfer.py does, and judges them.

    A cell is `(embedding, setting, vocabulary, source, protocol, size)` with how well it ranks; the noise is shared, so
    that differences are paired.
    """

    def run(qualities, roles=None, courses=None, seeds=3):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        (folder / "cells").mkdir(parents=True)
        noise, cells = np.random.default_rng(0).normal(0, 1, len(OUTCOMES)), []
        for number, (key, quality) in enumerate(qualities.items()):
            fields = dict(zip(("embedding", "setting", "vocabulary", "source", "protocol", "size"), key, strict=True))
            for seed in range(seeds):
                name = f"{number}-{seed}"
                own = np.random.default_rng([number, seed]).normal(0, 0.2, len(OUTCOMES))
                chances = 1 / (1 + np.exp(1.5 - quality * OUTCOMES - noise - own))
                np.savez(folder / "cells" / f"{name}.npz", probabilities=chances.astype(np.float32))
                cell = {"id": name, "classifier": "set_max", "seed": seed, "metrics": {}, **fields}
                if key[4].startswith("tuned"):
                    course = courses or [0.6, 0.8, 0.7]
                    cell |= {"trajectory": [{"test_auroc": score + 0.01 * seed} for score in course], "best_epoch": 1}
                cells.append({**cell, "predictions": f"cells/{name}.npz"})
        targets = {"targets": OUTCOMES, "patients": np.arange(len(OUTCOMES)), "document_ids": OUTCOMES.astype(str)}
        np.savez(folder / "test_targets.npz", **targets)
        head = {"schema_version": 1, "kind": "concept_transfer", "target": "south", "sites": {}, "overlaps": []}
        (folder / "results.json").write_text(json.dumps({**head, "cells": cells}))
        results = [("wards", load_transfer_results(folder))]
        claims = judge_transfer_claims(results, Roles(roles or {}), resamples=200)
        assert {claim.study for claim in claims} == {3}
        return dict(zip(CLAIMS, claims, strict=True))

    return run


def direct(embedding, vocabulary="full", setting="scaled"):
    return (embedding, setting, vocabulary, "north", "direct", 0)


def those_with_findings(claims):
    return {name for name, claim in claims.items() if claim.findings}


def test_text_against_the_controls(judge):
    qualities = {direct("one_hot"): 1.0, direct("random"): 2.5, direct("text"): 2.5}
    claims = judge(qualities)
    assert those_with_findings(claims) == {"one_hot", "random"}
    assert (claims["one_hot"].verdict, claims["random"].verdict) == ("holds", "not shown")
    (found,) = claims["one_hot"].findings
    assert (found.task, found.what) == ("wards, north to south", "text v. one-hot, concept set, maximum, direct")
    assert found.measure == "AUROC" and found.interval[0] < found.difference < found.interval[1]
    assert judge({**qualities, direct("text"): 0.2})["one_hot"].verdict == "does not hold"
    # Raw vectors are no test of it, nor is a claim on names tested by another vocabulary.
    assert not those_with_findings(judge({direct("one_hot", setting="raw"): 1.0, direct("text", setting="raw"): 2.5}))


@pytest.mark.parametrize(("scaled", "verdict"), [(2.5, "holds"), (1.0, "not shown"), (0.1, "does not hold")])
def test_a_ranking_of_raw_vectors_is_looked_for_among_scaled_ones(judge, scaled, verdict):
    raw = {direct("text", setting="published"): 2.5, direct("random", setting="published"): 1.0}
    claims = judge({**raw, direct("text"): scaled, direct("random"): 1.0})
    (found,) = claims["ranking"].findings
    assert claims["ranking"].verdict == verdict
    assert found.what == "text v. random vectors, concept set, maximum, direct, ahead when published"
    assert judge(raw)["ranking"].verdict == "not tested"


def test_vocabularies_that_part(judge):
    qualities = {}
    for vocabulary, quality in (("renamed_1", 2.5), ("renamed_0.5", 2.5), ("dealt", 1.0), ("shared", 2.5)):
        qualities |= {direct("one_hot", vocabulary): 1.0, direct("text", vocabulary): quality}
    claims = judge(qualities)
    assert those_with_findings(claims) == {"renamed", "disjoint"}
    assert [found.task for found in claims["renamed"].findings] == [
        f"wards, north to south, {share} % of the shared codes renamed" for share in (100, 50)
    ]
    assert (claims["renamed"].verdict, claims["disjoint"].verdict) == ("holds", "not shown")


def test_tuning_and_few_encounters(judge):
    def tuned(size, protocol="tuned_all"):
        return ("text", "scaled", "full", "north", protocol, size)

    def local(size):
        return ("text", "scaled", "full", None, "local", size)

    qualities = {direct("text"): 1.0, tuned(50): 1.2, tuned(None): 3.0, local(50): 0.1, local(None): 3.0}
    claims = judge(qualities)
    assert those_with_findings(claims) == {"tuned", "overtuned", "few"}
    # Most encounters against none; fewest encounters against the same ones alone.
    assert [found.what for name in ("tuned", "few") for found in claims[name].findings] == [
        "text, concept set, maximum, tuned, all, all v. direct",
        "text, concept set, maximum, tuned, all, 50 v. the same encounters alone",
    ]
    assert (claims["tuned"].verdict, claims["few"].verdict) == ("holds", "holds")
    (course,) = claims["overtuned"].findings
    assert course.difference == pytest.approx(0.1) and course.interval == pytest.approx((0.1, 0.1))
    assert course.what.endswith("tuned, all, 50: chosen epoch v. the last of 2; interval over seeds alone")
    assert judge(qualities, courses=[0.6, 0.7, 0.8])["overtuned"].verdict == "does not hold"
    # The interval is over seeds: one seed has none, and would decide by its sign.
    assert judge(qualities, seeds=1)["overtuned"].verdict == "not tested"
    # All encounters are not few.
    assert judge({tuned(None): 3.0, local(None): 1.0})["few"].verdict == "not tested"


def test_adapted_encoders_are_known_by_their_roles(judge):
    qualities = {direct("minilm"): 1.0, direct("declutr"): 2.5}
    assert not those_with_findings(judge(qualities, {"declutr": "declutr"}))
    claims = judge(qualities, {"declutr": "declutr", "minilm": "base"})
    assert [found.what for found in claims["adapted"].findings] == ["declutr v. minilm, concept set, maximum, direct"]
    assert claims["adapted"].verdict == "holds"
