"""The demo corpus: the same bytes everywhere, exact offsets, and something to learn."""

import csv
import gzip
import hashlib
import json
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from statistics import mean, median

import numpy as np
import pytest

from corpora.demo import CATEGORIES, FLAT_COLUMNS, SPECIALTIES, DemoOptions, generate_notes, write_demo_notes
from corpora.demo_grammar import MEDICATION_LABELS, NoteWriter, _Parser, load_grammar
from corpora.demo_lexicon import FINDING_KINDS, HOSPITALS, load_lexicon, parse_forms
from corpora.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def notes():
    return list(generate_notes(DemoOptions(patients=600)))


def digest(notes):
    return hashlib.sha256("\n".join(json.dumps(note) for note in notes).encode()).hexdigest()


def test_same_bytes_for_the_same_seed():
    # Changing any word of the lexicon or the grammar changes this: then every published figure on the demo corpus
    # has to be taken anew, and this line with it.
    assert digest(generate_notes(DemoOptions(patients=40, seed=7))) == (
        "221bf8a3974d0c721f0d3645aea76bc1532ac38cc68b81ee461f22ea6d079b87"
    )


def test_hash_seed_and_order_of_use_do_not_matter():
    code = (
        "import hashlib, json; from corpora.demo import *; list(generate_notes(DemoOptions(patients=3, seed=1)));"
        "print(hashlib.sha256('\\n'.join(json.dumps(n) for n in generate_notes(DemoOptions(patients=40, seed=7)))"
        ".encode()).hexdigest())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONHASHSEED": "123"}, text=True, capture_output=True, check=True)
    assert done.stdout.strip() == digest(generate_notes(DemoOptions(patients=40, seed=7)))


def test_a_patient_depends_on_seed_and_number_alone(notes):
    few = list(generate_notes(DemoOptions(patients=5)))
    assert few == notes[: len(few)]
    other = list(generate_notes(DemoOptions(patients=5, seed=1)))
    assert not {note["text"] for note in other} & {note["text"] for note in few}


def test_offsets_are_exact(notes):
    lexicon = load_lexicon()
    drugs = {*lexicon.shared_drugs, *(drug for some in lexicon.common_drugs.values() for drug in some)}
    drugs |= {drug for some in lexicon.conditions.values() for one in some for drug in one.drugs}
    assert len(drugs) == 105
    words = defaultdict(set)
    for drug in drugs:
        for hospital in HOSPITALS:
            words["Drug", hospital].update(form.lower() for form in drug.concept.forms[hospital])
            words["Strength", hospital].update(form.lower() for form in drug.strengths[hospital])
            words["Form", hospital].update(form.lower() for form in drug.product_forms[hospital])
            words["Dosage", hospital].update(form.lower() for form in drug.dosages[hospital])
            for route in drug.routes:
                words["Route", hospital].update(form.lower() for form in route[hospital])
            for frequency in drug.frequencies:
                words["Frequency", hospital].update(form.lower() for form in frequency[hospital])
    labels = Counter()
    for note in notes:
        end = 0
        for entity in note["entities"]:
            assert entity["start"] >= end, "mentions are in order and do not overlap"
            end = entity["end"]
            mention, label = note["text"][entity["start"] : end], entity["label"]
            labels[label] += 1
            assert mention and mention == mention.strip() and "\n" not in mention
            known = words.get((label, note["hospital"]))
            assert known is None or mention.lower() in known, label
            neighbours = note["text"][entity["start"] - 1 : entity["start"]] + note["text"][end : end + 1]
            assert not re.search(r"\w", neighbours), "mentions end at word boundaries"
    assert set(labels) == set(MEDICATION_LABELS.values())
    assert labels["Drug"] == max(labels.values()) and min(labels.values()) > 300


def test_every_stratum_is_there(notes):
    seen = Counter((note["hospital"], note["specialty"], note["note_category"]) for note in notes)
    assert len({key[:2] for key in seen}) == len(HOSPITALS) * len(SPECIALTIES)
    assert len({(key[0], key[2]) for key in seen}) == len(HOSPITALS) * len(CATEGORIES)
    specialties = Counter(note["specialty"] for note in notes)
    assert max(specialties.values()) < 5 * min(specialties.values())
    patients = {note["patient_id"]: note["hospital"] for note in notes}
    assert 0.4 < mean(hospital == "north" for hospital in patients.values()) < 0.6


def test_short_and_long_documents(notes):
    words = defaultdict(list)
    for note in notes:
        words[note["note_category"]].append(len(note["text"].split()))
    assert 75 < median(length for some in words.values() for length in some) < 110
    assert min(words["ECG"]) >= 10 and max(words["ECG"]) <= 32
    assert min(words["Discharge summary"]) >= 300 and max(words["Discharge summary"]) <= 900
    assert 0.08 < len(words["Discharge summary"]) / len(notes) < 0.2
    assert 3000 < len(notes) / 600 * 1000 < 4000


