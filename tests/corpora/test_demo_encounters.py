"""The generated hospitals against the networks they are drawn from."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from corpora.bayes_network import read_network
from corpora.concept_names import read_concept_names
from corpora.demo_encounters import PREDICTION_HOURS, DemoEncounterOptions, demo_sites, write_demo_encounters
from corpora.encounter_loading import load_encounters, separate_sites
from corpora.encounter_options import EncounterOptions
from corpora.errors import InputError
from corpora.vocabulary_overlap import overlap_report, restrict_overlap


def load(folder, site, **options):
    files = [folder / f"{site}_encounters.csv", folder / f"{site}_events.csv"]
    return load_encounters(files, EncounterOptions(**options), site)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("demo")
    write_demo_encounters(made, DemoEncounterOptions(encounters=1200, seed=1))
    return made


@pytest.fixture(scope="module")
def sites(folder):
    return {site: load(folder, site, prediction_hours=PREDICTION_HOURS) for site in ("north", "south")}


def test_frequencies_are_those_of_the_network(folder, sites):
    for site, found in sites.items():
        network = read_network(folder / f"{site}.bif")
        outside = 0
        for column, state in enumerate(found.states):
            said = found.occurs[:, [column]].toarray().ravel()
            for outcome in (0, 1):
                expected = network.findings[state.code][1][outcome, 1]
                rows = found.outcomes == outcome
                error = np.sqrt(expected * (1 - expected) / rows.sum())
                outside += abs(said[rows].mean() - expected) > 3 * error
        assert outside <= 3  # of 96, where 0.3 are expected
        assert found.outcomes.mean() == pytest.approx(0.25, abs=3.5 * np.sqrt(0.25 * 0.75 / 1200))


def test_no_classifier_beats_the_posterior(folder, sites):
    north = sites["north"]
    posterior = read_network(folder / "north.bif").posterior(north, ["1"], unsaid="absent")
    ceiling = roc_auc_score(north.outcomes, posterior)
    assert 0.88 < ceiling < 0.99
    # Right on average: the expected number of positives is the number there is.
    assert posterior.mean() == pytest.approx(north.outcomes.mean(), abs=0.03)
    model = LogisticRegression(C=0.3).fit(north.occurs[:800], north.outcomes[:800])
    learnt = roc_auc_score(north.outcomes[800:], model.decision_function(north.occurs[800:]))
    assert 0.8 < learnt < roc_auc_score(north.outcomes[800:], posterior[800:]) + 0.01


def test_the_leak_after_the_prediction_time(folder, sites):
    late = load(folder, "north")
    column = late.keys.index("end=present")
    said = late.occurs[:, [column]].toarray().ravel()
    assert not said[late.outcomes == 0].any() and said[late.outcomes == 1].mean() > 0.6
    assert "end=present" not in sites["north"].keys
    dropped = sites["north"].report["events"]["dropped"]
    assert dropped["after the prediction time"] == int(said.sum())


def test_codes_are_shared_in_part_and_names_are_the_same(sites):
    source, target = separate_sites(sites["north"], sites["south"])
    found = overlap_report(source, target)
    assert found["shared_codes"] == found["shared_codes_of_one_name"] == 24
    assert found["source_codes"] == found["target_codes"] == 48
    names = [{state.name for state in site.states} for site in (source, target)]
    assert names[0] == names[1] and len(names[0]) == 48
    first, second = restrict_overlap(source, target, "disjoint")
    assert not set(first.keys) & set(second.keys)


def test_the_same_seed_writes_the_same_bytes(tmp_path, folder):
    again = write_demo_encounters(tmp_path / "again", DemoEncounterOptions(encounters=1200, seed=1))
    assert len(again) == 8
    for file in again:
        assert file.read_bytes() == (folder / file.name).read_bytes()
    other = write_demo_encounters(tmp_path / "other", DemoEncounterOptions(encounters=1200, seed=2))
    assert other[1].read_bytes() != again[1].read_bytes()


def test_the_command(tmp_path, capsys):
    import make_demo_encounters

    make_demo_encounters.main(["--output_dir", str(tmp_path / "out"), "--encounters", "30"])
    assert "8 files, 30 encounters of each hospital" in capsys.readouterr().out
    assert sorted(file.suffix for file in (tmp_path / "out").iterdir()) == [".bif"] * 2 + [".csv"] * 4 + [".txt"] * 2
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file, not a folder"):
        make_demo_encounters.main(["--output_dir", str(tmp_path / "file")])


def test_options(tmp_path, folder):
    sites = demo_sites(DemoEncounterOptions(shared_codes=1.0, shift=0.0, synonyms=True))
    north, south = sites["north"], sites["south"]
    assert north.codes == south.codes and north.names == south.synonyms and north.synonyms == south.names
    for (_, first), (_, second) in zip(north.network.findings.values(), south.network.findings.values(), strict=True):
        assert first == pytest.approx(second)
    assert not set(demo_sites(DemoEncounterOptions(shared_codes=0.0))["north"].codes) & set(south.codes)
    assert len(read_concept_names(folder / "north_synonyms.txt")) == 48


@pytest.mark.parametrize("options", [{"encounters": 5}, {"prevalence": 0.0}, {"shared_codes": 1.5}, {"shift": -1.0}])
def test_options_out_of_range(options):
    with pytest.raises(InputError, match=next(iter(options))):
        DemoEncounterOptions(**options)
