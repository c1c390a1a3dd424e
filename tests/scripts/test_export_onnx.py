"""Exports equal their checkpoints, or nothing is written."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import deployed_models
import export_onnx
import modeling.onnx_export
from collators.reading import ReadingPlan, read_document
from corpora.errors import InputError
from modeling.document_encoder import DocumentEncoder
from modeling.exported_model import ExportedModel, missing_packages
from modeling.note_classifier import NoteClassifier
from modeling.sentence_transformers_files import write_sentence_transformers_files

_GRAPHS = {}
ATTENTION = {"task": "ordinal", "window_pooling": "attention", "pooling": "cls", "head": "linear"}
LABELS = ["Cardiology", "Neurology", "Renal"]
ROOT = Path(__file__).resolve().parents[2]
needs_onnx = pytest.mark.skipif(bool(missing_packages(export_onnx.PACKAGES)), reason="the extra onnx is not installed")
needs_openvino = pytest.mark.skipif(bool(missing_packages(["openvino"])), reason="the extra openvino is not installed")


@pytest.fixture(scope="module")
def texts(notes):
    """Short and long documents: the windows hold 64 tokens."""
    return ["fever", "chest pain today", *notes["text"][:5]]


@pytest.fixture
def save_encoder(make_model, tmp_path):
    """Save a tiny encoder with sentence-transformers files; return its folder."""

    def save(family="bert"):
        model, tokenizer = make_model(family)
        for parameter in model.parameters():
            if parameter.dim() > 1:  # spread, so that embeddings of different documents differ
                torch.nn.init.normal_(parameter, std=0.4)
        folder = tmp_path / f"{family}-encoder"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_sentence_transformers_files(folder, 16, 64)
        return folder

    return save


@pytest.fixture
def save_classifier(save_encoder, tmp_path):
    """Save a tiny classifier with a head that has an opinion; return its folder."""

    def save(family="bert", **settings):
        folder = save_encoder(family)
        torch.manual_seed(0)
        model = NoteClassifier.from_encoder(folder, LABELS, **settings)
        for name, parameter in model.named_parameters():
            if not name.startswith("encoder.") and parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=2.0 if model.config.head == "tanh" else 0.3)
        folder = tmp_path / f"{family}-classifier"
        model.save_pretrained(folder)
        model.tokenizer().save_pretrained(folder)
        return folder

    return save


@pytest.fixture
def graphs_written_once(monkeypatch):
    """Copy a graph where the same weights have been exported before: that takes ten seconds on a slow core."""
    write = modeling.onnx_export._write_graph

    def write_or_copy(module, example, inputs, outputs, file):
        read = [tensor for name, tensor in module.state_dict().items() if "pooler" not in name]
        weights = b"".join(tensor.numpy().tobytes() for tensor in read)
        key = (type(module).__name__, getattr(getattr(module.model, "config", None), "pooling", None), weights)
        if key not in _GRAPHS:
            sizes = write(module, example, inputs, outputs, file)
            _GRAPHS[key] = (file.read_bytes(), sizes)
        file.write_bytes(_GRAPHS[key][0])
        return _GRAPHS[key][1]

    monkeypatch.setattr(modeling.onnx_export, "_write_graph", write_or_copy)


def _plain_session(folder):
    """The graph as a user of ONNX Runtime alone would run it."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])


