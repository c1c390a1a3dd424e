"""What the leak check stops, and what it lets pass."""

import json
import os
import random
from pathlib import Path

import pytest

from corpora.errors import InputError
from model_cards import private_strings as private
from model_cards.allowed_files import allowed_files, is_publishable_name, sort_files
from model_cards.leak_check import check_folder
from model_cards.word_sequences import WordSequences, words_of

SENTENCE = "Mrs Smith was admitted on Tuesday with crushing chest pain, radiating to the left arm."
OTHER = "the ankle was swollen after a fall in the garden yesterday and painful on walking"
TOKEN = "hf_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7"


@pytest.fixture
def corpus(tmp_path):
    file = tmp_path / "notes.jsonl"
    rows = [
        {"text": SENTENCE, "document_id": "a", "patient_id": "p1"},
        {"text": OTHER + " 0 0 0 0 1 0 0 0 0 0 0", "document_id": "b", "patient_id": "p2"},
        {"text": "Smith came again with chest pain", "document_id": "c", "patient_id": "p1"},
        {"text": "chest pain, no fever", "document_id": "d", "patient_id": "p3"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [file]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "README.md").write_text("# A model\n\nTrained on notes of a hospital, and measured as the tables show.\n")
    (folder / "config.json").write_text('{"model_type": "bert", "hidden_size": 16}')
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    return folder


def found(folder, corpus, **options):
    findings = check_folder(folder, corpus, **options)
    # No message may repeat what was found.
    shown = " ".join(map(str, findings)).lower()
    assert "smith" not in shown and "crushing" not in shown and TOKEN.lower() not in shown
    return {(finding.file, finding.kind): finding.count for finding in findings}


SEQUENCES = "sequences of 8 words of the corpus"


def test_a_clean_folder_passes(folder, corpus):
    assert check_folder(folder, corpus) == []
    assert check_folder(folder, None) == []


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [
        ("README.md", "Example: " + SENTENCE, 8),
        ("README.md", "ADMITTED on\n> tuesday -- with **crushing** chest pain; radiating", 1),
        ("README.md", "<p>admitted <b>on</b> Tuesday&nbsp;with crushing chest pain radiating</p>", 1),
        ("config.json", json.dumps({"note": "admitted on\nTuesday\twith crushing chest pain radiating"}), 1),
        ("config.json", json.dumps({"words": SENTENCE.replace(",", "").split()}), 8),
        ("config.json", '{"note": "admitted \\u006fn Tuesday with crushing chest pain radiating"}', 1),
        ("figures/space.svg", "<svg><g>admitted on Tuesday</g><g>with crushing chest pain radiating</g></svg>", 1),
        ("README.md", "admitted on Tuesday with crushing chest pain.", 0),  # seven words
        ("README.md", "admitted on Tuesday with severe crushing chest pain radiating", 0),
        ("README.md", "| 0 | 0 | 0 | 0 | 1 | 0 | 0 | 0 | 0 |", 0),  # numbers alone
    ],
)  # fmt: skip
def test_sequences_of_the_corpus_are_found_in_any_dress(folder, corpus, name, content, count):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    assert found(folder, corpus) == ({(name, SEQUENCES): count} if count else {})


def test_other_encodings_and_unseen_characters_hide_nothing(folder, corpus):
    (folder / "README.md").write_bytes(SENTENCE.encode("utf-16"))
    (folder / "config.json").write_text(SENTENCE.replace("tt", "t\u00adt").replace("ch", "c\u200bh"), encoding="utf-8")
    assert found(folder, corpus) == {("README.md", SEQUENCES): 8, ("config.json", SEQUENCES): 8}


def test_entries_of_a_vocabulary_are_no_sentence_but_each_is_looked_at(folder, corpus):
    (folder / "vocab.txt").write_text("\n".join(words_of(SENTENCE)))
    assert (("vocab.txt", SEQUENCES)) not in found(folder, corpus)
    (folder / "tokenizer.json").write_text(json.dumps({"added_tokens": [{"content": SENTENCE}], "version": "1.0"}))
    assert found(folder, corpus, rare_below=1) == {("tokenizer.json", SEQUENCES): 8}


