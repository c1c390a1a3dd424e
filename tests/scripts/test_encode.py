import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sentence_transformers import SentenceTransformer

import encode
from corpora.errors import InputError
from embedding_files import read_embeddings
from modeling.document_encoder import DocumentEncoder

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "encode.py"
WORDS = ("fever", "cough", "chest", "pain", "knee", "swelling", "left", "right", "mild", "severe", "no", "for")


def _texts(count):
    rng = np.random.default_rng(5)
    return [" ".join(rng.choice(WORDS, size=rng.integers(2, 90))) for _ in range(count)]


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """Forty notes as JSON lines; blocks of eight."""
    monkeypatch.setattr("encoded_documents.BLOCK", 8)
    file = tmp_path / "notes.jsonl"
    rows = [{"id": f"note {i}", "report": text} for i, text in enumerate(_texts(40))]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(autouse=True)
def _caches(tmp_path_factory, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


def _arguments(folder, notes, output, *more):
    columns = ["--text_column", "report", "--document_id_column", "id"]
    return [str(folder), "--data", str(notes), "--output", str(output), "--quiet", "--device", "cpu", *columns, *more]


def test_npy_and_parquet_hold_the_encoders_embeddings(make_encoder, notes, tmp_path, capsys):
    folder = make_encoder("bert")
    encode.main(_arguments(folder, notes, tmp_path / "out.npy"))
    encode.main(_arguments(folder, notes, tmp_path / "deep" / "er" / "out.parquet"))
    assert "40 documents, 16 numbers each" in capsys.readouterr().out
    expected = DocumentEncoder.from_pretrained(folder, device="cpu").encode(_texts(40))
    ids = [f"note {i}" for i in range(40)]
    array = np.load(tmp_path / "out.npy")
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected, atol=1e-5)
    assert (tmp_path / "out.ids.txt").read_text().splitlines() == ids
    table = pq.read_table(tmp_path / "deep" / "er" / "out.parquet")
    assert table["document_id"].to_pylist() == ids
    np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), array)
    for file in (tmp_path / "out.npy", tmp_path / "deep" / "er" / "out.parquet"):
        embeddings, names = read_embeddings(file)
        np.testing.assert_array_equal(embeddings, array)
        assert names == ids
    assert not list(tmp_path.rglob("*.partial"))
    short = [i for i, text in enumerate(_texts(40)) if len(text.split()) < 12]
    stock = SentenceTransformer(str(folder), device="cpu").encode([_texts(40)[i] for i in short])
    assert len(short) > 2
    np.testing.assert_allclose(array[short], stock, atol=1e-5)


def test_options_reach_the_encoder(make_encoder, notes, tmp_path):
    folder = make_encoder("bert")
    options = ("--windows", "first", "--max_length", "16", "--batch_size", "3")
    encode.main(_arguments(folder, notes, tmp_path / "out.npy", *options))
    encoder = DocumentEncoder.from_pretrained(folder, device="cpu", windows="first", max_length=16)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), encoder.encode(_texts(40)), atol=1e-5)


def test_splits_are_chosen_and_ordered(make_encoder, tmp_path):
    from datasets import Dataset, DatasetDict

    texts = _texts(6)
    parts = {"train": range(4), "validation": range(4, 5), "test": range(5, 6)}
    corpus = DatasetDict(
        {
            split: Dataset.from_dict({"text": [texts[i] for i in rows], "document_id": [f"n{i}" for i in rows]})
            for split, rows in parts.items()
        }
    )
    corpus.save_to_disk(tmp_path / "corpus")
    arguments = [str(make_encoder("bert")), "--data", str(tmp_path / "corpus"), "--quiet", "--output"]
    encode.main([*arguments, str(tmp_path / "out.npy"), "--split", "test", "train"])
    assert (tmp_path / "out.ids.txt").read_text().split() == ["n5", "n0", "n1", "n2", "n3"]
    with pytest.raises(InputError, match="no split 'dev'; choose from train, validation, test"):
        encode.main([*arguments, str(tmp_path / "dev.npy"), "--split", "dev"])
    assert not list(tmp_path.glob("dev*"))


