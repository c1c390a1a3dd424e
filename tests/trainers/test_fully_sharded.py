"""Under FSDP two processes train and export the model that one process alone does."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, TrainingArguments

import pretrain
from corpora.errors import InputError
from trainers.fully_sharded import check_plugin

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import json, os, sys
from pathlib import Path
import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from datasets import load_from_disk
from transformers import AutoModelForMaskedLM, AutoTokenizer
from collators import cut_into_rows, keep_long_enough, tokenize_documents
from corpora.errors import InputError
from modeling.adapters import add_lora
from trainers import (
    DeclutrArguments, DeclutrTrainer, MlmArguments, MlmTrainer, NoteCategoryArguments, NoteCategoryTrainer
)
from trainers.space_callback import SpaceCallback

folder, processes = Path(sys.argv[1]), int(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(folder / "bert")
tokenized = tokenize_documents(load_from_disk(str(folder / "notes")), tokenizer)
prepare = AcceleratorState.__init__


def sharded_on_cpu(self, *arguments, fsdp_plugin=None, **options):
    # What accelerate does for processes with a GPU each. torch can shard on CPUs.
    prepare(self, *arguments, fsdp_plugin=fsdp_plugin, **options)
    if fsdp_plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        if self._mixed_precision != "no":
            fsdp_plugin.set_mixed_precision(self._mixed_precision)
        self.fsdp_plugin = fsdp_plugin


def make(case, output, **options):
    accumulation = 2 if case in ("accumulated", "cached_heads") else 1
    arguments = dict(
        output_dir=str(output), use_cpu=True, disable_tqdm=True, max_steps=2, logging_steps=1, save_strategy="no",
        per_device_train_batch_size=8 // processes // accumulation, gradient_accumulation_steps=accumulation,
        # So large an epsilon that no step is the sign of a gradient's rounding error.
        learning_rate=1.0, adam_epsilon=1.0, weight_decay=0.1, lr_scheduler_type="linear", max_grad_norm=1.0,
        per_device_eval_batch_size=4 // processes,
    ) | options
    if case == "bf16":
        os.environ |= recipe if processes > 1 else {"ACCELERATE_MIXED_PRECISION": "bf16"}
    elif processes > 1:
        arguments |= dict(fsdp=True)
    model = AutoModelForMaskedLM.from_pretrained(folder / "bert")
    spans, _ = keep_long_enough(tokenized, 16)
    if case in ("mlm", "bf16", "lora"):
        if case == "lora":
            model = add_lora(model, 2)
        arguments |= dict(head_warmup_steps=1, head_learning_rate=0.5)
        rows = cut_into_rows(tokenized, tokenizer, 32, concatenate=False)
        return MlmTrainer(model, MlmArguments(**arguments), processing_class=tokenizer, train_dataset=rows)
    if case == "note_category":
        arguments |= dict(
            category_loss="cross_entropy", max_length=24, eval_strategy="steps", eval_steps=1, save_strategy="steps",
            save_steps=1, load_best_model_at_end=True, metric_for_best_model="loss", greater_is_better=True,
        )
        return NoteCategoryTrainer(
            model, NoteCategoryArguments(**arguments), processing_class=tokenizer, train_dataset=tokenized,
            eval_dataset=tokenized.select(range(8)),
        )
    if case == "cached_heads":
        arguments |= dict(contrastive_mini_batch_tokens=120, category_columns=["note_category"])
        arguments |= dict(category_loss="supcon", supcon_projection_size=8)
        arguments |= dict(cross_batch_memory=20, cross_batch_memory_start=1)
    # Each layer's second forward pass gathers its weights again.
    arguments |= dict(gradient_checkpointing=case == "accumulated")
    arguments |= dict(min_span_length=8, max_span_length=24, mlm_weight=1.0)
    trainer = DeclutrTrainer(
        model, DeclutrArguments(**arguments), processing_class=tokenizer, train_dataset=spans,
        eval_dataset=spans.select(range(4)),
    )
    trainer.chunk_tokens = 60  # several chunks, of which the processes need different numbers
    return trainer


def refused(problem, action, *arguments, **options):
    try:
        action(*arguments, **options)
    except InputError as error:
        assert problem in str(error), error
    else:
        raise AssertionError(f"accepted: {problem}")


cases, recipe = json.loads(sys.argv[3]), json.loads(sys.argv[4])
if processes > 1:
    refused("FSDP needs GPUs", make, "mlm", folder / "refused")
    AcceleratorState.__init__ = sharded_on_cpu
    refused("LoRA", make, "lora", folder / "refused")
for case in cases:
    output = folder / f"{case}-{processes}"
    saved = dict(save_strategy="steps", save_steps=1) if case == "cached_heads" else {}
    trainer = make(case, output / "run", **saved)
    trainer.train()
    scores = trainer.evaluate() if trainer.eval_dataset is not None else {}
    if processes > 1:
        assert trainer.accelerator.is_fsdp2
        sizes = [len(parameter.to_local()) for parameter in trainer.optimizer.param_groups[0]["params"]]
        assert sum(sizes) < 0.75 * sum(len(one) for one in trainer.optimizer.param_groups[0]["params"])
        if case == "mlm":
            refused("--log_space", SpaceCallback, trainer, tokenized)
    trainer.export(output)
    if trainer.is_world_process_zero():
        logs = [line for line in trainer.state.log_history if "loss" in line]
        (output / "logs.json").write_text(json.dumps({"logs": logs, "scores": scores}))
    if saved and processes > 1:
        trainer = make(case, folder / "other", **saved)
        trainer.train(resume_from_checkpoint=str(output / "run" / "checkpoint-1"))
        trainer.export(folder / f"{case}-resumed")
if processes > 1:
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
"""
# Besides the objectives: gradients accumulated, cached with heads, best weights restored.
CASES = ["mlm", "accumulated", "cached_heads", "note_category"]