def test_headers_of_weights_and_metadata_of_images_are_read(folder, corpus):
    import numpy as np
    from PIL import Image, PngImagePlugin
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3, np.float32)}, folder / "model.safetensors", metadata={"example": SENTENCE})
    (folder / "figures").mkdir()
    fields = PngImagePlugin.PngInfo()
    fields.add_text("Description", SENTENCE)
    Image.new("RGB", (2, 2)).save(folder / "figures" / "a.png", pnginfo=fields)
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"\0\1" * 600_000 + SENTENCE.encode() + b"\xff\0")
    assert found(folder, corpus) == {
        ("model.safetensors", SEQUENCES): 8,
        ("figures/a.png", SEQUENCES): 8,
        ("onnx/model.onnx", SEQUENCES): 8,
    }


def test_word_sequences_equal_a_plain_comparison():
    draw = random.Random(0)
    text = lambda count: " ".join(draw.choice("abcd") for _ in range(count))  # noqa: E731
    small, large = {f"file {n}": text(40) for n in range(4)}, [text(300) for _ in range(30)]
    sequences = WordSequences(4)
    hits = set()
    for name, content in small.items():
        sequences.add(name, content)
    for document in large:
        hits |= sequences.found_in(words_of(document))
    windows = {tuple(d.split()[i : i + 4]) for d in large for i in range(297)}
    expected = {
        name: len({w for w in (tuple(c.split()[i : i + 4]) for i in range(37)) if w in windows and len(set(w)) > 1})
        for name, c in small.items()
    }
    assert dict(sequences.count(hits)) == expected and min(expected.values()) > 5


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("train.csv", "a dataset"),
        ("notes.jsonl", "a dataset"),
        ("data/part.parquet", "a dataset"),
        ("notes.csv.gz", "a dataset"),
        ("optimizer.pt", "state of the optimizer"),
        ("optimizer.bin", "state of the optimizer"),
        ("trainer_state.json", "state of the optimizer"),
        ("training_args.bin", "a pickle or raw tensors, which can hold anything"),
        ("pytorch_model.bin", "a pickle or raw tensors, which can hold anything"),
        ("cache.pkl", "a pickle or raw tensors, which can hold anything"),
        ("events.out.tfevents.1.host", "a log"),
        ("modeling_custom.py", "code, which no loader of ours needs"),
        ("notes.txt", "not on the list of files to publish"),
        ("1_Pooling/config.json.bak", "not on the list of files to publish"),
        ("figures/inner/a.png", "not on the list of files to publish"),
    ],
)
def test_files_that_are_not_on_the_list_stop(folder, name, kind):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("a,b\n")
    assert found(folder, None) == {(name, kind): 1}
    assert Path(name) not in allowed_files(folder)
    assert check_folder(folder, None)[0].stops
    assert check_folder(folder, None, leave_out=[name]) == []
    assert Path(name) not in allowed_files(folder, [name])


def test_what_training_leaves_in_its_own_places_stays_behind(folder):
    before = allowed_files(folder)
    for name in ("checkpoint-10/optimizer.pt", "checkpoint-10/model.safetensors", "runs/x/events.out.tfevents.1"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    for name in ("run_settings.json", "training_summary.json", "card_facts.json"):
        (folder / name).write_text("{}")
    files = sort_files(folder)
    assert files.allowed == before and files.findings == [] and len(files.left_behind) == 6


def test_links_out_of_the_folder_stop(folder, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "outside").mkdir()
    (folder / "generation_config.json").symlink_to(tmp_path / "secret.json")
    (folder / "figures").symlink_to(tmp_path / "outside")
    (folder / "modules.json").symlink_to(folder / "nowhere")
    (folder / "merges.txt").symlink_to("config.json")  # within the folder
    assert found(folder, None) == {
        (name, "a link out of the folder"): 1 for name in ("generation_config.json", "figures", "modules.json")
    }


def test_a_huge_file_stops(folder):
    with (folder / "model.safetensors").open("wb") as stream:
        stream.truncate(3_000_000_000)
    assert found(folder, None) == {("model.safetensors", "larger than 2 GB"): 1}
    (folder / "model.safetensors").unlink()
    with (folder / "privacy_audit.json").open("wb") as stream:
        stream.truncate(70_000_000)
    assert found(folder, None) == {("privacy_audit.json", "a text above 64 MB"): 1}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (TOKEN, "an access token"),
        ("ghp_" + "a1" * 18, "an access token"),
        ("-----BEGIN RSA PRIVATE KEY-----", "an access token"),
        ("/home/someone/models/base", "an absolute path"),
        ("/Users/someone", "an absolute path"),
        ("C:\\notes\\train", "an absolute path"),
        ("\\\\server\\share", "an absolute path"),
        ("file:///x/y", "an absolute path"),
        (f"{Path(__file__).resolve()}", "an absolute path"),
        ("by Drjekyll7, 2024", "the name of a user"),
        ("trained on icu-node-17", "the name of a machine"),
    ],
)
def test_private_strings_stop(folder, monkeypatch, text, kind):
    monkeypatch.setattr(private.getpass, "getuser", lambda: "drjekyll7")
    monkeypatch.setattr(private.socket, "gethostname", lambda: "icu-node-17")
    private._patterns.cache_clear()
    try:
        (folder / "config.json").write_text(json.dumps({"_name_or_path": text}))
        assert found(folder, None) == {("config.json", kind): 1}
    finally:
        private._patterns.cache_clear()