def test_a_device_that_is_not_there_is_one_line_and_leaves_nothing(make_encoder, notes, tmp_path):
    with pytest.raises(InputError, match=r"^--device nonsense cannot be used here; give cpu, or leave it out$"):
        encode.main(_arguments(make_encoder("bert"), notes, tmp_path / "deep" / "out.npy", "--device", "nonsense"))
    assert not (tmp_path / "deep").exists()


def test_existing_output_is_kept_unless_told(make_encoder, notes, tmp_path):
    output = tmp_path / "out.npy"
    output.write_bytes(b"mine")
    with pytest.raises(InputError, match="exists; choose another name, or pass --overwrite"):
        encode.main(_arguments(make_encoder("bert"), notes, output))
    assert output.read_bytes() == b"mine"
    encode.main(_arguments(make_encoder("bert"), notes, output, "--overwrite"))
    assert np.load(output).shape == (40, 16)


class _StopError(Exception):
    pass


def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(make_encoder, notes, tmp_path, monkeypatch):
    folder = make_encoder("bert")
    encode.main(_arguments(folder, notes, tmp_path / "whole.npy"))
    calls = []
    real = DocumentEncoder.encode

    def stopping(self, texts, *more):
        calls.append(len(texts))
        if len(calls) == 4:
            raise _StopError
        return real(self, texts, *more)

    monkeypatch.setattr(DocumentEncoder, "encode", stopping)
    with pytest.raises(_StopError):
        encode.main(_arguments(folder, notes, tmp_path / "out.npy"))
    assert not (tmp_path / "out.npy").exists() and len(list((tmp_path / "out.npy.partial").glob("0*.npy"))) == 3
    encode.main(_arguments(folder, notes, tmp_path / "out.npy"))
    assert calls == [8] * 4 + [8] * 2  # three shards were there
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert (tmp_path / "out.ids.txt").read_bytes() == (tmp_path / "whole.ids.txt").read_bytes()


@pytest.mark.parametrize("change", ["options", "weights", "notes"])
def test_what_changed_in_between_is_encoded_again(make_encoder, notes, tmp_path, monkeypatch, change, capsys):
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(make_encoder("bert"), folder)
    real = DocumentEncoder.encode
    calls = []

    def counting(self, texts, *more):
        calls.append(len(texts))
        if len(calls) == 3:
            raise _StopError
        return real(self, texts, *more)

    monkeypatch.setattr(DocumentEncoder, "encode", counting)
    with pytest.raises(_StopError):
        encode.main(_arguments(folder, notes, tmp_path / "out.npy"))
    more = ()
    if change == "options":
        more = ("--max_length", "16")
    elif change == "weights":
        from safetensors.numpy import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        name = "embeddings.word_embeddings.weight"
        save_file({**weights, name: weights[name] + 1}, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        notes.write_text(notes.read_text().replace('"note 1"', '"note one"'))
    encode.main(_arguments(folder, notes, tmp_path / "out.npy", *more))
    assert calls == [8] * (3 + (4 if change == "notes" else 5))  # one of two shards still holds, or none
    assert ("was discarded" in capsys.readouterr().err) == (change != "notes")
    encode.main(_arguments(folder, notes, tmp_path / "fresh.npy", *more))
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "fresh.npy").read_bytes()


