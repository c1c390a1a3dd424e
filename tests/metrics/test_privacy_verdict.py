"""The verdict: each part raises it at its thresholds, and only beyond chance."""

import pytest

from metrics.privacy_verdict import privacy_verdict

NONE = dict.fromkeys(("membership", "canaries", "identifiers", "embeddings"))


def measured(value, low, high):
    return {"value": value, "low": low, "high": high}


def attack(auc, rate=(0.0, 0.0, 0.0), nonmembers=500):
    return {
        "auc": measured(*auc),
        "true_positive_rate": {"0.01": measured(*rate), "0.001": measured(0.9, 0.8, 1.0)},
        "members": 400,
        "nonmembers": nonmembers,
    }


def levels(document, patient=None):
    return {"document": document, "patient": patient}


CHANCE = (0.5, 0.45, 0.55)


@pytest.mark.parametrize(
    ("document", "patient", "verdict"),
    [
        (attack(CHANCE), None, "low"),
        (attack((0.56, 0.51, 0.6)), None, "moderate"),
        (attack((0.54, 0.51, 0.6)), None, "low"),  # beyond chance, but little
        (attack((0.7, 0.4, 0.9)), None, "low"),  # much, but no more than chance may give
        (attack((0.7, 0.54, 0.8)), None, "moderate"),
        (attack((0.65, 0.56, 0.8)), None, "risk"),
        (attack(CHANCE), attack((0.8, 0.7, 0.9)), "risk"),
        (attack(CHANCE, (0.12, 0.05, 0.2)), None, "risk"),
        (attack(CHANCE, (0.12, 0.05, 0.2), nonmembers=99), None, "low"),  # 1 % of 99 is nobody
    ],
)
def test_membership(document, patient, verdict):
    for part in ("membership", "embeddings"):
        name = "loss" if part == "membership" else "neighbour_margin"
        found, sentences = privacy_verdict({**NONE, part: {"attacks": {name: levels(document, patient)}}})
        assert found == verdict
        assert sentences[0].lower().startswith(verdict)
        assert len(sentences) == 5 + (patient is not None)


def test_few_documents_are_said_to_be_few():
    _, sentences = privacy_verdict({**NONE, "membership": {"attacks": {"loss": levels(attack((0.6, 0.4, 0.8)))}}})
    assert any("too few to exclude a risk" in sentence and "400 members, 500 non" in sentence for sentence in sentences)


def test_sides_that_the_reference_tells_apart_count_by_comparison_only():
    far = attack((0.9, 0.8, 1.0))
    attacks = {"loss": levels(far), "likelihood_ratio": levels(attack(CHANCE)), "reference_loss": levels(far)}
    verdict, sentences = privacy_verdict({**NONE, "membership": {"attacks": attacks}})
    assert verdict == "low" and sum("does not count" in sentence for sentence in sentences) == 1
    attacks["reference_loss"] = levels(attack(CHANCE))
    assert privacy_verdict({**NONE, "membership": {"attacks": attacks}})[0] == "risk"


@pytest.mark.parametrize(
    ("times", "bits", "p_value", "verdict"),
    [(64, 5.1, 0.001, "risk"), (64, 3.0, 0.001, "moderate"), (64, 9.0, 0.05, "low"), (1, 1.4, 0.001, "low"),
     (0, 9.0, 1e-9, "low")],
)  # fmt: skip
def test_canaries(times, bits, p_value, verdict):
    group = {"repetitions": times, "canaries": 2, "mean_bits": measured(bits, None, None), "p_value": p_value}
    part = {"space_bits": 10.0, "unseen_bits": 1.44, "groups": [group]}
    assert privacy_verdict({**NONE, "canaries": part})[0] == verdict


@pytest.mark.parametrize(
    ("excess", "verdict"),
    [((0.2, 0.05, 0.3), "risk"), ((0.05, 0.01, 0.1), "moderate"), ((0.2, -0.01, 0.4), "low"), ((0.0, 0, 0), "low")],
)
def test_identifiers(excess, verdict):
    shares = {"members": {"model": 0.3}, "nonmembers": {"model": 0.1}}
    entry = {"top_1": {**shares, "excess": measured(0, 0, 0)}, "top_10": {**shares, "excess": measured(*excess)}}
    for members, few in ((40, False), (29, True)):
        entry |= {"members": members, "nonmembers": 30}
        found, sentences = privacy_verdict({**NONE, "identifiers": {"kinds": {"all": entry}}})
        assert found == verdict and any(f"of {members} in members" in sentence for sentence in sentences)
        # That nothing was found among a few is said to mean little.
        said = sum("too few to exclude a risk" in sentence for sentence in sentences)
        assert said == few * (1 + (verdict == "low"))


def test_what_was_not_measured_is_said():
    verdict, sentences = privacy_verdict(NONE)
    assert sum("not measured" in sentence for sentence in sentences) == 4
    # Which is no reason to call a model safe.
    assert verdict == "moderate" and sentences[0].startswith("Moderate: nothing could be measured")
    assert privacy_verdict({**NONE, "embeddings": {"attacks": {"halves_similarity": levels(None)}}})[0] == "moderate"