def test_ordinary_words_are_not_private(monkeypatch):
    monkeypatch.setattr(private.getpass, "getuser", lambda: "root")
    private._patterns.cache_clear()
    texts = [
        "See https://huggingface.co/data/models and/or ../home/page; root mean square; 5 mg/dl; hf_token; a/b/c",
        "org/name </div> [card](docs/card.md) 120/80 mmHg w/ pain; c: left; AKI; import a.b",
    ]
    try:
        assert not private.private_strings(texts)
    finally:
        private._patterns.cache_clear()


def test_rare_words_are_counted_and_listed_only_where_asked(folder, corpus, tmp_path):
    words = ["[PAD]", "##smith", "smith", "chest", "pain", "ankle", "unseen", "no", "fever", "100"]
    (folder / "vocab.txt").write_text("\n".join(words))
    report = tmp_path / "rare.tsv"
    # chest and pain have two patients: p1 (twice) and p3.
    findings = check_folder(folder, corpus, rare_below=2, rare_words_report=report)
    assert [(f.file, f.count, f.stops) for f in findings] == [("vocab.txt", 3, False)]
    assert report.read_text() == "word\tpatients\nankle\t1\nfever\t1\nsmith\t1\n"
    assert "smith" not in str(findings[0]) and [f.count for f in check_folder(folder, corpus, rare_below=3)] == [5]
    (folder / "training_summary.json").write_text('{"settings": {"train_tokenizer": true}}')
    stopping = check_folder(folder, corpus, rare_below=2)
    assert [(f.count, f.stops, f.is_of_vocabulary) for f in stopping] == [(3, True, True)]
    # A later stage hands on the vocabulary of the first.
    later = {"settings": {"train_tokenizer": False}, "earlier_trainings": [{"steps": 3}, {"train_tokenizer": True}]}
    (folder / "training_summary.json").write_text(json.dumps(later))
    assert [f.stops for f in check_folder(folder, corpus, rare_below=2)] == [True]
    with pytest.raises(InputError, match="may not be in the folder"):
        check_folder(folder, corpus, rare_words_report=folder / "rare.tsv")


def test_rare_words_of_a_byte_level_vocabulary(roberta_tokenizer, tmp_path):
    from model_cards.rare_words import vocabulary_words

    roberta_tokenizer.save_pretrained(tmp_path)
    words = vocabulary_words(tmp_path)
    assert {"patient", "chest", "dyspnoea"} <= words and not any(word.startswith("ġ") for word in words)


def test_names_in_a_repository_that_are_ours():
    assert is_publishable_name("model-00001-of-00003.safetensors") and is_publishable_name("figures/a.png")
    assert not is_publishable_name(".gitattributes") and not is_publishable_name("notes/README.md")


def test_a_named_pipe_stops(folder):
    os.mkfifo(folder / "README.txt")
    assert found(folder, None) == {("README.txt", "not a plain file"): 1}
