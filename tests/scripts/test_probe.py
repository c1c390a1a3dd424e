import json

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

import frozen_probe
import probe
from corpora.errors import InputError
from frozen_probe import (
    LabelledSplit,
    ProbeSettings,
    few_shot_sample,
    macro_f1_of_resamples,
    probe_label,
    resample_within_classes,
    rotate,
    scale,
)
from metrics.intervals import ResampledScores, percentile_interval
from modeling.document_encoder import DocumentEncoder

TOPICS = {"cardiology": ("chest", "pain"), "orthopaedics": ("knee", "swelling"), "general": ("fever", "cough")}


def _split(count, seed, prefix):
    """Documents whose class shows in some of their words, and embeddings in which it shows as well."""
    rng = np.random.default_rng(seed)
    names = sorted(TOPICS)
    classes = rng.choice(3, size=count, p=[0.6, 0.25, 0.15])
    noise = ("left", "right", "mild", "severe", "no", "for")
    texts = [" ".join([*rng.choice(noise, 6), *(TOPICS[names[c]] if rng.random() < 0.7 else ())]) for c in classes]
    embeddings = rng.normal(size=(count, 5)) + 5
    embeddings[np.arange(count), classes] += 1.5
    return Dataset.from_dict(
        {
            "text": texts,
            "document_id": [f"{prefix}{i}" for i in range(count)],
            "specialty": [names[c] for c in classes],
            "ward": [None if i % 4 == 0 else int(c) for i, c in enumerate(classes)],
        }
    ), embeddings.astype(np.float32)


@pytest.fixture(scope="module")
def parts():
    return _split(120, 1, "a"), _split(80, 2, "b")


@pytest.fixture
def data(parts, tmp_path):
    """A saved corpus, and its embeddings in another order among those of other documents."""
    (train, train_vectors), (test, test_vectors) = parts
    DatasetDict({"train": train, "test": test}).save_to_disk(tmp_path / "corpus")
    ids = [*train["document_id"], *test["document_id"], "other 1", "other 2"]
    vectors = np.concatenate([train_vectors, test_vectors, np.full((2, 5), 99, np.float32)])
    order = np.random.default_rng(0).permutation(len(ids))
    np.save(tmp_path / "good.npy", vectors[order])
    (tmp_path / "good.ids.txt").write_text("".join(f"{ids[i]}\n" for i in order))
    return tmp_path


@pytest.fixture(autouse=True)
def _caches(tmp_path_factory, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))


def _labelled(part, vectors, label="specialty"):
    return LabelledSplit(part["text"], np.array(part[label]), {"good": vectors})


def _run(data, *more):
    probe.main(["--data", str(data / "corpus"), "--quiet", "--seeds", "3", *more])


def test_whole_command(data, parts, capsys):
    output = data / "results" / "probe.json"
    labels = ("--label_columns", "specialty", "ward")
    _run(data, *labels, "--embeddings", f"good={data / 'good.npy'}", "--shots", "4", "--output", str(output))
    printed = capsys.readouterr().out.splitlines()
    results = json.loads(output.read_text())
    rows = {(row["label"], row["features"], row["shots"]): row for row in results["rows"]}
    kinds = ["majority class", "TF-IDF", "good", "good + TF-IDF"]
    assert list(rows) == [(name, kind, n) for name in ("specialty", "ward") for n in (None, 4) for kind in kinds]
    assert [line.split("  ")[0] for line in printed[1:5]] == kinds
    assert len({len(line) for line in printed[:5]}) == 1  # aligned
    for row in results["rows"]:
        assert row["interval"][0] <= row["macro_f1"] <= row["interval"][1] or row["features"] == "majority class"
        assert len(row["scores"]) == 3 and np.isclose(np.mean(row["scores"]), row["macro_f1"])
    assert sum(results["documents"]["ward"]["train"].values()) == 90  # null labels left out
    assert f"{rows['specialty', 'good', None]['macro_f1']:.3f}" in printed[3]

    # The full fit, once more with scikit-learn alone.
    (train, x_train), (test, x_test) = parts
    centre = x_train.mean(0)
    length = np.sqrt(((x_train - centre) ** 2).sum(1).mean())
    model = LogisticRegression(C=30, class_weight="balanced", max_iter=2000)
    said = model.fit((x_train - centre) / length, train["specialty"]).predict((x_test - centre) / length)
    expected = f1_score(test["specialty"], said, average="macro")
    assert rows["specialty", "good", None]["macro_f1_all"] == pytest.approx(expected)
    bags = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    said = model.fit(bags.fit_transform(train["text"]), train["specialty"]).predict(bags.transform(test["text"]))
    expected = f1_score(test["specialty"], said, average="macro")
    assert rows["specialty", "TF-IDF", None]["macro_f1_all"] == pytest.approx(expected)
    majority = max(set(train["specialty"]), key=train["specialty"][:].count)
    expected = f1_score(test["specialty"], [majority] * len(test), average="macro", zero_division=0)
    assert rows["specialty", "majority class", None]["macro_f1"] == pytest.approx(expected)
    assert rows["specialty", "good + TF-IDF", None]["macro_f1_all"] > expected + 0.3


