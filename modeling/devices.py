"""Whether a device that a user names can be computed on."""

from __future__ import annotations

from corpora.errors import InputError


def check_device(name: str | None) -> None:
    """Look whether a device is there and works; None, whatever is best, always is.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, ...

    Raises:
        InputError: There is none of this name, or this torch cannot use it.
    """
    if name is None:
        return
    import torch

    try:
        # A number that comes back: a device without memory of its own ("meta") can make tensors, too.
        torch.zeros(1, device=name).item()
    # A torch that was built without a kind of device fails an assertion, or misses a module.
    except (RuntimeError, AssertionError, ImportError) as error:
        raise InputError(f"--device {name} cannot be used here", remedy="give cpu, or leave it out") from error
