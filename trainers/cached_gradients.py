"""Cached gradients: a contrastive loss over many embeddings, with the activations of one mini-batch in memory.

GradCache (Gao et al. 2021, arXiv 2101.06983): a loss that couples all embeddings of a batch depends on the encoder
through the embeddings alone. So the mini-batches pass the encoder once without a graph; the loss gives its gradient
with respect to all embeddings; and each mini-batch passes the encoder again, with a graph, and carries its part of
that gradient back. Dropout must fall the same way in both passes: the state of the random generators is kept at the
start of each mini-batch, and replayed. What still grows with the batch: its token ids, the embeddings, a few kilobytes
of generator state a mini-batch, and what the loss itself holds (for NT-Xent the matrix of similarities).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch

Part = TypeVar("Part")


@dataclass(frozen=True)
class RandomState:
    """The state of the random generators of the CPU and of one accelerator.

    Args:
        device: The device that computes.
        cpu: State of the CPU's generator.
        accelerator: State of the device's own generator; None for the CPU.
    """

    device: torch.device
    cpu: torch.Tensor
    accelerator: torch.Tensor | None

    @classmethod
    def capture(cls, device: torch.device) -> RandomState:
        """Return the present state."""
        own = None
        if device.type != "cpu":
            own = torch.get_device_module(device).get_rng_state(*_which(device))
        return cls(device, torch.get_rng_state(), own)

    def restore(self) -> None:
        """Set the generators to this state."""
        torch.set_rng_state(self.cpu)
        if self.accelerator is not None:
            torch.get_device_module(self.device).set_rng_state(self.accelerator, *_which(self.device))

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Set the generators to this state, and back to what they were at the end."""
        present = RandomState.capture(self.device)
        self.restore()
        try:
            yield
        finally:
            present.restore()


def _which(device: torch.device) -> tuple[torch.device, ...]:
    # Apple's only GPU has no number.
    return () if device.type == "mps" else (device,)


def cached_loss(
    parts: Sequence[Part],
    embed: Callable[[Part], torch.Tensor],
    objective: Callable[[torch.Tensor], torch.Tensor],
    encode: Callable[[Part], tuple[torch.Tensor, torch.Tensor]],
    backward: Callable[[torch.Tensor], object],
    device: torch.device,
    parameters: Callable[[], Sequence[torch.nn.Parameter]] = tuple,
    unsynchronized: Callable[[], AbstractContextManager] = nullcontext,
) -> torch.Tensor:
    """Return `objective(all embeddings) + sum of the parts' own losses`, back-propagated but for the last part.

    The caller back-propagates the returned loss like any other; after that every parameter has the gradient of the
    whole. That is how one backward pass a step remains for the caller's machinery to hook into (synchronisation of
    processes).

    Args:
        parts: The mini-batches.
        embed: Mini-batch to embeddings `(rows, hidden)`; called without a graph.
        objective: Embeddings of all mini-batches, in their order, to a scalar.
        encode: Mini-batch to the same embeddings, with a graph, and a scalar loss of its own (masked LM).
        backward: Back-propagates a scalar; called once for each mini-batch but the last.
        device: Where `embed` and `encode` compute.
        parameters: Gives the parameters that `objective` itself depends on; asked after `objective`, as FSDP puts
            others in their place between two steps.
        unsynchronized: Gives the context in which a forward and backward pass of a mini-batch but the last runs;
            `no_sync` of a model that synchronises its gradients over processes.
    """
    states, pieces = [], []
    with torch.no_grad():
        for part in parts:
            states.append(RandomState.capture(device))
            pieces.append(embed(part))
    embeddings = torch.cat(pieces).requires_grad_()
    loss = objective(embeddings)
    own = parameters()
    gradient, *own_gradients = torch.autograd.grad(loss, [embeddings, *own], allow_unused=True, materialize_grads=True)
    gradients = gradient.split([len(piece) for piece in pieces])
    value, carrier = loss.detach(), torch.zeros((), device=device)
    for number, (part, state, gradient) in enumerate(zip(parts, states, gradients, strict=True)):
        last = number == len(parts) - 1
        with nullcontext() if last else unsynchronized():
            with state.replayed():
                again, own_loss = encode(part)
            value = value + own_loss.detach()
            # Linear in the embeddings, with the gradient that the objective has.
            carrier = (again * gradient).sum() + own_loss
            if not last:
                backward(carrier)
    # Likewise for the objective's own parameters: their gradient comes in the pass that is synchronised.
    for parameter, gradient in zip(own, own_gradients, strict=True):
        carrier = carrier + (parameter * gradient).sum()
    return value + (carrier - carrier.detach())