def test_same_command_same_results_and_output_is_kept(data, capsys):
    output = data / "probe.json"
    arguments = ["--label_columns", "specialty", "--output", str(output), "--markdown"]
    _run(data, *arguments)
    first = output.read_bytes()
    printed = capsys.readouterr().out
    assert printed.splitlines()[:2] == [
        "| macro-F1 | specialty, all | specialty, 16 a class |",
        "| --- | ---: | ---: |",
    ]
    with pytest.raises(InputError, match="the output exists"):
        _run(data, *arguments)
    _run(data, *arguments, "--overwrite")
    assert output.read_bytes() == first


def test_rare_classes_are_left_out_of_both_splits(data, parts, capsys):
    (train, _), (test, _) = parts
    rarest = min(set(train["specialty"]), key=train["specialty"][:].count)
    count = train["specialty"][:].count(rarest)
    output = data / "probe.json"
    arguments = ("--label_columns", "specialty", "--shots", "0", "--output", str(output), "--overwrite")
    for limit, classes in ((count, 3), (count + 1, 2)):
        _run(data, *arguments, "--min_class_documents", str(limit))
        result = json.loads(output.read_text())
        assert [len(result["documents"]["specialty"][split]) for split in ("train", "test")] == [classes, classes]
        assert result["settings"]["min_class_documents"] == limit
    dropped = test["specialty"][:].count(rarest)
    assert f"left out, {dropped} documents of the test split" in capsys.readouterr().err


def test_models_are_encoded(data, make_encoder, capsys):
    folder = make_encoder("bert")
    output = data / "probe.json"
    _run(data, "--label_columns", "specialty", "--models", f"tiny={folder}", "--shots", "0", "--output", str(output))
    rows = {row["features"]: row for row in json.loads(output.read_text())["rows"]}
    corpus = DatasetDict.load_from_disk(data / "corpus")
    encoder = DocumentEncoder.from_pretrained(folder)
    splits = [
        LabelledSplit(part["text"], np.array(part["specialty"]), {"tiny": encoder.encode(part["text"])})
        for part in (corpus["train"], corpus["test"])
    ]
    expected = {row.features: row for row in probe_label("specialty", *splits, ProbeSettings(seeds=3, shots=()))}
    assert rows["tiny"]["macro_f1"] == pytest.approx(expected["tiny"].macro_f1, abs=0.02)
    assert set(rows) == {"majority class", "TF-IDF", "tiny", "tiny + TF-IDF"}


def test_few_shot_samples_are_nested_and_per_class():
    labels = np.array(["a"] * 30 + ["b"] * 20 + ["c"] * 3)
    small, large = few_shot_sample(labels, 4, seed=7), few_shot_sample(labels, 16, seed=7)
    assert set(small) < set(large)
    assert [int((labels[large] == name).sum()) for name in "abc"] == [16, 16, 3]
    assert not np.array_equal(small, few_shot_sample(labels, 4, seed=8))


def test_resampled_macro_f1_equals_scikit_learn():
    rng = np.random.default_rng(4)
    truth, said = rng.choice(list("abcd"), 40), rng.choice(list("abce"), 40)
    counts = resample_within_classes(truth, 25, seed=3)
    for name in "abcd":  # as many documents of each class as there are
        assert (counts[:, truth == name].sum(1) == (truth == name).sum()).all()
    expected = [
        f1_score(np.repeat(truth, drawn), np.repeat(said, drawn), average="macro", zero_division=0) for drawn in counts
    ]
    np.testing.assert_allclose(macro_f1_of_resamples(truth, said, counts), expected)
    assert np.std(expected) > 0