def test_length_scale():
    def summaries(scale):
        some = generate_notes(DemoOptions(patients=60, length_scale=scale))
        return mean(len(note["text"].split()) for note in some if note["note_category"] == "Discharge summary")

    plain = summaries(1.0)
    assert summaries(2.0) > 1.6 * plain and summaries(0.5) < 0.7 * plain


def test_patients_and_encounters_are_consistent(notes):
    hospital, outcome, concepts, specialty, owner = {}, {}, {}, {}, {}
    for note in notes:
        encounter = note["encounter_id"]
        assert hospital.setdefault(note["patient_id"], note["hospital"]) == note["hospital"]
        assert outcome.setdefault(encounter, note["outcome"]) == note["outcome"]
        assert concepts.setdefault(encounter, note["concepts"]) == note["concepts"]
        assert specialty.setdefault(encounter, note["specialty"]) == note["specialty"]
        assert owner.setdefault(encounter, note["patient_id"]) == note["patient_id"]
        assert note["document_id"].startswith(encounter) and encounter.startswith(note["patient_id"])
    assert len({note["document_id"] for note in notes}) == len(notes)
    by_patient = defaultdict(set)
    for encounter, value in specialty.items():
        by_patient[owner[encounter]].add(value)
    assert 0.02 < mean(len(values) > 1 for values in by_patient.values()) < 0.3, "some come back with another condition"


def test_concepts(notes):
    code_of, name_of = {}, {}
    codes = {hospital: set() for hospital in HOSPITALS}
    for note in notes:
        states = [concept["code"] for concept in note["concepts"]]
        assert len(set(states)) == len(states)
        assert {concept["state"] for concept in note["concepts"]} == {"present", "absent"}
        for concept in note["concepts"]:
            codes[note["hospital"]].add(concept["code"])
            key = note["hospital"], concept["code"]
            assert name_of.setdefault(key, concept["name"]) == concept["name"]
            kind = re.sub(r"^[NS]-", "", concept["code"])[:2]
            assert code_of.setdefault((note["hospital"], kind, concept["name"]), concept["code"]) == concept["code"]
    shared = codes["north"] & codes["south"]
    assert 0.4 < len(shared) / len(codes["north"]) < 0.7
    assert all(name_of["north", code] == name_of["south", code] for code in shared)
    assert not {code for code in codes["north"] if code.startswith("S-")}
    local = {hospital: {name_of[hospital, code] for code in codes[hospital] - shared} for hospital in HOSPITALS}
    assert {"furosemide", "myocardial infarction"} <= local["north"] and {"Lasix", "heart attack"} <= local["south"]


def test_hospital_vocabularies_differ_in_part(notes):
    words = {
        hospital: Counter(
            word
            for note in notes
            if note["hospital"] == hospital
            for word in re.findall("[a-z]+", note["text"].lower())
        )
        for hospital in HOSPITALS
    }
    for here, there in (HOSPITALS, HOSPITALS[::-1]):
        own = {word for word in words[here] if word not in words[there]}
        assert 0.1 < len(own) / len(words[here]) < 0.4
        assert 0.05 < sum(words[here][word] for word in own) / words[here].total() < 0.3
    assert words["north"]["furosemide"] and not words["north"]["lasix"]
    assert words["south"]["lasix"] and not words["south"]["furosemide"]
    assert not any("PRESENT ILLNESS" in note["text"] for note in notes if note["hospital"] == "south")


def test_only_planted_notes_repeat(notes):
    texts, by_id = {}, {note["document_id"]: note for note in notes}
    kinds = Counter()
    for note in notes:
        first = texts.setdefault(note["text"], note["document_id"])
        if note["copy_of"] is None:
            assert first == note["document_id"]
            continue
        original = by_id[note["copy_of"]]
        assert original["encounter_id"] == note["encounter_id"]
        kinds["exact" if original["text"] == note["text"] else "near"] += 1
        if original["text"] != note["text"]:
            assert original["text"] in note["text"]
        mentions = [
            [one["text"][entity["start"] : entity["end"]] for entity in one["entities"]] for one in (original, note)
        ]
        assert mentions[0] == mentions[1]
    assert 0.004 < kinds["exact"] / len(notes) < 0.02 and 0.01 < kinds["near"] / len(notes) < 0.035
    clean = DemoOptions(patients=100, exact_copies=0, near_copies=0)
    assert all(note["copy_of"] is None for note in generate_notes(clean))


