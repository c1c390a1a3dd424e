import json
import shutil

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.models import Normalize, Pooling, Transformer

from corpora.errors import InputError
from modeling.document_encoder import DocumentEncoder
from modeling.document_windows import batches_by_length, cut_windows
from modeling.freed_memory import release_freed_memory

SHORT = ["Fever and cough", "", "  left knee pain \n", "severe chest pain, no fever for 3 days", "no"]
LONG = " ".join(f"mild {word} for left knee" for word in ("fever", "cough", "chest", "pain", "swelling") * 9)


@pytest.fixture(params=["bert", "roberta"])
def folder(request, make_encoder):
    return make_encoder(request.param)


def test_documents_that_fit_equal_sentence_transformers(folder):
    expected = SentenceTransformer(str(folder), device="cpu").encode(SHORT)
    ours = DocumentEncoder.from_pretrained(folder, device="cpu").encode(SHORT, batch_size=2)
    assert ours.dtype == np.float32 and ours.shape == (len(SHORT), 16)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert np.abs(expected[0] - expected[2]).max() > 0.01  # the tiny model does tell documents apart


def test_padding_is_not_read(folder):
    texts, found = [*SHORT, LONG], {}
    for unpadded in (False, True):
        encoder = DocumentEncoder.from_pretrained(folder, device="cpu", unpadded=unpadded)
        read = []
        encoder.model[0].auto_model.embeddings.register_forward_hook(
            lambda _, __, output, read=read: read.append(output.shape[0] * output.shape[1])
        )
        found[unpadded] = encoder.encode(texts, batch_size=32), sum(read)
    np.testing.assert_allclose(found[True][0], found[False][0], atol=1e-5)
    tokens = [len(ids) + 2 for ids in encoder._tokenize(SHORT)]
    ids = len(encoder._tokenize([LONG])[0])
    windows = -(-ids // 30)
    assert found[True][1] == sum(tokens) + ids + 2 * windows < 0.9 * found[False][1]


def test_first_window_equals_truncation(folder):
    # RoBERTa numbers positions from padding_idx + 1: sentence-transformers alone would read past the table here.
    model = SentenceTransformer(str(folder), device="cpu")
    model.max_seq_length = 32
    ours = DocumentEncoder.from_pretrained(folder, device="cpu", windows="first")
    assert ours.max_length == 32
    np.testing.assert_allclose(ours.encode([LONG]), model.encode([LONG]), atol=1e-5)


@pytest.mark.parametrize("overlap", [0, 7])
def test_windows_equal_a_plain_loop(folder, overlap):
    import torch

    encoder = DocumentEncoder.from_pretrained(folder, device="cpu", window_overlap=overlap)
    tokenizer, transformer = encoder.tokenizer, encoder.model[0].auto_model
    ids = tokenizer(LONG, add_special_tokens=False)["input_ids"]
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    total, weight, start = 0, 0, 0
    while True:
        piece = ids[start : start + 30]
        hidden = transformer(input_ids=torch.tensor([[first, *piece, last]])).last_hidden_state[0]
        total = total + len(piece) * hidden.mean(0).detach().numpy()
        weight += len(piece)
        if start + 30 >= len(ids):
            break
        start += 30 - overlap
    assert weight > len(ids) - 1 and len(ids) > 100
    among_others = encoder.encode([SHORT[0], LONG, SHORT[3]], batch_size=3)[1]
    np.testing.assert_allclose(among_others, total / weight, atol=1e-5)


def test_order_and_buffers_do_not_matter(make_encoder):
    encoder = DocumentEncoder.from_pretrained(make_encoder("bert"), device="cpu")
    texts = [*SHORT, LONG, "cough " * 20, LONG[:200]]
    whole = encoder.encode(texts)
    np.testing.assert_allclose(encoder.encode(texts[::-1])[::-1], whole, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(iter(texts), 1, buffer_size=2), whole, atol=1e-5)
    assert [len(part) for part in encoder.stream(iter(texts), buffer_size=3)] == [3, 3, 2]
    np.testing.assert_array_equal(encoder.encode(texts), whole)
    assert encoder.encode([]).shape == (0, 16)


def test_normalising_checkpoints_give_unit_vectors_for_long_documents_too(make_encoder, tmp_path):
    transformer = Transformer(str(make_encoder("bert")))
    model = SentenceTransformer(modules=[transformer, Pooling(16), Normalize()], device="cpu")
    encoder = DocumentEncoder(model)
    embeddings = encoder.encode([LONG, SHORT[0]])
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(embeddings[1], model.encode(SHORT[0]), atol=1e-6)


@pytest.mark.parametrize("include_prompt", [True, False])
def test_default_prompts_are_kept(make_encoder, include_prompt):
    pooling = Pooling(16, include_prompt=include_prompt)
    model = SentenceTransformer(
        modules=[Transformer(str(make_encoder("bert"))), pooling],
        prompts={"note": "no fever: "},
        default_prompt_name="note",
        device="cpu",
    )
    encoder = DocumentEncoder(model)
    np.testing.assert_allclose(encoder.encode(SHORT[:1]), model.encode(SHORT[:1]), atol=1e-5)
    without = model.encode(SHORT[:1], prompt="")
    assert np.abs(model.encode(SHORT[:1]) - without).max() > 0.01
    assert np.isfinite(encoder.encode([LONG])).all()


def test_half_precision_is_close(make_encoder):
    folder = make_encoder("bert")
    exact = DocumentEncoder.from_pretrained(folder, device="cpu").encode([LONG, *SHORT])
    rounded = DocumentEncoder.from_pretrained(folder, device="cpu", dtype="bfloat16").encode([LONG, *SHORT])
    cosine = (exact * rounded).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
    assert cosine.min() > 0.99 and np.abs(exact - rounded).max() > 1e-5  # bf16 was really used


def test_cut_windows():
    def spans(length, room, overlap=0, prompt=()):
        ids = [*prompt, *range(100, 100 + length)]
        return [(list(w.ids), w.weight) for w in cut_windows(0, ids, room, overlap, prompt)]

    assert spans(3, 4) == [([100, 101, 102], 3)]
    assert spans(0, 4) == [([], 1)]
    assert spans(4, 4) == [([100, 101, 102, 103], 4)]
    assert spans(5, 4) == [([100, 101, 102, 103], 4), ([104], 1)]
    assert spans(7, 4, 1) == [([100, 101, 102, 103], 4), ([103, 104, 105, 106], 4)]
    assert spans(4, 4, prompt=(1,)) == [([1, 100, 101, 102], 3), ([1, 103], 1)]
    with pytest.raises(ValueError, match="cannot overlap"):
        spans(9, 4, 4)


def test_batches_hold_a_token_budget():
    lengths = [3, 50, 0, 9, 9, 2, 50, 100]
    windows = [w for i, n in enumerate(lengths) for w in cut_windows(i, [7] * n, 200)]
    batches = list(batches_by_length(windows, 60))
    assert [[len(w.ids) for w in batch] for batch in batches] == [[100], [50], [50], [9, 9, 3, 2, 0]]
    assert sorted(w.document for batch in batches for w in batch) == list(range(len(lengths)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_length": 33}, "above the model's window of 32"),
        ({"max_length": 4}, "too short"),
        ({"window_overlap": 30}, "window overlap of 30"),
    ],
)
def test_lengths_that_do_not_fit(make_encoder, options, words):
    with pytest.raises(InputError, match=words):
        DocumentEncoder.from_pretrained(make_encoder("bert"), device="cpu", **options)


def _without(name):
    return lambda folder: (folder / name).unlink()


def _cut_short(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def _index_of_missing_shard(folder):
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_without("model.safetensors"), "has no weights"),
        (_without("config.json"), "is not a checkpoint folder"),
        (_without("tokenizer.json"), "has no tokenizer"),
        (_cut_short, "the weights are cut short"),
        (lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs"), "not a safetensors file"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "modules.json").write_text("[]"), "lists no modules"),
        (_index_of_missing_shard, "part of the weights is missing"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "no-such"}'), "no encoder can be loaded"),
    ],
)
def test_damaged_checkpoints(make_encoder, tmp_path, damage, words):
    folder = tmp_path / "checkpoint"
    shutil.copytree(make_encoder("bert"), folder)
    damage(folder)
    with pytest.raises(InputError, match=words) as caught:
        DocumentEncoder.from_pretrained(folder, device="cpu")
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_checkpoint(tmp_path, make_encoder, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "notes.csv").write_text("text\n")
    run = tmp_path / "run"
    shutil.copytree(make_encoder("bert"), run / "checkpoint-20")
    for name, words in (
        (tmp_path / "nowhere", "no such checkpoint folder"),
        ("some-hospital/encoder-that-is-not-there", "HF_HUB_OFFLINE"),
        (tmp_path / "notes.csv", "is a file"),
        (run, "did you mean .*checkpoint-20"),
    ):
        with pytest.raises(InputError, match=words):
            DocumentEncoder.from_pretrained(name)


def test_embeddings_of_a_diverged_model_are_refused(make_encoder):
    import torch

    encoder = DocumentEncoder.from_pretrained(make_encoder("bert"), device="cpu")
    next(encoder.model.parameters()).data.fill_(torch.nan)
    with pytest.raises(InputError, match="embeddings that are not finite"):
        encoder.encode(["no fever"])


def test_freed_memory_goes_back_after_many_documents(make_encoder, monkeypatch):
    released = []
    monkeypatch.setattr("modeling.document_encoder.RELEASED_AFTER", 10)
    monkeypatch.setattr("modeling.document_encoder.release_freed_memory", lambda: released.append(1))
    encoder = DocumentEncoder.from_pretrained(make_encoder("bert"), device="cpu")
    for documents, times in ((4, 0), (4, 0), (4, 1), (9, 1), (1, 2)):
        encoder.encode(["fever"] * documents)
        assert len(released) == times


def test_memory_is_given_back_where_the_c_library_can(monkeypatch):
    release_freed_memory()
    monkeypatch.setattr("modeling.freed_memory._trim", lambda: None)
    release_freed_memory()
