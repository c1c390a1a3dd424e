"""Devices that are there and that are not."""

import pytest
import torch

from corpora.errors import InputError
from modeling.devices import check_device


def test_devices_that_work_pass():
    for name in (None, "cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        check_device(name)


@pytest.mark.parametrize("name", ["nonsense", "meta", "cuda:99"])
def test_devices_that_do_not_are_told(name):
    with pytest.raises(InputError, match=f"^--device {name} cannot be used here; give cpu, or leave it out$"):
        check_device(name)
