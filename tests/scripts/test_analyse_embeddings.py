"""analyse_embeddings.py as a user runs it: the folder it makes, resumption, and one clear line for each fault."""

import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

import analyse_embeddings
from corpora.errors import InputError
from metrics.alignment import uniformity
from metrics.measures import MEASURES
from modeling.document_encoder import DocumentEncoder
from space_documents import halves, read_sources
from space_maps import graph_drawing, principal_components, tsne_map

WORDS = {"cardiology": "chest pain echo", "renal": "dyspnoea exertion clinic", "skin": "rash cough fever"}
SMALL = ["--thresholds", 0.2, 0.8, "--ks", 2, 5, "--densities", 0.1, "--graph_density", 0.1, "--cluster_seeds", 2]
SECRET = "echo"  # a word of the documents that is no category


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def notes(tmp_path):
    random = np.random.default_rng(0)
    filler = "the patient was admitted with no review in home follow up".split()
    lines = []
    for number in range(60):
        label = list(WORDS)[number % 3]
        words = [*random.choice(WORDS[label].split(), 6), *random.choice(filler, random.integers(5, 50))]
        lines.append(
            {
                "text": " ".join(random.permutation(words)),
                "document_id": f"d{number}",
                "specialty": label if number % 10 else None,
                "severity": number / 7,
                "tags": [label],
                "ward": "A",
            }
        )
    file = tmp_path / "notes.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def write_vectors(folder, name, documents=60, seed=0, dtype=np.float32, change=None):
    """Write embeddings in which the documents of a category lie together."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(3, 8))[np.arange(documents) % 3] * 2 + random.normal(size=(documents, 8))
    if change is not None:
        vectors[change[0]] = change[1]
    np.save(folder / f"{name}.npy", vectors.astype(dtype))
    (folder / f"{name}.ids.txt").write_text("".join(f"d{number}\n" for number in range(documents)))
    return folder / f"{name}.npy"


def analyse(*words, figures=False):
    words = [*words, "--quiet", f"--figures={figures}"]
    return analyse_embeddings.main([str(word) for word in words])


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_a_checkpoint_and_a_file_side_by_side(make_encoder, notes, tmp_path, capsys):
    folder, output = make_encoder("bert"), tmp_path / "space"
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("a,b,score\nchest pain,chest echo,4\nrash,clinic,1\nfever,cough fever,3\nhome,review,2\n")
    options = ["--similarity_file", pairs, "--similarity_columns", "a", "b", "score", *SMALL]
    file = write_vectors(tmp_path, "made")
    words = [f"tiny={folder}", file, "--data", notes, "--label_column", "specialty", "--output_dir", output, *options]
    analyse(*words, figures=True)
    found = results(output)
    assert (found["documents"], found["without_category"], found["reference"]) == (60, 6, "tiny")
    assert dict(zip(found["categories"], found["category_counts"], strict=True)) == dict.fromkeys(WORDS, 18)
    tiny, made = found["models"]
    missing = MEASURES.keys() - tiny["measures"].keys()
    assert not missing, f"measures of the registry that nothing gives: {missing}"
    assert MEASURES.keys() - made["measures"].keys() == {"alignment", "similarity_spearman"}  # no texts, no halves
    assert made["measures"]["knn_purity"]["value"] > 0.8 > tiny["measures"]["silhouette"]["value"]
    texts = [json.loads(line)["text"] for line in notes.read_text().splitlines()]
    vectors = DocumentEncoder.from_pretrained(folder, device="cpu").encode(texts)
    assert tiny["measures"]["uniformity"]["value"] == pytest.approx(uniformity(vectors).value, abs=1e-5)
    assert np.allclose(np.diag(found["cka"]), 1) and found["cka"][0][1] == found["cka"][1][0] < 0.99
    table = pq.read_table(output / "coordinates" / "tiny.parquet")
    assert table["document_id"].to_pylist() == [f"d{number}" for number in range(60)]
    assert table["category"].to_pylist()[:4] == [None, "renal", "skin", "cardiology"]
    assert not np.isnan(table["tsne_x"].to_numpy()).any()
    for name in ("page.html", "table.md"):
        assert "uniformity" in (output / name).read_text().lower()
    assert list((output / "figures").glob("*.png")) and list((output / "figures").glob("*.svg"))
    told = capsys.readouterr().out + "".join(
        file.read_text() for file in output.rglob("*") if file.suffix in (".html", ".md", ".json", ".svg")
    )
    # As a word of its own: the page holds numbers as base64, in which four letters may meet by chance.
    assert not re.search(rf"\b{SECRET}\b", told) and str(tmp_path) not in (output / "page.html").read_text()


def test_shards_measure_their_models_and_the_last_run_only_joins_them(tmp_path, monkeypatch, capsys):
    import space_measures

    files = [write_vectors(tmp_path, name, seed=seed) for seed, name in enumerate("ab")]
    words = [*files, "--thresholds", 0.2, "--ks", 2, "--densities", 0.1, "--graph_density", 0.1, "--map_documents", 0]
    analyse(*words, "--output_dir", tmp_path / "whole")
    calls = []
    real = space_measures.measure_space
    monkeypatch.setattr(
        space_measures, "measure_space", lambda space, *more: calls.append(space.name) or real(space, *more)
    )
    output = ["--output_dir", tmp_path / "space"]
    for shard, measured in (("2/2", ["b"]), ("1/2", ["a"])):
        calls.clear()
        analyse(*words, *output, "--shard", shard)
        assert calls == measured and not (tmp_path / "space" / "results.json").exists()
    assert "Shard 1/2 measured a;" in capsys.readouterr().out
    analyse(*words, *output)
    assert calls == ["a"] and (tmp_path / "space" / "page.html").exists()
    found, expected = (results(tmp_path / name) for name in ("space", "whole"))
    for record in (*found["models"], *expected["models"]):
        record.pop("seconds")
    assert found == expected
    with pytest.raises(InputError, match="--restart would delete"):
        analyse(*words, *output, "--shard", "1/2", "--restart")
    with pytest.raises(InputError, match="--shard 3/2 is no share"):
        analyse(*words, *output, "--shard", "3/2")


def test_what_is_done_is_not_done_again_and_a_model_can_be_added(make_encoder, notes, tmp_path, monkeypatch):
    folder, output = make_encoder("bert"), tmp_path / "space"
    words = ["--data", notes, "--label_column", "specialty", "--output_dir", output, *SMALL]
    calls = []
    real = DocumentEncoder.encode
    monkeypatch.setattr(
        DocumentEncoder, "encode", lambda self, *given, **named: (calls.append(1), real(self, *given, **named))[1]
    )
    first = write_vectors(tmp_path, "first")
    analyse(f"tiny={folder}", *words)
    assert calls
    before = results(output)
    calls.clear()
    monkeypatch.setattr("space_measures.pair_statistics", lambda *given, **named: pytest.fail("measured again"))
    analyse(f"tiny={folder}", *words)
    assert not calls and results(output) == before
    monkeypatch.undo()
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    analyse(f"tiny={folder}", first, *words)
    after = results(output)
    assert after["models"][0] == before["models"][0] and [model["name"] for model in after["models"]][1] == "first"
    # Another seed, other measures; --restart clears only what is ours.
    (output / "mine.txt").write_text("kept")
    analyse(first, *words, "--seed", 3, "--restart")
    assert results(output)["settings"]["seed"] == 3 and (output / "mine.txt").is_file()
    assert not (output / "embeddings").exists()


@pytest.mark.parametrize(
    "broken", ["models/tiny.json", "coordinates/tiny.parquet", "embeddings/tiny.json", "embeddings/tiny.npy"]
)
def test_what_was_cut_short_is_made_again(make_encoder, notes, tmp_path, broken):
    output = tmp_path / "space"
    words = [f"tiny={make_encoder('bert')}", "--data", notes, "--label_column", "specialty", "--output_dir", output]
    analyse(*words, *SMALL)
    before, content = results(output), (output / broken).read_bytes()
    (output / broken).write_bytes(content[:20])
    analyse(*words, *SMALL)
    after = results(output)
    for found in (before, after):
        assert found["models"][0].pop("seconds")
    assert after == before
    assert len((output / broken).read_bytes()) > 20


def test_analyses_by_other_labels_share_embeddings(make_encoder, notes, tmp_path, monkeypatch):
    folder, shared = make_encoder("bert"), tmp_path / "shared"
    analyse(
        f"tiny={folder}", "--data", notes, "--label_column", "specialty", "--output_dir", tmp_path / "alone", *SMALL
    )
    words = ["--data", notes, "--embeddings_dir", shared, *SMALL]
    analyse(f"tiny={folder}", *words, "--output_dir", tmp_path / "a")
    monkeypatch.setattr(DocumentEncoder, "encode", lambda *given, **named: pytest.fail("encoded again"))
    analyse(f"tiny={folder}", *words, "--label_column", "specialty", "--output_dir", tmp_path / "b")
    assert not (tmp_path / "b/embeddings").exists() and (shared / "tiny.npy").is_file()
    assert results(tmp_path / "b")["models"][0]["measures"] == results(tmp_path / "alone")["models"][0]["measures"]
    monkeypatch.undo()
    # Another way of reading is not mixed with it.
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    analyse(f"tiny={folder}", *words, "--max_length", 8, "--output_dir", tmp_path / "c")
    assert results(tmp_path / "c")["models"][0]["measures"] != results(tmp_path / "a")["models"][0]["measures"]


def test_killed_between_two_models_and_resumed_gives_the_same(notes, tmp_path, monkeypatch):
    files = [write_vectors(tmp_path, name, seed=seed) for seed, name in enumerate(("one", "two"))]
    words = [*files, "--data", notes, "--label_column", "specialty", *SMALL, "--output_dir"]
    analyse(*words, tmp_path / "whole")
    real, done = analyse_embeddings.Analysis.record, []

    def stopping(self, source):
        if done:
            raise KeyboardInterrupt
        done.append(source)
        return real(self, source)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(analyse_embeddings.Analysis, "record", stopping)
        analyse(*words, tmp_path / "cut")
    assert not (tmp_path / "cut" / "results.json").exists()
    analyse(*words, tmp_path / "cut")
    whole, cut = results(tmp_path / "whole"), results(tmp_path / "cut")
    for model in (*whole["models"], *cut["models"]):
        del model["seconds"]
    assert whole == cut


def test_files_without_notes(tmp_path, capsys):
    files = [write_vectors(tmp_path, "half", dtype=np.float16), write_vectors(tmp_path, "zeros", change=(3, 0.0))]
    analyse(*files, "--output_dir", tmp_path / "space", "--max_documents", 50, *SMALL)
    found = results(tmp_path / "space")
    assert (found["documents"], found["categories"], found["label_column"]) == (50, [], None)
    assert found["settings"]["documents_found"] == 60 and "50 of 60 documents are drawn" in capsys.readouterr().err
    assert "silhouette" not in found["models"][0]["measures"] and found["models"][0]["cosines"] is None
    assert [model["zero_vectors"] for model in found["models"]] in ([0, 1], [0, 0])


def test_equal_vectors_and_few_documents_are_dashes_not_errors(notes, tmp_path):
    equal = write_vectors(tmp_path, "equal", change=(slice(None), 1.0))
    analyse(equal, "--data", notes, "--label_column", "specialty", "--output_dir", tmp_path / "a", *SMALL)
    values = results(tmp_path / "a")["models"][0]["measures"]
    assert values["uniformity"]["value"] == pytest.approx(0, abs=1e-6) and values["isoscore"]["value"] is None
    two = write_vectors(tmp_path, "two", documents=2)
    analyse(two, "--output_dir", tmp_path / "b", *SMALL)
    assert results(tmp_path / "b")["documents"] == 2 and (tmp_path / "b" / "page.html").is_file()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{vectors}", "--label_column", "specialty"], "--label_column needs --data"),
        (["{vectors}", "{vectors}"], "two of the spaces are named 'vectors'"),
        (["../=x.npy"], "does not give a name"),
        (["{encoder}"], "needs documents; give --data"),
        (["{vectors}", "--reference", "other"], "--reference other is no model"),
        (["{vectors}", "--data", "{notes}", "--label_column", "severity"], "column 'severity'"),
        (["{vectors}", "--data", "{notes}", "--label_column", "tags"], "several categories each"),
        (["{vectors}", "--data", "{notes}", "--label_column", "ward"], "have the same one"),
        (["{vectors}", "--data", "{notes}", "--label_column", "nothing"], "column 'nothing'"),
        (["{vectors}", "--data", "{notes}", "--label_column", "specialty", "--min_class_documents", "99"], "lower --m"),
        (["{short}", "--data", "{notes}"], "20 of 60 documents have no embedding, the first is 'd40'"),
        (["{nan}"], "the embedding of 'd7' holds a number that is not finite"),
        (["{whole}"], "holds int64 values, not floating point numbers"),
        (["{missing}"], "no such file of embeddings"),
        (["{vectors}", "--similarity_file", "x.csv"], "needs a checkpoint"),
        (["{encoder}", "--data", "{notes}", "--device", "nonsense"], "--device nonsense cannot be used here; give cpu"),
        (["{vectors}", "--ks", "0"], "--ks is below 1"),
        (["{vectors}", "--output_dir", "{notes}"], "the output is a file"),
        (["{vectors}", "--output_dir", "{folder}"], "files that are not of an analysis"),
        ([], "missing SPACES"),
    ],
)
def test_input_errors_leave_nothing(words, told, make_encoder, notes, tmp_path):
    folder = tmp_path / "inputs"
    folder.mkdir()
    places = {
        "vectors": write_vectors(folder, "vectors"),
        "short": write_vectors(folder, "short", documents=40),
        "nan": write_vectors(folder, "nan", change=(7, np.nan)),
        "whole": write_vectors(folder, "whole", dtype=np.int64),
        "missing": folder / "missing.npy",
        "encoder": make_encoder("bert"),
        "notes": notes,
        "folder": folder,
    }
    words = [word.format(**places) for word in words]
    output = tmp_path / "out"
    if "--output_dir" not in words:
        words += ["--output_dir", str(output)]
    with pytest.raises(InputError, match=told):
        analyse(*words)
    assert not output.exists()


def test_names_of_spaces():
    sources = read_sources(["a=models/x", "org/model-1.5", "vectors.npy", "b=c.parquet"])
    assert [(source.name, source.is_file) for source in sources] == [
        ("a", False),
        ("model-1.5", False),
        ("vectors", True),
        ("b", True),
    ]


def test_halves_hold_every_word_once():
    from datasets import Dataset

    texts = [" ".join(f"w{number}" for number in range(count)) for count in (31, 32, 51, 80)]
    documents = Dataset.from_dict({"document_id": list("abcd"), "text": texts})
    found = halves(documents, 10, seed=0)
    parts = dict(zip(found["document_id"], found["text"], strict=True))
    assert sorted({name.split("/")[0] for name in parts}) == ["b", "c", "d"]  # the first is too short
    for name, text in zip("bcd", texts[1:], strict=True):
        assert parts[f"{name}/1"] + parts[f"{name}/2"] == text
        assert abs(len(parts[f"{name}/1"].split()) - len(parts[f"{name}/2"].split())) <= 1
    assert len(halves(documents, 2, seed=0)) == 4
    assert halves(documents.select([0, 1]), 10, seed=0) is None


def test_principal_components_and_maps_of_degenerate_input():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(30, 6))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = principal_components(vectors, 3, seed=0)
    _, _, axes = np.linalg.svd(unit - unit.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found), np.abs((unit - unit.mean(0)) @ axes[:3].T), atol=1e-5)
    assert (found[np.abs(found).argmax(0), range(3)] > 0).all()
    flat = principal_components(np.ones((8, 6)), 10, seed=0)
    assert flat.shape == (8, 10) and np.abs(flat).max() < 1e-6
    assert np.isnan(tsne_map(np.zeros((8, 4), np.float32), 30, 0)).all()
    assert np.isnan(tsne_map(random.normal(size=(4, 2)), 30, 0)).all()
    assert tsne_map(random.normal(size=(12, 3)).astype(np.float32), 30, 0).shape == (12, 2)
    assert graph_drawing(vectors, np.arange(4), 0) is None
    drawn = graph_drawing(vectors, np.arange(0, 30, 2), 0)
    assert drawn["documents"] == list(range(0, 30, 2)) and len(drawn["x"]) == 15
    assert all(0 <= a < b < 15 for a, b in drawn["edges"])