@pytest.fixture(scope="module")
def folder(make_model, notes, run_forked, run_ranks, tmp_path_factory):
    """Train every case in one process and, under FSDP, in two."""
    folder = tmp_path_factory.mktemp("sharded")
    model, tokenizer = make_model("bert")
    model.save_pretrained(folder / "bert")
    tokenizer.save_pretrained(folder / "bert")
    short = notes.select(range(16)).map(
        lambda note, number: {"text": " ".join(note["text"].split()[:20]) if number % 3 == 0 else note["text"]},
        with_indices=True,
    )
    short.save_to_disk(folder / "notes")
    (folder / "program.py").write_text(PROGRAM)
    recipe = json.dumps(launched_with("gpus_fsdp_bf16.yaml"))
    run_forked(folder / "program.py", folder, 1, json.dumps([*CASES, "bf16"]), "{}")
    for cases in (CASES[:2], [*CASES[2:], "bf16"]):  # one after another, for a fork has to end in time
        run_ranks(folder / "program.py", folder, 2, json.dumps(cases), recipe)
    return folder


def launched_with(recipe):
    """Return what `accelerate launch` sets in the environment of the processes of a recipe."""
    words = ["--config_file", str(ROOT / "recipes" / "accelerate" / recipe), "pretrain.py"]
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(words))
    environment = prepare_multi_gpu_env(arguments)
    return {name: value for name, value in environment.items() if name.startswith(("ACCELERATE_", "FSDP_"))}


def weights(folder):
    found = load_file(folder / "model.safetensors")
    heads = folder / "category_heads" / "model.safetensors"
    return found | ({f"heads.{name}": one for name, one in load_file(heads).items()} if heads.is_file() else {})


@pytest.mark.parametrize("case", CASES)
def test_the_exported_folder_is_that_of_one_process(folder, case):
    one, two = weights(folder / f"{case}-1"), weights(folder / f"{case}-2")
    assert set(one) == set(two)
    start = AutoModelForMaskedLM.from_pretrained(folder / "bert").state_dict()
    moved = 0.0
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)
        moved = max(moved, float((value - start[name]).abs().max())) if name in start else moved
    assert moved > 0.02
    assert {file.name for file in (folder / f"{case}-1").iterdir()} == {
        file.name for file in (folder / f"{case}-2").iterdir()
    }
    one, two = (json.loads((folder / f"{case}-{count}" / "logs.json").read_text()) for count in (1, 2))
    for first, second in [*zip(one["logs"], two["logs"], strict=True), (one["scores"], two["scores"])]:
        for name in [name for name in first if name.endswith(("loss", "norm", "accuracy", "_macro", "learning_rate"))]:
            assert second[name] == pytest.approx(first[name], rel=1e-3, abs=1e-5), name


def test_a_resumed_run_ends_with_the_same_weights(folder):
    expected, found = weights(folder / "cached_heads-2"), weights(folder / "cached_heads-resumed")
    assert set(found) == set(expected)
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ({"fsdp_version": 1}, "version 1"),
        ({"state_dict_type": "StateDictType.SHARDED_STATE_DICT"}, "shards"),
        ({"cpu_ram_efficient_loading": True}, "one process alone"),
        ({"activation_checkpointing": True}, "dropout"),
    ],
)
def test_settings_that_would_break_a_run_are_refused(setting, problem):
    fit = {"fsdp_version": 2, "state_dict_type": "StateDictType.FULL_STATE_DICT", "cpu_ram_efficient_loading": False}
    fit |= {"activation_checkpointing": False, "mixed_precision_policy": None}
    check_plugin(SimpleNamespace(state=SimpleNamespace(fsdp_plugin=SimpleNamespace(**fit))))
    with pytest.raises(InputError, match=problem):
        check_plugin(SimpleNamespace(state=SimpleNamespace(fsdp_plugin=SimpleNamespace(**fit | setting))))


def test_what_fsdp_cannot_do_is_refused_before_the_notes_are_read(make_encoder, tmp_path, monkeypatch):
    notes, run = tmp_path / "notes.jsonl", tmp_path / "run"
    notes.write_text("no JSON")
    command = ["--objective", "mlm", "--train_file", str(notes), "--output_dir", str(run), "--use_cpu"]
    command += ["--model_name_or_path", str(make_encoder("bert"))]
    with monkeypatch.context() as launched:
        launched.setenv("ACCELERATE_USE_FSDP", "true")
        with pytest.raises(InputError, match="one process runs"):
            pretrain.main(command)
        launched.setattr(TrainingArguments, "world_size", 2)
        refused = {"--lora_rank 4": "LoRA", "--log_space 8": "log_space", "--torch_compile": "torch_compile"}
        for options, problem in refused.items():
            with pytest.raises(InputError, match=problem):
                pretrain.main([*command, *options.split()])
    with pytest.raises(InputError, match="JSON"):
        pretrain.main([*command, "--lora_rank", "4"])
    assert not run.exists()


def test_bf16_by_the_recipe_is_as_near_as_bf16_gets(folder):
    one, two = weights(folder / "bf16-1"), weights(folder / "bf16-2")
    for name, value in one.items():
        assert two[name].dtype == torch.float32
        torch.testing.assert_close(two[name], value, rtol=0.05, atol=0.02)
