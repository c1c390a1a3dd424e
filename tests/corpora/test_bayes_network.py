"""Posteriors of naive-Bayes networks against enumeration, and faults of their files."""

import itertools

import numpy as np
import pytest

from corpora.bayes_network import BayesNetwork, network_xml, read_network
from corpora.encounters import encounters_from_sets
from corpora.errors import InputError

NETWORK = BayesNetwork(
    "diagnosis",
    ("I", "R", "M"),
    np.array([0.2, 0.5, 0.3]),
    {
        "cough": (("P", "A"), np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])),
        "fever": (("high", "low", "no"), np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.1, 0.8]])),
    },
)


def encounters(said):
    names = {code: code for one in said for code, _ in one} or {"x": "x"}
    ids = [f"e{i}" for i in range(len(said))]
    return encounters_from_sets(ids, ids, [0] * len(said), said, names, "clinic")


def enumerated(cough, fever, positive):
    """Sum the joint distribution over every finding that is not known."""
    sums = np.zeros(3)
    for k, c, f in itertools.product(range(3), range(2), range(3)):
        if cough in (None, c) and fever in (None, f):
            joint = NETWORK.prior[k] * NETWORK.findings["cough"][1][k, c] * NETWORK.findings["fever"][1][k, f]
            sums[k] += joint
    return sum(sums["IRM".index(one)] for one in positive) / sums.sum()


@pytest.mark.parametrize("positive", [["I"], ["I", "M"]])
def test_posterior_equals_enumeration_with_and_without_missing_findings(positive):
    coughs = {None: None, 0: ("cough", "present"), 1: ("cough", "absent")}
    fevers = {None: None, 0: ("fever_high", "present"), 1: ("fever", "low"), 2: ("fever", "no")}
    cases = list(itertools.product(coughs, fevers))
    said = [{state for state in (coughs[c], fevers[f]) if state} for c, f in cases]
    found = NETWORK.posterior(encounters(said), positive)
    assert found == pytest.approx([enumerated(c, f, positive) for c, f in cases], abs=1e-12)


def test_findings_that_are_not_recorded_count_as_absent_in_events():
    network = BayesNetwork(
        "d", ("0", "1"), np.array([0.5, 0.5]), {"cough": (("A", "P"), np.array([[0.8, 0.2], [0.4, 0.6]]))}
    )
    found = network.posterior(encounters([{("cough", "present")}, set()]), ["1"], unsaid="absent")
    assert found == pytest.approx([0.6 / 0.8, 0.4 / 1.2])
    assert network.posterior(encounters([{("cough", "present")}, set()]), ["1"])[1] == pytest.approx(0.5)


def test_written_and_read_again(tmp_path):
    (tmp_path / "net.bif").write_text(network_xml(NETWORK, "net"))
    found = read_network(tmp_path / "net.bif")
    assert (found.variable, found.classes) == ("diagnosis", ("I", "R", "M"))
    assert found.prior == pytest.approx(NETWORK.prior)
    assert list(found.findings) == ["cough", "fever"]
    for name, (values, table) in NETWORK.findings.items():
        assert found.findings[name][0] == values and found.findings[name][1] == pytest.approx(table)


def test_ones_of_zero_probability_leave_the_others():
    network = BayesNetwork(
        "d", ("0", "1"), np.array([0.5, 0.5]), {"c": (("P", "A"), np.array([[0.0, 1.0], [0.3, 0.7]]))}
    )
    assert network.posterior(encounters([{("c", "present")}]), ["1"]) == pytest.approx([1.0])


def test_many_findings_do_not_underflow():
    table = (("P", "A"), np.array([[0.02, 0.98], [0.01, 0.99]]))
    network = BayesNetwork("d", ("0", "1"), np.array([0.5, 0.5]), {f"c{i}": table for i in range(300)})
    rare = {(f"c{i}", "present" if i < 200 else "absent") for i in range(300)}
    odds = 200 * np.log(0.02 / 0.01) + 100 * np.log(0.98 / 0.99)
    assert network.posterior(encounters([rare]), ["0"]) == pytest.approx([1 / (1 + np.exp(-odds))])
    assert network.posterior(encounters([rare]), ["1"]) == pytest.approx([np.exp(-odds)], rel=1e-6, abs=0)


@pytest.mark.parametrize(
    ("said", "positive", "words"),
    [
        ({("rash", "present")}, ["I"], "the network has no finding rash"),
        ({("fever_none", "present")}, ["I"], "the network has no finding fever_none"),
        ({("cough", "present")}, [], "no class of the network is named as the outcome; give --positive_values"),
        ({("cough", "loud")}, ["I"], "cough has no value for the state loud"),
        ({("cough", "present")}, ["X"], "diagnosis has no value X; choose from I, R, M"),
        ({("cough", "present"), ("cough", "absent")}, ["I"], "two values of the finding cough in encounter number 1"),
    ],
)
def test_encounters_of_another_network(said, positive, words):
    with pytest.raises(InputError, match=words):
        NETWORK.posterior(encounters([said]), positive)


def written(tmp_path, change):
    file = tmp_path / "net.bif"
    file.write_text(change(network_xml(NETWORK, "net")))
    return file


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:200], "no valid XML"),
        (lambda text: text.replace("BIF", "XML"), "no XMLBIF network"),
        (lambda text: text.replace("0.9 0.1", "0.9"), "table of cough does not hold 3 x 2 numbers"),
        (lambda text: text.replace("0.9 0.1", "0.9 x"), "table of cough does not hold 3 x 2 numbers"),
        (lambda text: text.replace("0.9 0.1", "0.9 0.3"), "a row of the table of cough is no distribution"),
        (lambda text: text.replace("0.9 0.1", "-0.1 1.1"), "a row of the table of cough is no distribution"),
        (
            lambda text: text.replace("<FOR>fever</FOR>\n      <GIVEN>diagnosis</GIVEN>", "<FOR>fever</FOR>"),
            "2 of 3 variables depend on no other",
        ),
        (
            lambda text: text.replace(
                "<FOR>fever</FOR>\n      <GIVEN>diagnosis</GIVEN>", "<FOR>fever</FOR>\n<GIVEN>cough</GIVEN>"
            ),
            "the finding fever is not given the class variable alone",
        ),
        (lambda text: text.replace("<NAME>cough</NAME>", ""), "a VARIABLE without one NAME"),
        (
            lambda text: text.replace("?>", '?>\n<!DOCTYPE BIF [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>', 1),
            "declares XML entities",
        ),
    ],
)
def test_faults_in_a_file(tmp_path, change, words):
    file = written(tmp_path, change)
    with pytest.raises(InputError, match=words):
        read_network(file)


def test_rounded_rows_are_scaled_and_a_plain_document_type_is_read(tmp_path):
    doctype = "?>\n<!DOCTYPE BIF [\n<!ELEMENT BIF ( NETWORK )*>\n<!ATTLIST BIF VERSION CDATA #REQUIRED>\n]>"
    file = written(tmp_path, lambda text: text.replace("0.9 0.1", "0.9 0.102").replace("?>", doctype, 1))
    table = read_network(file).findings["cough"][1]
    assert table[0] == pytest.approx([0.9 / 1.002, 0.102 / 1.002])


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_network(tmp_path / "none.bif")
