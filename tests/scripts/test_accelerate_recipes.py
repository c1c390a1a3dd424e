"""The configurations for `accelerate launch` are read by accelerate itself, and start what they say."""

from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils import DistributedType

ROOT = Path(__file__).resolve().parents[2]
# File, its kind, processes, machines, precision, processes of its own by torchrun.
EXPECTED = {
    "single_gpu_bf16": ("NO", 1, 1, "bf16", False),
    "two_gpus_bf16": ("MULTI_GPU", 2, 1, "bf16", True),
    "gpus_ddp_bf16": ("MULTI_GPU", 8, 1, "bf16", True),
    "gpus_fsdp_bf16": ("FSDP", 8, 1, "bf16", True),
    "two_machines_bf16": ("MULTI_GPU", 16, 2, "bf16", True),
    "two_cpu_processes": ("MULTI_GPU", 2, 1, "no", True),
}


def test_every_configuration_is_expected():
    assert {file.stem for file in (ROOT / "recipes" / "accelerate").iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_accelerate_reads_it_and_knows_every_key(name):
    file = ROOT / "recipes" / "accelerate" / f"{name}.yaml"
    kind, processes, machines, precision, distributed = EXPECTED[name]
    config = load_config_from_file(str(file))  # raises at an unknown key
    assert config.distributed_type == DistributedType(kind)
    parser = launch_command_parser()
    # It does not look into the inner table.
    assert set(config.fsdp_config) <= {action.dest for action in parser._actions}
    command = ["--config_file", str(file), "--main_process_ip", "first", "pretrain.py", "--output_dir", "model"]
    arguments, *_ = _validate_launch_command(parser.parse_args(command))
    assert (arguments.num_processes, arguments.num_machines) == (processes, machines)
    assert arguments.mixed_precision == precision and not arguments.cpu
    assert (arguments.multi_gpu or arguments.use_fsdp) is distributed
    assert arguments.training_script_args == ["--output_dir", "model"]
    # The comment says how to start it.
    assert f"accelerate launch --config_file recipes/accelerate/{name}.yaml" in file.read_text(encoding="utf-8")


def test_the_configuration_of_fsdp_is_one_that_pretraining_accepts():
    file = ROOT / "recipes" / "accelerate" / "gpus_fsdp_bf16.yaml"
    settings = load_config_from_file(str(file)).fsdp_config
    assert settings["fsdp_version"] == 2 and settings["fsdp_state_dict_type"] == "FULL_STATE_DICT"
    assert not settings["fsdp_cpu_ram_efficient_loading"] and not settings["fsdp_activation_checkpointing"]
