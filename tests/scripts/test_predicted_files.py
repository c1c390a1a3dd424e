"""Where predictions go: an earlier prediction gives way, nothing else does."""

import json
import os
from pathlib import Path

import pytest

import predicted_files
from corpora.brat import read_brat
from corpora.entities import AnnotatedDocument, Entity
from corpora.errors import InputError
from predicted_files import check_labels, check_output, write_annotation


def documents(*ids, label="Drug"):
    return [AnnotatedDocument(one, "Started aspirin now", (Entity(label, ((8, 15),)),)) for one in ids]


def files(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_prediction_takes_the_place_of_an_earlier_one(tmp_path):
    output = tmp_path / "found"
    check_output(output, [], overwrite=False)
    write_annotation(output, documents("a", "b"))
    with pytest.raises(InputError, match="the output is there already"):
        check_output(output, [], overwrite=False)
    check_output(output, [], overwrite=True)
    write_annotation(output, documents("c"))
    assert [one.document_id for one in read_brat(output)[0]] == ["c"]
    assert sorted(files(tmp_path)) == ["found/.predicted.json", "found/c.ann", "found/c.txt"]


@pytest.mark.parametrize("stranger", ["mine.txt", "a.csv", "b.ann"])
def test_files_of_others_are_left_alone(tmp_path, stranger):
    output = tmp_path / "found"
    write_annotation(output, documents("a"))
    (output / stranger).write_text("mine")
    before = files(tmp_path)
    with pytest.raises(InputError, match="1 files there are of no prediction"):
        check_output(output, [], overwrite=True)
    (output / predicted_files.MANIFEST).unlink()  # annotation by hand, for all that is known
    with pytest.raises(InputError, match="3 files there are of no prediction"):
        check_output(output, [], overwrite=True)
    assert {name: before[name] for name in files(tmp_path)} == files(tmp_path)


@pytest.mark.parametrize("output", ["gold", "gold/1.jsonl", "link", "."])
def test_what_is_read_is_not_written_over(tmp_path, monkeypatch, output):
    gold = tmp_path / "gold"
    gold.mkdir()
    (gold / "1.jsonl").write_text("{}")
    (tmp_path / "link").symlink_to(gold)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"the output is what --data reads|the folder you are in"):
        check_output(Path(output), [gold / "1.jsonl"], overwrite=True)


def test_a_failure_leaves_the_earlier_prediction(tmp_path):
    output = tmp_path / "found"
    write_annotation(output, documents("a"))
    before = files(tmp_path)
    with pytest.raises(InputError, match="white space"):
        write_annotation(output, documents("b", label="Adverse Event"))
    assert files(tmp_path) == before and os.listdir(tmp_path) == ["found"]  # noqa: PTH208


def test_types_that_a_format_cannot_hold(tmp_path):
    with pytest.raises(InputError, match=r"white space.*write --output FILE\.jsonl"):
        check_labels(tmp_path / "found", ["Drug", "Adverse Event"])
    check_labels(tmp_path / "found.jsonl", ["Adverse Event"])
    check_labels(tmp_path / "found", ["Adverse_Event"])


def test_the_manifest_names_what_was_written(tmp_path):
    write_annotation(tmp_path / "found", documents("a"))
    content = json.loads((tmp_path / "found" / predicted_files.MANIFEST).read_text())
    assert content == {"files": ["a.ann", "a.txt"]}
