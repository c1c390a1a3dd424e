"""Canaries: planted as often as said, into the training split only, and taken out again without a trace."""

import json
import re

import numpy as np
import pytest
from datasets import load_from_disk

from corpora.canaries import Canary, CanaryOptions, make_canaries, plan_planting, plant, read_canaries, without_canaries
from corpora.errors import InputError
from corpora.preparation import prepare_notes


def write_notes(folder, documents=60):
    rows = [
        {"text": " ".join(f"w{n * k % 997}" for k in range(1, 40)), "patient_id": str(n // 2)}
        for n in range(1, documents + 1)
    ]
    file = folder / "notes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_canaries_are_planted_as_often_as_said_into_training_only(tmp_path):
    file = write_notes(tmp_path)
    options = CanaryOptions(canaries=3, canary_repetitions=[1, 4, 100])
    report = prepare_notes(file, tmp_path / "corpus", canaries=options)
    prepare_notes(file, tmp_path / "plain")
    corpus, plain = load_from_disk(tmp_path / "corpus"), load_from_disk(tmp_path / "plain")
    canaries = read_canaries(tmp_path / "corpus")
    assert [canary.repetitions for canary in canaries] == [1, 4, 100, 0, 0, 0]
    for canary in canaries:
        counts = [text.count(canary.sentence()) for text in corpus["train"]["text"]]
        assert sum(counts) == canary.repetitions
        assert max(counts) <= -(-canary.repetitions // len(counts))  # spread over the documents
        assert not any(canary.name in text for split in ("validation", "test") for text in corpus[split]["text"])
        assert canary.name not in json.dumps(report) and canary.secret not in json.dumps(report)
    assert [without_canaries(text, canaries) for text in corpus["train"]["text"]] == plain["train"]["text"][:]
    for split in ("validation", "test"):
        assert corpus[split]["text"][:] == plain[split]["text"][:]
    assert corpus["train"]._fingerprint != plain["train"]._fingerprint
    assert "canaries" not in json.loads((tmp_path / "plain" / "preparation.json").read_text())["options"]
    assert not (tmp_path / "plain" / "canaries.json").exists()


def test_planting_again_gives_the_same_bytes_and_another_count_is_another_job(tmp_path):
    file = write_notes(tmp_path)
    for name in ("first", "second"):
        prepare_notes(file, tmp_path / name, canaries=CanaryOptions(canaries=2))
    first, second = (sorted((tmp_path / name).rglob("*.arrow")) for name in ("first", "second"))
    assert [part.read_bytes() for part in first] == [part.read_bytes() for part in second]
    with pytest.raises(InputError, match="other inputs or options"):
        prepare_notes(file, tmp_path / "first", canaries=CanaryOptions(canaries=4))


def test_canaries_are_distinct_random_and_seeded():
    canaries = make_canaries(CanaryOptions(canaries=50, canary_digits=4))
    assert len({canary.name for canary in canaries}) == 100
    assert all(re.fullmatch(r"\d{4}", canary.secret) for canary in canaries)
    assert canaries == make_canaries(CanaryOptions(canaries=50, canary_digits=4))
    assert canaries != make_canaries(CanaryOptions(canaries=50, canary_digits=4, canary_seed=1))
    digits = np.bincount([int(digit) for canary in canaries for digit in canary.secret], minlength=10)
    assert digits.min() > 15  # of 400


def test_a_sentence_and_its_place():
    canary = Canary("Tavo Relmi", "407", 2)
    assert canary.sentence() == "Locator of Tavo Relmi is 4 0 7."
    assert canary.sentence("115") == "Locator of Tavo Relmi is 1 1 5."
    other = Canary("Basil Doruk", "223", 2)
    for seed in range(20):
        text = plant("one two\nthree", [canary.sentence(), other.sentence()], np.random.default_rng(seed))
        assert canary.sentence() in text and other.sentence() in text and text.startswith("one")
        assert without_canaries(text, [canary, other]) == "one two\nthree"
    assert plant("", [canary.sentence()], np.random.default_rng(0)).strip() == canary.sentence()
    plan = plan_planting([canary, Canary("No One", "111", 0)], np.array([3, 9, 12]), seed=0)
    assert len(plan) == 2 and set(plan) <= {3, 9, 12}


def test_faults_are_told(tmp_path):
    for wrong in ({"canaries": -1}, {"canary_repetitions": [0]}, {"canary_digits": 1}):
        with pytest.raises(InputError):
            CanaryOptions(**wrong)
    with pytest.raises(InputError, match="no such file"):
        read_canaries(tmp_path)
    for content in ("{", '{"canaries": [{"name": "a"}]}', '{"canaries": []}',
                    '{"canaries": [{"name": "a", "secret": "x", "repetitions": 1}]}'):  # fmt: skip
        (tmp_path / "canaries.json").write_text(content)
        with pytest.raises(InputError, match="canar"):
            read_canaries(tmp_path)
