"""The arithmetic of docs/scaling.md: against values worked out by hand, and against the page."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import torch
from transformers import RobertaConfig, RobertaForMaskedLM

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def plan():
    spec = importlib.util.spec_from_file_location("scaling_plan", ROOT / "benchmarks" / "scaling_plan.py")
    module = sys.modules["scaling_plan"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["scaling_plan"]


def test_parameters_are_those_of_the_model(plan):
    encoder = plan.Encoder(layers=2, hidden_size=32, intermediate_size=48, vocabulary=101, positions=66)
    config = RobertaConfig(
        vocab_size=101,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=66,
        type_vocab_size=1,
    )
    with torch.device("meta"):
        model = RobertaForMaskedLM(config)
    assert encoder.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert plan.Encoder().parameters == 124_697_433  # roberta-base


def test_operations_worked_out_by_hand(plan):
    encoder = plan.Encoder()
    # A layer: 4 x 768 x 768 + 2 x 768 x 3,072 = 7,077,888.
    assert encoder.matrices == 12 * 7_077_888 == 84_934_656
    # 6 x 84,934,656 = 509,607,936; 12 x 12 x 768 x 512 = 56,623,104; 0.15 x 6 x 768 x (768 + 50,265) = 35,274,009.6.
    assert encoder.flops_a_token(512, 0.15) == pytest.approx(601_505_049.6, rel=1e-12)


def test_a_step_worked_out_by_hand(plan):
    hardware = plan.Hardware(ports_a_machine=1)
    step = plan.predict(plan.mlm(), plan.Encoder(), hardware, 64)
    # 2 x 63/64 x 4 x 124,697,433 bytes at 0.8 x 50 GB/s, and 50 microseconds.
    assert step.all_reduce_bytes == pytest.approx(981_992_284.875, rel=1e-9)
    assert step.all_reduce == pytest.approx(981_992_284.875 / 40e9 + 50e-6, rel=1e-9)
    # 8,192 x 601.505 MFLOP at 0.35 x 989 TFLOP/s; two thirds of it are backward, and hide as much of the above.
    assert step.compute == pytest.approx(14.2353e-3, rel=1e-4)
    assert step.exposed == pytest.approx(24.5998e-3 - 2 / 3 * 14.2353e-3, rel=1e-4)
    inside = plan.predict(plan.mlm(), plan.Encoder(), hardware, 8)
    assert inside.all_reduce == pytest.approx(2 * 7 / 8 * 498_789_732 / 360e9 + 10e-6, rel=1e-9)
    assert inside.exposed == pytest.approx(0.1 * inside.all_reduce, rel=1e-9)


def test_the_contrastive_part_worked_out_by_hand(plan):
    job = plan.declutr(16)
    # Spans of 173.33 + 2 and 90.67 + 2 tokens on average, two and four a document.
    assert job.tokens == pytest.approx(16 * (2 * (520 / 3 + 2) + 4 * (272 / 3 + 2)))
    step = plan.predict(job, plan.Encoder(), plan.Hardware(), 64)
    # 32 anchors and their positives of each process: 4,096 rows of 768 numbers of 4 bytes, 63/64 of them from others;
    # and their gradient, which passes twice.
    assert step.matrix_side == 4096 and step.gather_bytes == 3 * (63 / 64 * 4096 * 768 * 4)
    assert step.matrix_bytes == 23 * 64 * 4096
    alone = plan.predict(job, plan.Encoder(), plan.Hardware(), 1)
    assert (alone.all_reduce, alone.exposed, alone.gather, alone.gather_bytes) == (0, 0, 0, 0)
    # Cached: a third of the encoder's operations once more, and the activations of one mini-batch.
    cached, plain = (
        plan.predict(plan.declutr(256, budget), plan.Encoder(), plan.Hardware(), 1) for budget in (16_384, None)
    )
    assert 1.29 < cached.compute / plain.compute < 4 / 3
    assert cached.memory < 0.2 * plain.memory


def test_fsdp_passes_more_than_an_all_reduce(plan):
    encoder = plan.Encoder()
    # 7/8 x 124,697,433 x (2 + 2 + 4) bytes, against 2 x 7/8 x 4: as many; of two passes twice as many.
    assert plan.fsdp_traffic(encoder, 8) == 872_882_031
    assert plan.fsdp_traffic(encoder, 8, 2) == 2 * 872_882_031


def test_the_page_shows_what_the_script_prints(plan, capsys):
    plan.main([])
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert len(printed) == 28 and not [line for line in printed if line not in page]
    for one in plan.fields(plan.Hardware):
        assert re.search(rf"`--{one.name}`", page), one.name


def test_other_hardware(plan, capsys):
    plan.main(["--gpus", "1", "2", "--peak_tflops", "100", "--mfu", "0.5", "--layers", "2"])
    printed = capsys.readouterr().out
    assert "With one port" not in printed and "| MLM, 16 x 512 tokens | 2 |" in printed