@needs_onnx
def test_an_encoder_of_each_family_is_exported_with_its_pooling(
    save_encoder, family, texts, tmp_path, capsys, graphs_written_once
):
    folder, output = save_encoder(family), tmp_path / "deep" / "out"
    export_onnx.main([str(folder), "--output", str(output)])
    assert "least 1.0000" in capsys.readouterr().out
    encoder = DocumentEncoder.from_pretrained(folder, device="cpu")
    exported = ExportedModel(output, threads=1)
    expected = encoder.encode(texts)
    np.testing.assert_allclose(exported.encode(texts, batch_size=2), expected, rtol=1e-3, atol=1e-4)
    assert np.abs(np.corrcoef(expected)[np.triu_indices(len(texts), 1)]).max() < 0.999  # the comparison can fail
    # Without our code: any batch and length, padding on the right.
    rows = encoder.tokenizer(texts[:2], padding=True, return_tensors="np")
    feeds = {name: rows[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
    found = _plain_session(output).run(["sentence_embedding"], feeds)[0]
    np.testing.assert_allclose(found, expected[:2], rtol=1e-3, atol=1e-4)
    with pytest.raises(InputError, match="no head"):
        exported.predict(texts)
    assert exported.encode([]).shape == (0, 16)
    description = json.loads((output / "onnx_export.json").read_text())
    assert description["schema_version"] == 1 and description["pooling"] == "mean"
    assert description["outputs"]["sentence_embedding"] == {"shape": ["batch", 16], "type": "float32"}
    assert description["check"]["cosine_min"] > 0.9999
    assert sorted(file.name for file in output.parent.iterdir()) == ["out"]


@needs_onnx
@pytest.mark.parametrize(
    "settings",
    [{"task": "multi_label", "window_overlap": 8, "max_windows": 2, "pooling": "max"}, ATTENTION],
    ids=["multi_label", "attention"],
)
def test_a_classifier_reads_whole_documents_as_before(save_classifier, settings, texts, tmp_path, graphs_written_once):
    folder, output = save_classifier(**settings), tmp_path / "out"
    export_onnx.main([str(folder), "--output", str(output)])
    model = NoteClassifier.from_pretrained(folder).eval()
    exported = ExportedModel(output, threads=1)
    expected = model.predict(texts)
    np.testing.assert_allclose(exported.predict(texts, batch_size=2), expected, atol=1e-4)
    assert expected.std(axis=0).max() > 0.03  # documents differ
    np.testing.assert_allclose(exported.encode(texts), export_onnx.embeddings_of(model, texts), rtol=1e-3, atol=1e-4)
    # Documents of one window need the one graph alone.
    rows = model.tokenizer()(texts[:2], padding=True, return_tensors="np")
    feeds = {name: rows[name].astype(np.int64) for name in ("input_ids", "attention_mask")}
    logits = torch.from_numpy(_plain_session(output).run(["logits"], feeds)[0])
    np.testing.assert_allclose(model.probabilities(logits).numpy(), expected[:2], atol=1e-4)
    assert exported.predict([]).shape == (0, 3)
    description = json.loads((output / "onnx_export.json").read_text())
    assert description["labels"] == LABELS and description["check"]["probability_difference_max"] < 1e-3


@needs_onnx
def test_an_adapter_is_merged(save_classifier, texts, tmp_path):
    from modeling.adapters import add_lora, merged

    base, output = save_classifier(), tmp_path / "out"
    adapted = add_lora(NoteClassifier.from_pretrained(base), rank=2)
    torch.manual_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(tmp_path / "adapter")
    model = merged(adapted).eval()
    model.tokenizer().save_pretrained(tmp_path / "adapter")
    export_onnx.main([str(tmp_path / "adapter"), "--output", str(output)])
    found = ExportedModel(output).predict(texts)
    np.testing.assert_allclose(found, model.predict(texts), atol=1e-4)
    assert np.abs(found - NoteClassifier.from_pretrained(base).predict(texts)).max() > 0.01


@needs_onnx
@needs_openvino
def test_openvino_agrees_and_reports_to_nobody(save_classifier, texts, tmp_path, graphs_written_once):
    folder, output = save_classifier(**ATTENTION), tmp_path / "out"
    export_onnx.main([str(folder), "--output", str(output)])
    np.save(tmp_path / "expected.npy", NoteClassifier.from_pretrained(folder).predict(texts))
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    program = (
        "import json, sys, numpy as np\n"
        "from modeling.exported_model import ExportedModel\n"
        "model = ExportedModel('out', 'openvino', threads=1)\n"
        "found = model.predict(json.load(open('texts.json')))\n"
        "tolerance = 1e-4 if model.precision == 'float32' else 0.05\n"
        "np.testing.assert_allclose(found, np.load('expected.npy'), atol=tolerance)\n"
        "assert sys.modules['openvino_telemetry'] is None and 'torch' not in sys.modules\n"
        "assert 'transformers' not in sys.modules"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-2000:]


@needs_onnx
def test_smaller_types_pass_their_bounds_or_write_nothing(
    save_encoder, texts, tmp_path, monkeypatch, graphs_written_once
):
    folder, sizes = save_encoder("bert"), {}
    expected = DocumentEncoder.from_pretrained(folder, device="cpu").encode(texts)
    monkeypatch.setitem(export_onnx.BOUNDS, "int8", (0.9, None))
    for kind, option in (("float32", []), ("float16", ["--dtype", "float16"]), ("int8", ["--quantize", "int8"])):
        export_onnx.main([str(folder), "--output", str(tmp_path / kind), *option])
        cosines = export_onnx.cosine(expected, ExportedModel(tmp_path / kind).encode(texts))
        assert cosines.min() > export_onnx.BOUNDS[kind][0]
        sizes[kind] = (tmp_path / kind / "model.onnx").stat().st_size
    assert sizes["float16"] < sizes["float32"] and cosines.min() < 0.99999  # int8 is no copy
    monkeypatch.setitem(export_onnx.BOUNDS, "int8", (0.9999999, None))
    with pytest.raises(InputError, match=r"int8 export differs .* least cosine 0\.9\d+, below 0\.9999999; leave out"):
        export_onnx.main([str(folder), "--output", str(tmp_path / "new" / "out"), "--quantize", "int8"])
    assert not (tmp_path / "new").exists()


@needs_onnx
def test_a_graph_that_computes_something_else_is_refused(save_encoder, tmp_path, monkeypatch):
    forward = modeling.onnx_export._EncoderGraph.forward

    def without_mask(self, input_ids, attention_mask):
        # The mask stays an input of the graph; padding is read as if it were text.
        return forward(self, input_ids, (attention_mask + 1).clamp(max=1))

    monkeypatch.setattr(modeling.onnx_export._EncoderGraph, "forward", without_mask)
    with pytest.raises(InputError, match="float32 export differs"):
        export_onnx.main([str(save_encoder()), "--output", str(tmp_path / "out")])
    assert not list(tmp_path.glob("out*"))


@needs_onnx
def test_an_earlier_export_stays_until_the_next_is_whole(save_encoder, tmp_path, monkeypatch, graphs_written_once):
    folder, output = save_encoder(), tmp_path / "out"
    export_onnx.main([str(folder), "--output", str(output)])
    before = (output / "model.onnx").read_bytes()
    with pytest.raises(InputError, match="holds an export; choose another, or pass --overwrite"):
        export_onnx.main([str(folder), "--output", str(output)])

    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export_onnx, "compare", full_disk)
        with pytest.raises(OSError, match="No space"):
            export_onnx.main([str(folder), "--output", str(output), "--overwrite"])
    assert (output / "model.onnx").read_bytes() == before
    export_onnx.main([str(folder), "--output", str(output), "--overwrite", "--dtype", "float16"])
    assert json.loads((output / "onnx_export.json").read_text())["dtype"] == "float16"
    assert [file.name for file in tmp_path.glob("out*")] == ["out"]


def test_missing_packages_are_named_with_the_extra(save_encoder, tmp_path, monkeypatch):
    found = {"onnx", "onnxscript"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in found else None)
    with pytest.raises(InputError, match=r'needs onnxruntime; pip install -e "\.\[onnx\]"'):
        export_onnx.main([str(save_encoder()), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_what_a_user_can_get_wrong(save_encoder, tmp_path, monkeypatch, run_script):
    monkeypatch.setattr(export_onnx, "check_packages", lambda: None)
    folder = save_encoder()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    (tmp_path / "file").write_bytes(b"")
    for arguments, message in (
        ([str(tmp_path / "nowhere"), "--output", "out"], "no such checkpoint"),
        ([str(folder), "--output", str(tmp_path / "photos")], "files that are not of an export"),
        ([str(folder), "--output", str(tmp_path / "file")], "is a file, not a folder"),
        ([str(folder), "--output", "out", "--dtype", "float16", "--quantize", "int8"], "exclude each other"),
    ):
        with pytest.raises(InputError, match=message):
            export_onnx.main(arguments)
    result = run_script("export_onnx", "--help")
    assert result.returncode == 0 and "--quantize" in result.stdout
    adapter = tmp_path / "adapter"
    shutil.copytree(folder, adapter)
    (adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="does not name its base"):
        deployed_models.DeployedCheckpoint(str(adapter))
    for content, message in (
        (None, "is not an export"),
        ("[]", "is not the description"),
        ('{"schema_version": 9}', "version 9, not 1"),
    ):
        if content is not None:
            (tmp_path / "photos" / "onnx_export.json").write_text(content)
        with pytest.raises(InputError, match=message):
            ExportedModel(tmp_path / "photos")


def test_an_adapter_of_an_encoder_is_merged_or_stays_beside(save_encoder, texts, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel, AutoTokenizer

    base = save_encoder()
    adapted = get_peft_model(AutoModel.from_pretrained(base), LoraConfig(r=2, target_modules=["query", "value"]))
    torch.manual_seed(0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(tmp_path / "adapter")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.save_pretrained(tmp_path / "adapter")
    with torch.no_grad():
        rows = tokenizer(texts[1], return_tensors="pt")
        expected = adapted.eval()(**rows)[0].mean(1).numpy()
        plain = AutoModel.from_pretrained(base).eval()(**rows)[0].mean(1).numpy()
    assert np.abs(expected - plain).max() > 0.01
    checkpoint = deployed_models.DeployedCheckpoint(str(tmp_path / "adapter"))
    assert not checkpoint.is_classifier() and "+" in checkpoint.digest()
    np.testing.assert_allclose(checkpoint.load_encoder().encode(texts[1:2]), expected, atol=1e-5)
    for merge in (True, False):
        model = checkpoint.load_classifier(LABELS, merge=merge)
        np.testing.assert_allclose(export_onnx.embeddings_of(model, texts[1:2]), expected, atol=1e-5)
        assert any("lora_A" in name for name, _ in model.named_parameters()) is not merge


@pytest.mark.parametrize("method", ["lora", "dora", "ia3", "ln_tuning"])
def test_adapters_of_a_classifier_are_merged_or_stay_beside(save_classifier, texts, tmp_path, method):
    from modeling.adapters import add_adapter

    base = save_classifier(task="ordinal")
    adapted = add_adapter(NoteClassifier.from_pretrained(base), method, rank=2)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:  # the head and its thresholds too
                parameter.add_(0.3 * torch.randn_like(parameter))
    adapted.save_pretrained(tmp_path / "adapter")
    classifier = adapted.get_base_model().eval()
    classifier.tokenizer().save_pretrained(tmp_path / "adapter")
    expected = classifier.predict(texts)
    assert np.abs(expected - NoteClassifier.from_pretrained(base).predict(texts)).max() > 0.01
    checkpoint = deployed_models.DeployedCheckpoint(str(tmp_path / "adapter"))
    assert checkpoint.adapter_kind == method
    weights = set(NoteClassifier.from_pretrained(base).state_dict())
    for merge in (True, False):
        model = checkpoint.load_classifier(LABELS, merge=merge)
        np.testing.assert_allclose(model.predict(texts), expected, atol=1e-5)
        assert (set(model.state_dict()) == weights) is merge


def test_an_adapter_of_another_kind_of_model_is_refused(save_classifier, make_model, tmp_path):
    from modeling.adapters import add_lora

    base = save_classifier()
    model, tokenizer = make_model("bert")
    adapted = add_lora(model, rank=2)  # of a masked language model: other names
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(tmp_path / "adapter")
    tokenizer.save_pretrained(tmp_path / "adapter")
    with pytest.raises(InputError, match="adapter"):
        deployed_models.DeployedCheckpoint(str(tmp_path / "adapter")).load_classifier([])


@pytest.mark.parametrize(
    "plan",
    [
        ReadingPlan("windows", 12),
        ReadingPlan("windows", 12, overlap=4),
        ReadingPlan("windows", 12, overlap=3, max_windows=3),
        ReadingPlan("head", 12),
        ReadingPlan("head_tail", 12),
    ],
    ids=str,
)
def test_windows_are_those_of_the_classifier(plan):
    exported = ExportedModel.__new__(ExportedModel)
    exported.description = {
        "windows": {"reading": plan.reading, "overlap": plan.overlap, "max_windows": plan.max_windows}
    }
    exported._room, exported._prompt = plan.length - 2, []
    for length in (0, 1, 9, 10, 11, 16, 57, 100):
        found = exported._windows(7, list(range(length)))
        assert [list(window.ids) for window in found] == [
            part.tolist() for part in read_document(np.arange(length), plan, special_tokens=2)
        ]
        assert all(window.weight == max(1, len(window.ids)) and window.document == 7 for window in found)


def test_cosine_and_synthetic_texts():
    first, second = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 2.0], [3.0, 3.0]])
    np.testing.assert_allclose(export_onnx.cosine(first, second), [0.0, 1.0])
    texts = export_onnx.synthetic_texts((1, 30, 500))
    assert [len(text.split()) for text in texts] == [1, 30, 500]
    assert texts == export_onnx.synthetic_texts((1, 30, 500))