# Killed before the third of four shards is written.
KILLED = """
import os, signal, sys
import encode

write = encode.EmbeddingOutput.write_block


def write_block(self, file, embeddings):
    if file.name.startswith("000002-"):
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, file, embeddings)


child = os.fork()
if child == 0:
    encode.EmbeddingOutput.write_block = write_block
    encode.main(sys.argv[1:])
    os._exit(0)
assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


def test_killed_with_sigkill_and_run_again(make_encoder, run_forked, tmp_path):
    import torch

    file = tmp_path / "notes.jsonl"
    rows = [{"id": f"n{i}", "report": text} for i, text in enumerate(_texts(1024))]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "out.npy"
    arguments = _arguments(make_encoder("bert"), file, output)
    (tmp_path / "program.py").write_text(KILLED)
    run_forked(tmp_path / "program.py", *arguments)
    kept = {shard: shard.stat().st_mtime_ns for shard in Path(f"{output}.partial").glob("0*.npy")}
    assert len(kept) == 2 and not output.exists()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the last bits depend on it
    try:
        # A finished shard is not written again: the shards are looked at just before they are joined.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(encode.EmbeddingOutput, "finish", lambda *_: None)
            encode.main(arguments)
        assert {shard: shard.stat().st_mtime_ns for shard in kept} == kept
        encode.main(arguments)
        encode.main(_arguments(make_encoder("bert"), file, tmp_path / "whole.npy"))
    finally:
        torch.set_num_threads(threads)
    assert output.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert np.load(output).shape == (1024, 16)


def test_input_errors_come_at_once_and_leave_nothing(make_encoder, notes, tmp_path, run_script):
    folder = make_encoder("bert")
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    before = set(tmp_path.rglob("*"))
    for arguments, words in (
        (_arguments(folder, notes, tmp_path / "file" / "out.npy"), "cannot be written"),
        (_arguments(folder, notes, tmp_path / "out.csv"), "neither .npy nor .parquet"),
        (_arguments(tmp_path / "empty", notes, tmp_path / "out.npy"), "is not a checkpoint folder"),
        (_arguments(folder, tmp_path / "none.csv", tmp_path / "new" / "out.npy"), "none.csv"),
        (_arguments(folder, notes, tmp_path / "out.npy", "--text_column", "rapport"), "report"),
        (_arguments(folder, notes, tmp_path / "out.npy", "--max_length", "900"), "window of 32"),
        (_arguments(folder, notes, tmp_path / "out.npy", "--batch_size", "0"), "--batch_size"),
    ):
        with pytest.raises(InputError, match=words):
            encode.main(arguments)
        assert set(tmp_path.rglob("*")) == before
    result = run_script("encode", *_arguments(tmp_path / "empty", notes, tmp_path / "out.npy"))
    assert result.returncode == 2 and result.stderr.startswith("encode.py: error: ") and result.stderr.count("\n") == 1


def test_a_wrong_checkpoint_is_named_before_the_slow_imports(tmp_path):
    arguments = _arguments(tmp_path / "nowhere", tmp_path / "notes.csv", tmp_path / "out.npy")
    code = (
        "import sys, encode\n"
        "try: encode.main(sys.argv[1:])\n"
        "except ValueError as error: print(error)\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'pandas'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, cwd=SCRIPT.parent, capture_output=True, text=True, check=True)
    error, imported = result.stdout.splitlines()
    assert "no such checkpoint folder" in error and imported == "[]"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda file: file.with_suffix(".ids.txt").unlink(), "list of document ids is missing"),
        (lambda file: file.with_suffix(".ids.txt").write_text("a\nb\n"), "3 x 2 numbers for 2 document ids"),
        (lambda file: file.with_suffix(".ids.txt").write_text("a\nb\na\n"), "occurs twice"),
        (lambda file: file.write_text("text"), "is not a file of embeddings"),
        (lambda file: file.unlink(), "no such file"),
        (lambda file: np.save(file, np.full((3, 2), np.nan, np.float32)), "not finite"),
    ],
)
def test_reading_damaged_embeddings(tmp_path, damage, words):
    file = tmp_path / "out.npy"
    np.save(file, np.ones((3, 2), np.float32))
    file.with_suffix(".ids.txt").write_text("a\nb\nc\n")
    assert read_embeddings(file)[1] == ["a", "b", "c"]
    damage(file)
    with pytest.raises(InputError, match=words):
        read_embeddings(file)
