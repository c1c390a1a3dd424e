"""Openly available tables, where a developer has them: known counts and a known ceiling."""

import os
from pathlib import Path

import pytest
from sklearn.metrics import roc_auc_score

from corpora.bayes_network import read_network
from corpora.encounter_loading import load_encounters, separate_sites
from corpora.encounter_options import EncounterOptions
from corpora.errors import InputError
from corpora.vocabulary_overlap import overlap_report

DATA = Path(os.environ.get("NOTESPACE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
FLU, EICU = DATA / "two_site_flu", DATA / "ehr_concepts"


@pytest.mark.skipif(not FLU.is_dir(), reason="needs the two-site influenza tables")
def test_the_bayes_ceiling_of_the_influenza_test():
    options = EncounterOptions(
        encounter_format="wide",
        outcome_column="diagnosis",
        positive_values=["I"],
        concept_names=str(FLU / "concept_names.txt"),
    )
    found = load_encounters(FLU / "target_test.csv.gz", options)
    assert len(found) == 10_000 and found.without_states == 0 and found.occurs.nnz == 630_000
    posterior = read_network(FLU / "target_model.bif").posterior(found, ["I"])
    assert roc_auc_score(found.outcomes, posterior) == pytest.approx(0.9768, abs=1e-3)
    farther = read_network(FLU / "source_kl05.bif").posterior(found, ["I"])
    assert roc_auc_score(found.outcomes, farther) < 0.9


@pytest.mark.skipif(not EICU.is_dir(), reason="needs the eICU demo tables")
def test_counts_of_the_two_eicu_regions():
    sites = []
    for site, events, diagnoses in (("midwest", 36_582, 272), ("south", 37_260, 277)):
        files = [EICU / f"eicu_{site}_events.csv.gz", EICU / f"eicu_{site}_stays.csv"]
        options = EncounterOptions(encounter_preset="eicu", on_missing_outcome="skip", domains=["dx"])
        with pytest.raises(InputError, match="the outcome is missing"):
            load_encounters(files, EncounterOptions(encounter_preset="eicu"), site)
        found = load_encounters(files, options, site)
        counts = found.report["events"]
        assert counts["read"] == events == counts["used"] + sum(counts["dropped"].values())
        assert found.report["concepts"]["kept"] <= diagnoses
        sites.append(found)
    with pytest.raises(InputError, match="1 patient id is at both sites midwest and south"):
        separate_sites(*sites)
    found = overlap_report(*separate_sites(*sites, "drop"))
    assert 185 <= found["shared_codes"] <= 195
