"""Shards of a preparation: merged they are the corpus of a run in one piece, byte for byte; faults are told."""

import json
import random
import shutil

import pytest

import corpora.chunks
from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.preparation import prepare_notes
from corpora.preparation_shards import merge_prepared
from corpora.shards import Shard, read_shards


def write_rows(path, count, start=0):
    """Patients with notes far apart; every tenth note repeats one of another shard, nearly or exactly."""
    with path.open("w", encoding="utf-8") as stream:
        for number in range(start, start + count):
            source = number - 35 if number % 10 == 9 and number >= 45 else number
            generator = random.Random(source)
            text = " ".join(f"w{generator.randrange(300)}" for _ in range(60))
            if source != number and number % 20 == 9:
                text += f" near{number}"
            row = {"text": text, "document_id": f"d{number}", "patient_id": f"p{number % 70}", "label": number % 3}
            stream.write(json.dumps(row) + "\n")
    return path


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


COLUMNS = NoteColumns(label_columns=("label",))


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    """Two files of notes; chunks of 30 rows, so that one spans both files."""
    monkeypatch.setattr(corpora.chunks, "CHUNK_ROWS", 30)
    return [write_rows(tmp_path / "a.jsonl", 200), write_rows(tmp_path / "b.jsonl", 115, start=200)]


def run_shards(inputs, output, count, **options):
    shards = [Shard(number, count) for number in range(count, 0, -1)]  # any order
    for shard in shards:
        prepare_notes(inputs, output, COLUMNS, shard=shard, **options)
    return [shard.folder(output) for shard in shards]


@pytest.mark.parametrize("count", [1, 3, 12])
def test_merged_shards_are_the_bytes_of_one_run(tmp_path, inputs, count):
    """Eleven chunks; of twelve shards the last holds none."""
    report = prepare_notes(inputs, tmp_path / "whole", COLUMNS)
    assert report["dropped"] == {"exact duplicate": 13} and report["near_duplicates"]["groups"] == 14
    folders = run_shards(inputs, tmp_path / "out", count)
    merged = merge_prepared(read_shards(folders), tmp_path / "out")
    assert merged == report and content(tmp_path / "out") == content(tmp_path / "whole")
    chunks = [path.name for folder in folders for path in folder.glob("chunk-*")]
    assert sorted(chunks) == [f"chunk-{number:05d}.parquet" for number in range(11)]
    # The result is that of the job: run again without shards, or merged again, it is known.
    messages = []
    assert prepare_notes(inputs, tmp_path / "out", COLUMNS, say=messages.append) == report
    assert merge_prepared(read_shards(folders), tmp_path / "out", say=messages.append) == report
    assert len(messages) == 2 and not list(tmp_path.glob("*.partial"))


def test_a_shard_that_was_stopped_goes_on(tmp_path, inputs, monkeypatch):
    prepare_notes(inputs, tmp_path / "whole", COLUMNS)
    original, written = corpora.chunks.write_chunk, []

    def stop(task):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(task.file.name)
        return original(task)

    monkeypatch.setattr(corpora.chunks, "write_chunk", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare_notes(inputs, tmp_path / "out", COLUMNS, shard=Shard(2, 3))
    assert written == ["chunk-00001.parquet", "chunk-00004.parquet"]
    monkeypatch.setattr(corpora.chunks, "write_chunk", lambda task: written.append(task.file.name) or original(task))
    messages = []
    prepare_notes(inputs, tmp_path / "out", COLUMNS, shard=Shard(2, 3), say=messages.append)
    assert messages == ["going on with a preparation that was stopped: 2 chunks of rows are done"]
    assert written[2:] == ["chunk-00007.parquet", "chunk-00010.parquet"]
    for number in (1, 3):
        prepare_notes(inputs, tmp_path / "out", COLUMNS, shard=Shard(number, 3))
    merge_prepared(read_shards([Shard(n, 3).folder(tmp_path / "out") for n in (1, 2, 3)]), tmp_path / "out")
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    prepare_notes(inputs, tmp_path / "out", COLUMNS, shard=Shard(2, 3), say=messages.append)
    assert "already prepared" in messages[-1] and len(written) == 2 + 2 + 4 + 3


def refused(folders, output, match):
    with pytest.raises(InputError, match=match) as caught:
        merge_prepared(read_shards(folders), output)
    assert not output.exists() and not output.with_name(output.name + ".partial").exists()
    return caught.value


def test_shards_that_do_not_belong_together_are_refused(tmp_path, inputs):
    from corpora.splitting import SplitOptions

    output = tmp_path / "out"
    folders = run_shards(inputs, output, 3)
    refused(folders[1:], output, r"1 of 3 shards are missing: 3; run them")
    shutil.copytree(folders[0], tmp_path / "copy")
    refused([*folders, tmp_path / "copy"], output, "is the same shard as")
    other = run_shards(inputs, tmp_path / "other", 3, splits=SplitOptions(seed=4))
    refused([*folders[:2], other[2]], output, r"another job than .*\(options\.splits\.seed\)")
    two = run_shards(inputs, tmp_path / "two", 2)
    refused([*folders[:2], two[0]], output, "another number of shards")
    refused([*folders, tmp_path], output, "is no finished shard")
    refused([], output, "no shard is given")
    (tmp_path / "copy" / "shard.json").write_text("{}")
    refused([*folders[1:], tmp_path / "copy"], output, "is no description of a shard")
    missing = next(folders[0].glob("chunk-*"))
    missing.unlink()
    assert refused(folders, output, "a part of the shard is missing").file == missing


def test_faults_that_only_all_shards_together_have(tmp_path, inputs):
    with inputs[1].open("a", encoding="utf-8") as stream:
        row = {"text": "other words than before here", "document_id": "d3", "patient_id": "p", "label": 0}
        stream.write(json.dumps(row) + "\n")
    error = refused(run_shards(inputs, tmp_path / "out", 3), tmp_path / "out", "'d3' occurs twice, first in row 4 of")
    assert error.file == str(inputs[1]) and error.row == 116


@pytest.mark.parametrize("text", ["3/2", "0/2", "1", "1/0", "-1/2", "a/b", "1/2/3", ""])
def test_what_is_no_share(text):
    with pytest.raises(InputError, match="is no share of a job; write I/N"):
        Shard.parse(text)


def test_shares_are_disjoint_and_complete():
    assert Shard.parse(None) is None and Shard.parse(" 3/12") == Shard(3, 12)
    owners = [[number for number in range(1, 5) if Shard(number, 4).owns(block)] for block in range(10)]
    assert owners == [[1], [2], [3], [4], [1], [2], [3], [4], [1], [2]]
    assert Shard(3, 12).folder("x/out.npy").name == "out.npy.shard-03-of-12"
