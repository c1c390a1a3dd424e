"""Figures of models in use: torch backends; ONNX Runtime and OpenVINO where they are installed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import benchmark_inference
import export_onnx
import measure_inference
from corpora.errors import InputError
from modeling.exported_model import missing_packages
from modeling.note_classifier import NoteClassifier

SCRIPTS = Path(benchmark_inference.__file__).parent
needs_both = pytest.mark.skipif(
    bool(missing_packages([*export_onnx.PACKAGES, "openvino"])), reason="the extras onnx and openvino are not installed"
)


@pytest.fixture
def encoder(make_encoder):
    """Folder of a tiny encoder of 32 tokens."""
    return make_encoder("bert")


@pytest.fixture
def adapter(encoder, tmp_path):
    """A LoRA adapter on a classifier on that encoder, with matrices that change it."""
    from modeling.adapters import add_lora

    torch.manual_seed(0)
    model = NoteClassifier.from_encoder(encoder, ["A", "B"])
    model.save_pretrained(tmp_path / "base")
    model.tokenizer().save_pretrained(tmp_path / "base")
    adapted = add_lora(NoteClassifier.from_pretrained(tmp_path / "base"), rank=2)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    adapted.save_pretrained(tmp_path / "adapter")
    model.tokenizer().save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.fixture
def in_process(monkeypatch):
    """Do the jobs here rather than in processes that take seconds to start; return the jobs done."""
    jobs = []

    def run(command, *, input, **_):
        jobs.append(json.loads(input))
        return subprocess.CompletedProcess(
            command, 0, "a library's remark\n" + json.dumps(measure_inference.do(jobs[-1]))
        )

    monkeypatch.setattr(benchmark_inference.subprocess, "run", run)
    threads = torch.get_num_threads()
    yield jobs
    torch.set_num_threads(threads)


def _run(output, *arguments):
    small = ["--documents", "5", "--words", "4", "40", "--repeats", "2", "--threads", "1", "--batch_size", "2"]
    status = benchmark_inference.main([*small, "--output", str(output), *map(str, arguments)])
    return status, json.loads(output.read_text())


def test_an_encoder_is_measured_in_a_process_of_its_own(encoder, tmp_path, capsys):
    output = tmp_path / "new" / "figures.json"
    status, result = _run(output, "--models", f"frozen={encoder}", "--backends", "cuda_bf16", "torch_fp32")
    printed = capsys.readouterr()
    assert status == 0 and len(result["rows"]) == 1
    row = result["rows"][0]
    names = [row[name] for name in ("model", "kind", "backend", "precision")]
    assert names == ["frozen", "encoder + head", "torch_fp32", "float32"]
    assert 0 < row["latency_p50_ms"] <= row["latency_p95_ms"] and row["documents_per_second"] > 0
    assert row["cosine_min"] == pytest.approx(1, abs=1e-6)
    # The process holds torch; this one holds more, and its memory is not counted.
    assert 1e8 < row["peak_memory_bytes"] < 3e9
    classifier = NoteClassifier.from_encoder(encoder, benchmark_inference.LABELS)
    weights = sum(parameter.numel() * 4 for parameter in classifier.parameters())
    assert weights < row["size_bytes"] < weights + 20_000  # names and shapes
    assert result["documents"] == {"count": 5, "source": "synthetic", "words_mean": 92 / 5, "words_max": 40}
    assert result["machine"]["threads"] == 1 and result["schema_version"] == 1
    lines = printed.out.splitlines()
    assert lines[0].startswith("| model | kind | backend") and lines[2].startswith(
        "| frozen | encoder + head | torch_fp32 |"
    )
    if not torch.cuda.is_available():
        assert result["skipped"] == [{"model": None, "backend": "cuda_bf16", "reason": "there is no GPU"}]
        assert "skipped cuda_bf16: there is no GPU" in printed.err


def test_an_adapter_is_measured_merged_and_beside_the_weights(adapter, tmp_path, in_process):
    arguments = (
        "--models",
        f"lora={adapter}",
        f"base={adapter.parent / 'base'}",
        "--backends",
        "torch_bf16",
        "torch_fp32",
    )
    status, result = _run(tmp_path / "figures.json", *arguments)
    rows = {(row["model"], row["kind"], row["backend"]): row for row in result["rows"]}
    merged, beside = "classifier, LoRA merged", "classifier, LoRA beside"
    assert status == 0 and list(rows) == [
        ("lora", merged, "torch_fp32"),
        ("lora", beside, "torch_fp32"),
        ("lora", merged, "torch_bf16"),
        ("lora", beside, "torch_bf16"),
        ("base", "classifier", "torch_fp32"),
        ("base", "classifier", "torch_bf16"),
    ]
    assert rows["lora", beside, "torch_fp32"]["cosine_min"] == pytest.approx(1, abs=1e-5)
    assert 0.99 < rows["lora", merged, "torch_bf16"]["cosine_min"] < 1 - 1e-7
    assert rows["lora", merged, "torch_bf16"]["precision"] == "bfloat16"
    matrices = (adapter / "adapter_model.safetensors").stat().st_size
    plain = (adapter.parent / "base" / "model.safetensors").stat().st_size
    for backend in ("torch_fp32", "torch_bf16"):
        assert rows["base", "classifier", backend]["size_bytes"] == plain
        assert rows["lora", beside, backend]["size_bytes"] == plain + matrices
        assert rows["lora", merged, backend]["size_bytes"] == plain
    assert all(Path(job["embeddings"]).parent.exists() is False for job in in_process)  # deleted


def test_own_notes_are_read_and_stay_here(encoder, tmp_path, in_process, capsys, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    notes = [f"zebra{number} fever cough" for number in range(9)]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"report": note}) + "\n" for note in notes))
    arguments = ["--models", f"m={encoder}", "--backends", "torch_fp32", "--data", tmp_path / "notes.jsonl"]
    status, result = _run(tmp_path / "figures.json", *arguments, "--text_column", "report")
    assert status == 0 and result["documents"]["source"] == "own" and result["documents"]["words_max"] == 3
    assert len(set(in_process[0]["texts"])) == 5 and set(in_process[0]["texts"]) < set(notes)
    printed = capsys.readouterr()
    assert "zebra" not in printed.out + printed.err + (tmp_path / "figures.json").read_text()
    with pytest.raises(InputError, match=r"holds 9 documents; lower --documents"):
        _run(tmp_path / "other.json", *arguments, "--text_column", "report", "--documents", "10")
    assert not (tmp_path / "other.json").exists()


def test_what_is_missing_or_refused_is_named_and_skipped(encoder, tmp_path, in_process, capsys, monkeypatch):
    exported = []

    def refuse(checkpoint, folder, quantize=None):
        exported.append(quantize)
        raise InputError("the export differs")

    monkeypatch.setattr(benchmark_inference, "export", refuse)
    monkeypatch.setattr(
        benchmark_inference, "missing_packages", lambda names: [name for name in names if name == "openvino"]
    )
    backends = ["--backends", "onnx", "onnx_int8", "onnx", "openvino"]
    status, result = _run(tmp_path / "figures.json", "--models", f"m={encoder}", *backends)
    assert status == 0 and result["rows"] == [] and exported == [None, "int8"]
    assert [(part["model"], part["backend"], part["reason"]) for part in result["skipped"]] == [
        (None, "openvino", 'openvino not installed; pip install -e ".[onnx,openvino]"'),
        ("m", "onnx", "the export differs"),
        ("m", "onnx_int8", "the export differs"),
    ]
    assert capsys.readouterr().err.count("skipped ") == 3
    assert [job["measure"] for job in in_process] == [False]  # the reference alone


def test_a_backend_that_fails_is_named_and_changes_the_status(encoder, tmp_path, in_process, monkeypatch):
    run = benchmark_inference.subprocess.run

    def killed(command, *, input, **rest):
        if json.loads(input)["backend"] == "torch_bf16":
            return subprocess.CompletedProcess(command, -9, "")
        return run(command, input=input, **rest)

    monkeypatch.setattr(benchmark_inference.subprocess, "run", killed)
    arguments = ["--models", f"m={encoder}", "--backends", "torch_bf16", "torch_fp32"]
    status, result = _run(tmp_path / "figures.json", *arguments)
    assert status == 1 and [row["backend"] for row in result["rows"]] == ["torch_fp32"]
    assert result["skipped"] == [{"model": "m", "backend": "torch_bf16", "reason": "failed with status -9"}]


@needs_both
def test_exports_are_measured_beside_torch(encoder, tmp_path, in_process):
    arguments = ["--models", f"m={encoder}", "--backends", "torch_fp32", "onnx", "openvino"]
    status, result = _run(tmp_path / "figures.json", *arguments)
    assert status == 0 and [row["backend"] for row in result["rows"]] == ["torch_fp32", "onnx", "openvino"]
    assert [job["folder"].rpartition("/")[2] for job in in_process] == ["classifier", "float32", "float32"]
    assert result["rows"][1]["cosine_min"] > 0.99999 and result["rows"][2]["cosine_min"] > 0.99
    assert result["rows"][1]["precision"] == "float32" and result["rows"][1]["size_bytes"] > 0


def test_times_are_of_single_documents_and_of_batches():
    calls = []

    class Model:
        def predict(self, texts, batch_size):
            calls.append((list(texts), batch_size))

    texts = ["a", "b", "c", "d", "e"]
    found = measure_inference.measure(Model(), texts, batch_size=2, repeats=3)
    assert len(found["latency_ms"]) == 15 and found["documents_per_second"] > 0
    assert calls[:5] == [([text], 2) for text in texts[:4]] + [(texts[:4], 2)]  # not timed
    assert calls[5:20] == [([text], 2) for text in texts] * 3 and calls[20:] == [(texts, 2)] * 3


def test_peak_memory_is_that_of_the_process_alone():
    held = np.ones(40_000_000)  # 320 MB here must not count there
    program = (
        f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\n"
        "from measure_inference import peak_memory\n"
        "before = peak_memory(); block = bytearray(b'1') * 200_000_000; after = peak_memory(); del block\n"
        "print(before, after, peak_memory())"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    before, after, later = map(int, result.stdout.split())
    assert held.nbytes > 3e8 and before < 1e8
    assert 1.9e8 < after - before < 2.5e8 and later > after - 1e6


def test_what_a_user_can_get_wrong_at_once(encoder, tmp_path):
    for arguments, message in (
        (["--models", "no-name", "--output", "x.json"], "not of the form NAME=PATH"),
        (["--models", f"m={tmp_path / 'nowhere'}", "--output", "x.json"], "no such checkpoint"),
        (["--models", f"m={encoder}", "--output", str(tmp_path)], "is a folder"),
        (["--models", f"m={encoder}", "--output", "x.json", "--documents", "0"], "--documents is below 1"),
        (["--models", f"m={encoder}", "--output", "x.json", "--words", "5", "0"], "--words is below 1"),
        (["--models", f"m={encoder}", "--output", "x.json", "--backends", "tpu"], "backends"),
    ):
        with pytest.raises(InputError, match=message):
            benchmark_inference.main(arguments)