def test_few_unplanted_near_duplicates(notes):
    originals = [note for note in notes if note["copy_of"] is None]
    where, shingles = defaultdict(list), []
    for number, note in enumerate(originals):
        words = re.sub(r"\[\*\*.*?\*\*\]", "x", note["text"], flags=re.S).lower().split()
        shingles.append({tuple(words[place : place + 3]) for place in range(len(words) - 2)})
        for shingle in shingles[-1]:
            where[shingle].append(number)
    near = 0
    for number, own in enumerate(shingles):
        # A pair above one half shares a shingle that few notes have; boilerplate alone never makes one.
        common = Counter(other for shingle in own if len(where[shingle]) < 50 for other in where[shingle])
        rivals = [other for other, _ in common.most_common(4) if other != number]
        near += any(len(own & shingles[other]) > 0.5 * len(own | shingles[other]) for other in rivals)
    assert near <= 0.002 * len(originals)


def test_preparation_has_work_to_do(notes):
    texts = [note["text"] for note in notes]
    assert mean("[**" in text for text in texts) > 0.5
    assert any("\r\n" in text for text in texts) and any("\f" in text for text in texts)
    assert any(".  " in text for text in texts) and any("o\u0308" in text for text in texts)
    reports = [note["text"].partition("\nAddendum")[0] for note in notes if note["note_category"] == "Incident report"]
    capitals = [text for text in reports if not text.startswith("Revised")]
    assert len(capitals) > 50 and all(text == text.upper() for text in capitals)


def test_no_template_syntax_is_left(notes):
    assert not any(re.search(r"[{}<>|]", note["text"]) for note in notes)
    assert not any(re.search(r" [.,;]", note["text"]) for note in notes)


def test_no_word_gives_a_specialty_away(notes):
    totals = Counter(note["specialty"] for note in notes)
    counts = defaultdict(Counter)
    for note in notes:
        for word in set(re.findall("[a-z]{3,}", note["text"].lower())):
            counts[word][note["specialty"]] += 1
    for word, by_specialty in counts.items():
        if word in ("woman", "female", "lady", "she", "her"):
            continue
        specialty, count = by_specialty.most_common(1)[0]
        purity, coverage = count / by_specialty.total(), count / totals[specialty]
        assert not (purity > 0.6 and coverage > 0.35), (word, specialty)


