"""The command line of shards: encode.py, prepare_notes.py and merge_shards.py; processes that share an encoding."""

import json
import shutil
import threading

import numpy as np
import pytest
from transformers import PreTrainedModel

import encode
import merge_shards
import prepare_notes
from corpora.errors import InputError
from launching import Processes

WORDS = ("fever", "cough", "chest", "pain", "knee", "swelling", "left", "right", "mild", "severe", "no", "for")


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Forty-one notes; blocks of eight documents, the last of one."""
    import datasets

    monkeypatch.setattr("encoded_documents.BLOCK", 8)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rng = np.random.default_rng(5)
    rows = [
        {"document_id": f"note {i}", "text": " ".join(rng.choice(WORDS, size=rng.integers(5, 60)))} for i in range(41)
    ]
    file = tmp_path / "notes.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def arguments(make_encoder, notes):
    """A command line of encode.py without its output."""
    return [str(make_encoder("bert")), "--data", str(notes), "--quiet", "--device", "cpu", "--output"]


def shard_folders(output):
    return sorted(map(str, output.parent.glob(output.name + ".shard-*")))


@pytest.mark.parametrize("name", ["out.npy", "out.parquet"])
def test_merged_embeddings_are_the_bytes_of_one_run(arguments, tmp_path, name, capsys):
    whole, output = tmp_path / "whole" / name, tmp_path / name
    encode.main([*arguments, str(whole)])
    for number in (3, 1, 2):
        encode.main([*arguments, str(output), "--shard", f"{number}/3"])
    assert "Shard 2/3 of the embeddings of 41 documents" in capsys.readouterr().out
    folders = shard_folders(output)
    assert len(folders) == 3 and not output.exists()
    merge_shards.main([*folders[::-1], "--output", str(output)])
    assert "41 documents, 16 numbers each" in capsys.readouterr().out
    assert output.read_bytes() == whole.read_bytes()
    if name == "out.npy":
        assert output.with_suffix(".ids.txt").read_bytes() == whole.with_suffix(".ids.txt").read_bytes()
    assert not list(tmp_path.rglob("*.partial"))
    with pytest.raises(InputError, match="the output exists"):
        merge_shards.main([*folders, "--output", str(output)])


def test_shards_of_other_settings_and_damaged_shards_are_refused(arguments, notes, tmp_path):
    output = tmp_path / "out.npy"
    encode.main([*arguments, str(output), "--shard", "1/2"])
    with pytest.raises(InputError, match="the shard exists; pass --overwrite"):
        encode.main([*arguments, str(output), "--shard", "1/2"])
    with pytest.raises(InputError, match="--shard 3/2 is no share"):
        encode.main([*arguments, str(output), "--shard", "3/2"])
    encode.main([*arguments, str(output), "--shard", "2/2", "--max_length", "16"])
    before = set(tmp_path.glob("*"))

    def refused(match):
        with pytest.raises(InputError, match=match):
            merge_shards.main([*shard_folders(output), "--output", str(output)])
        assert set(tmp_path.glob("*")) == before

    refused(r"another job .*options\.max_length")
    notes.write_text(notes.read_text().replace("fever", "cough", 1))
    encode.main([*arguments, str(output), "--shard", "2/2", "--overwrite"])
    refused(r"another job .*\(corpus\)")
    encode.main([*arguments, str(output), "--shard", "1/2", "--overwrite"])
    first = shard_folders(output)[0]
    ids = json.loads((tmp_path / first / "ids.json").read_text())
    name = next(iter(ids))
    (tmp_path / first / "ids.json").write_text(json.dumps({**ids, name: ["note 9", *ids[name][1:]]}))
    refused("a document id occurs twice")
    (tmp_path / first / name).unlink()
    refused("block 0 of the shard is missing")
    shutil.rmtree(first)
    before.remove(tmp_path / first)
    refused("1 of 2 shards are missing: 1")


def test_a_shard_of_embeddings_goes_on(arguments, tmp_path, monkeypatch):
    from modeling.document_encoder import DocumentEncoder

    encode.main([*arguments, str(tmp_path / "whole.npy")])
    real, calls = DocumentEncoder.encode, []

    def stopping(self, texts, *more):
        calls.append(len(texts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, texts, *more)

    monkeypatch.setattr(DocumentEncoder, "encode", stopping)
    output = tmp_path / "out.npy"
    with pytest.raises(KeyboardInterrupt):
        encode.main([*arguments, str(output), "--shard", "2/2"])
    assert not shard_folders(output)[0].endswith("-2")
    encode.main([*arguments, str(output), "--shard", "2/2"])
    assert calls == [8, 8, 8, 1]  # blocks 1, 3, again 3, and 5
    encode.main([*arguments, str(output), "--shard", "1/2"])
    merge_shards.main([*shard_folders(output), "--output", str(output), "--quiet"])
    assert output.read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_two_processes_write_the_bytes_of_one(arguments, tmp_path, monkeypatch):
    """Two threads stand for the processes that `accelerate launch` starts, a barrier of theirs for the group's."""
    from contextlib import contextmanager

    encode.main([*arguments, str(tmp_path / "whole.npy")])
    barrier, own = threading.Barrier(2), threading.local()
    encoded = {0: [], 1: []}

    @contextmanager
    def joined():
        yield Processes(own.rank, 2)

    from modeling.document_encoder import DocumentEncoder

    # transformers swaps a method of all models while it loads one. Two threads that load at once, as processes never
    # do, would leave it swapped, and models of later tests without tied weights.
    load, loading = DocumentEncoder.from_pretrained, threading.Lock()

    def load_alone(*arguments, **options):
        with loading:
            return load(*arguments, **options)

    monkeypatch.setattr(DocumentEncoder, "from_pretrained", load_alone)
    tie_weights = PreTrainedModel.tie_weights
    real = DocumentEncoder.encode
    monkeypatch.setattr(
        DocumentEncoder, "encode", lambda self, texts, *more: encoded[own.rank].append(len(texts)) or real(self, texts)
    )
    monkeypatch.setattr(encode, "joined_processes", joined)
    monkeypatch.setattr(Processes, "wait", lambda self: barrier.wait(60))
    failures = []

    def process(rank):
        own.rank = rank
        try:
            encode.main([*arguments, str(tmp_path / "out.npy")])
        except BaseException as error:
            barrier.abort()
            failures.append(error)

    threads = [threading.Thread(target=process, args=(rank,)) for rank in (1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert PreTrainedModel.tie_weights is tie_weights
    assert not failures and encoded == {0: [8, 8, 8], 1: [8, 8, 1]}
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not list(tmp_path.glob("*.partial"))


def test_notes_are_prepared_in_shards_and_merged(tmp_path, notes, monkeypatch, capsys):
    monkeypatch.setattr("corpora.chunks.CHUNK_ROWS", 10)
    options = ["--input_files", str(notes), "--canaries", "2"]
    prepare_notes.main([*options, "--output_dir", str(tmp_path / "whole"), "--quiet"])
    warned = capsys.readouterr().err
    for number in (1, 2):
        prepare_notes.main([*options, "--output_dir", str(tmp_path / "corpus"), "--shard", f"{number}/2"])
    assert "Shard 2/2 of the corpus" in capsys.readouterr().out
    merge_shards.main([*shard_folders(tmp_path / "corpus"), "--output", str(tmp_path / "corpus")])
    printed = capsys.readouterr()
    assert "Prepared corpus" in printed.out and "canaries" in warned and warned in printed.err
    files = [path.relative_to(tmp_path / "whole") for path in (tmp_path / "whole").rglob("*") if path.is_file()]
    assert len(files) > 5
    for file in files:
        assert (tmp_path / "corpus" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    with pytest.raises(InputError, match="--shard 0/2 is no share of a job"):
        prepare_notes.main([*options, "--output_dir", str(tmp_path / "corpus"), "--shard", "0/2"])


def test_a_fault_of_the_user_is_one_line(tmp_path, run_script):
    result = run_script("merge_shards", tmp_path / "none", "--output", tmp_path / "out.npy")
    assert result.returncode == 2 and result.stderr.count("\n") == 1
    assert result.stderr.startswith("merge_shards.py: error: ") and "is no finished shard" in result.stderr
    assert not list(tmp_path.iterdir())
