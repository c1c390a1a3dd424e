"""An encoder's layers compiled one by one (`torch.compile`), for batches of any shape."""

from __future__ import annotations

from transformers import PreTrainedModel

from corpora.errors import InputError
from modeling.encoder_layers import layer_list


def compile_layers(model: PreTrainedModel, backend: str, mode: str | None = None) -> int:
    """Compile the layers of an encoder in place; names and saved weights stay as they are.

    Sizes are symbols, so that one graph serves batches of every length and number of rows. The rest of the model runs
    as before: what is chosen for the head differs from batch to batch, and a compiled model would not see the hook
    that does it.

    Args:
        model: An encoder or a masked language model.
        backend: Of `torch.compile`: `inductor`, `aot_eager`, ...
        mode: Of `torch.compile`: `default`, `reduce-overhead`, `max-autotune`.

    Returns:
        How many layers.

    Raises:
        InputError: The encoder's layers cannot be told apart.
    """
    try:
        parent, name = layer_list(model.base_model)
    except InputError as error:
        raise InputError(error.problem, remedy="leave out --torch_compile") from error
    layers = getattr(parent, name)
    for layer in layers:
        layer.compile(backend=backend, mode=mode, dynamic=True)
    return len(layers)