def test_cooccurrence_helps_where_labels_are_few(notes):
    """What adaptation has to offer: dimensions learnt from unlabelled notes beat raw TF-IDF with 16 labels a class."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.preprocessing import normalize

    test = np.array([int(note["patient_id"][1:]) % 4 == 0 for note in notes])
    labels = np.array([note["specialty"] for note in notes])
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2)
    train_tfidf = vectorizer.fit_transform([note["text"] for note, held in zip(notes, test, strict=True) if not held])
    test_tfidf = vectorizer.transform([note["text"] for note, held in zip(notes, test, strict=True) if held])
    svd = TruncatedSVD(60, random_state=0).fit(train_tfidf)
    views = {
        "tfidf": (train_tfidf, test_tfidf),
        "svd": (normalize(svd.transform(train_tfidf)), normalize(svd.transform(test_tfidf))),
    }
    scores = defaultdict(list)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        chosen = np.concatenate(
            [rng.choice(np.flatnonzero(labels[~test] == name), 16, replace=False) for name in SPECIALTIES]
        )
        for name, (train, held) in views.items():
            probe = LogisticRegression(C=10, max_iter=300).fit(train[chosen], labels[~test][chosen])
            scores[name].append(f1_score(labels[test], probe.predict(held), average="macro"))
    assert 0.45 < mean(scores["tfidf"]) < 0.75
    assert mean(scores["svd"]) > mean(scores["tfidf"]) + 0.03


def test_outcome_is_learnable_but_noisy(notes):
    """Encounters of the conditions with high risk are readmitted more often, and still not always."""
    lexicon = load_lexicon()
    risk = {
        concept.coded(hospital, "present")["code"]: concept.risk
        for conditions in lexicon.conditions.values()
        for concept in (condition.concept for condition in conditions)
        for hospital in HOSPITALS
    }
    encounters = {note["encounter_id"]: note for note in notes}.values()
    high, low = [], []
    for note in encounters:
        total = sum(risk.get(concept["code"], 0.0) for concept in note["concepts"] if concept["state"] == "present")
        (high if total > 0.5 else low).append(note["outcome"])
    assert mean(high) - mean(low) > 0.2 and 0.3 < mean(high) < 0.95 and 0.05 < mean(low) < 0.5


def test_lexicon_is_complete():
    lexicon = load_lexicon()
    assert set(lexicon.conditions) == set(SPECIALTIES)
    assert all(len(conditions) == 4 for conditions in lexicon.conditions.values())
    for conditions in lexicon.conditions.values():
        for condition in conditions:
            assert condition.concept.risk > 0
            assert set(condition.findings) == set(FINDING_KINDS)
            assert all(len(condition.findings[kind]) >= 2 for kind in FINDING_KINDS)
            assert len(condition.drugs) in (3, 4) and condition.modalities
    assert parse_forms("a|b // c") == {"north": ("a", "b"), "south": ("c",)}
    assert parse_forms("a|b")["south"] == ("a", "b")


@pytest.mark.parametrize("hospital", HOSPITALS)
def test_every_rule_of_the_grammar_is_used(hospital):
    rules = load_grammar(hospital)
    used = set(CATEGORIES)

    def visit(item):
        if isinstance(item, (list, tuple)):
            used.update(name for name, options in rules.items() if options is item)
            for part in item:
                visit(part)

    for category in CATEGORIES:
        visit(rules[category])
    assert used == set(rules)


def test_grammar_syntax():
    class Case:
        hospital = "north"

        def fact(self, name, rnd):
            return {"he": "she"}[name]

    rules = _Parser({"top": ["<a <b|>|c {he}> {low*2..2}.", "{2..4}"], "low": ["{0.5..0.7} x.", "y"]}).rules
    seen = {NoteWriter(Case(), random.Random(seed), 1.0).write(rules, "top") for seed in range(300)}
    bodies = {re.sub(r"0\.[567]", "0.6", text).replace("  ", " ") for text in seen}
    assert bodies == {"2", "3", "4"} | {
        f"{head} {tail}." for head in ("A b", "A", "C she") for tail in ("0.6 x. Y", "y 0.6 x.")
    }


@pytest.mark.parametrize(
    "name", ["notes.jsonl", "notes.jsonl.gz", "notes.json", "notes.csv", "notes.tsv", "notes.csv.gz"]
)
def test_round_trip(tmp_path, name):
    options = DemoOptions(patients=12)
    expected = list(generate_notes(options))
    assert write_demo_notes(tmp_path / name, options) == len(expected)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    raw = (tmp_path / name).read_bytes()
    text = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode("utf-8")
    if ".json" in name:
        assert [json.loads(line) for line in text.splitlines()] == expected
        return
    lines = list(csv.DictReader(text.splitlines(keepends=True), delimiter="\t" if ".tsv" in name else ","))
    assert tuple(lines[0]) == FLAT_COLUMNS
    flat = [{key: "" if note[key] is None else str(note[key]) for key in FLAT_COLUMNS} for note in expected]
    assert lines == flat


def test_same_file_twice(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_demo_notes(tmp_path / folder / "notes.jsonl.gz", DemoOptions(patients=5))
    first, second = (tmp_path / folder / "notes.jsonl.gz" for folder in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "notes.jsonl"
    path.write_text("old")

    def break_off(options):
        yield from generate_notes(DemoOptions(patients=2))
        raise RuntimeError("broken off")

    monkeypatch.setattr("corpora.demo.generate_notes", break_off)
    with pytest.raises(RuntimeError):
        write_demo_notes(path, DemoOptions())
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"patients": 0}, "patients is 0"),
        ({"hospitals": ("west",)}, "hospitals are west; choose from north, south"),
        ({"hospitals": ()}, "hospitals are empty"),
        ({"length_scale": 0}, "length_scale is 0"),
        ({"focus": 1.5}, "focus is 1.5"),
        ({"exact_copies": 0.6, "near_copies": 0.6}, "add up to 1.2"),
    ],
)
def test_bad_options(values, message):
    with pytest.raises(InputError, match=re.escape(message)):
        DemoOptions(**values)


def test_bad_paths(tmp_path):
    with pytest.raises(InputError, match="unknown file type"):
        write_demo_notes(tmp_path / "notes.xls", DemoOptions(patients=1))
    with pytest.raises(InputError, match="cannot be written"):
        write_demo_notes(tmp_path / "absent" / "notes.csv", DemoOptions(patients=1))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        write_demo_notes(tmp_path / "folder.csv", DemoOptions(patients=1))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_one_hospital():
    assert {note["hospital"] for note in generate_notes(DemoOptions(patients=20, hospitals=("south",)))} == {"south"}


def test_script(run_script, tmp_path):
    done = run_script("make_demo_notes", "--output", "notes.jsonl", "--patients", 3, "--seed", 5, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "notes.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == list(generate_notes(DemoOptions(patients=3, seed=5)))
    assert done.stdout == f"notes.jsonl: {len(lines)} notes of 3 patients\n"
    failed = run_script("make_demo_notes", "--output", "notes.xls", cwd=tmp_path)
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1 and "unknown file type" in failed.stderr