def test_the_interval_is_that_of_the_mean(parts, monkeypatch):
    splits = [LabelledSplit(list(one["text"]), np.array(one["specialty"]), {}) for one, _ in parts]
    said = []
    predict = frozen_probe._predict
    monkeypatch.setattr(frozen_probe, "_predict", lambda *given: said.append(predict(*given)) or said[-1])
    rows = probe_label("specialty", *splits, ProbeSettings(shots=(4,), seeds=5))
    row, predictions = rows[-1], said[-5:]
    assert row.shots == 4 and row.features == frozen_probe.BAG_OF_WORDS and len(set(row.scores)) > 1
    counts = resample_within_classes(splits[1].labels, frozen_probe.RESAMPLES, 0)
    resampled = np.stack([macro_f1_of_resamples(splits[1].labels, one, counts) for one in predictions])
    assert row.interval == percentile_interval(ResampledScores(np.array(row.scores), resampled), 0)
    pooled = np.percentile(resampled, [2.5, 97.5])  # of a single fit
    assert row.interval[1] - row.interval[0] < pooled[1] - pooled[0]


def test_scale_ignores_offset_and_size():
    rng = np.random.default_rng(4)
    train, test = rng.normal(size=(50, 3)) * [1, 2, 3], rng.normal(size=(9, 3))
    scaled = scale(train, test)
    assert np.mean((scaled[0] ** 2).sum(1)) == pytest.approx(1) and np.allclose(scaled[0].mean(0), 0)
    for a, b in zip(scaled, scale(train * 7 + 100, test * 7 + 100), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    assert np.isfinite(scale(np.ones((4, 2)), np.ones((2, 2)))[0]).all()


def test_rotation_changes_no_prediction(parts):
    (train, _), (test, _) = parts
    rows = {"train": list(train["text"])[:60], "test": list(test["text"])}
    vectorizer = TfidfVectorizer(ngram_range=(1, 3))
    bags = vectorizer.fit_transform(rows["train"]), vectorizer.transform(rows["test"])
    rotated = rotate(*bags)
    assert bags[0].shape[1] > 200 and rotated[0].shape[1] <= 60
    labels = np.array(train["specialty"])[:60]
    chances = []
    for x_train, x_test in (bags, rotated):
        model = LogisticRegression(C=30, class_weight="balanced", max_iter=20000, tol=1e-9)
        chances.append(model.fit(x_train[10:40], labels[10:40]).predict_proba(x_test))  # a sample of the rows, too
    np.testing.assert_allclose(*chances, atol=1e-5)
    assert rotate(bags[0][:, :20], bags[1][:, :20])[0].shape == (60, 20)  # fewer features than documents: as they were


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--label_columns", "team"], "team"),
        (["--label_columns", "specialty", "--test_split", "dev"], "no split 'dev'; choose from test$"),
        (["--label_columns", "specialty", "--train_split", "dev"], "no split 'dev'; choose from train$"),
        (
            ["--data", "{data}/notes.csv", "--label_columns", "specialty"],
            "no split 'test'; prepare the notes with scripts/prepare_notes.py, or name --split_column$",
        ),
        (
            ["--label_columns", "specialty", "--min_class_documents", "10000"],
            "'specialty': all documents of the train split are of classes with fewer than 10,000 training documents; "
            "lower --min_class_documents$",
        ),
        (["--label_columns", "specialty", "--test_split", "train"], "are the same"),
        (["--label_columns", "specialty", "--embeddings", "good.npy"], "not of the form NAME=PATH"),
        (
            ["--label_columns", "specialty", "--embeddings", "a={data}/none.npy"],
            "none.npy: no such file of embeddings; write it with encode.py$",
        ),
        (["--label_columns", "specialty", "--embeddings", "a={data}/half.npy"], "196 of 200|76 of 120"),
        (["--label_columns", "specialty", "--models", "a={data}"], "is not a checkpoint folder"),
        (["--label_columns", "specialty", "--models", "a=b/c", "--embeddings", "a={data}/good.npy"], "'a' stands for"),
        (["--label_columns", "specialty", "--seeds", "0"], "--seeds"),
        (["--label_columns", "specialty", "--c", "0"], "--c is not positive"),
    ],
)
def test_input_errors(data, arguments, words):
    np.save(data / "half.npy", np.ones((44, 2), np.float32))
    (data / "notes.csv").write_text("text,specialty\nno fever,general\nchest pain,cardiology\n")
    (data / "half.ids.txt").write_text("".join(f"a{i}\n" for i in range(44)))
    with pytest.raises(InputError, match=words):
        _run(data, *(word.format(data=data) for word in arguments))
