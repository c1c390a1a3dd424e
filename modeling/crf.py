"""A linear-chain conditional random field over the words of a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from modeling.crf_partition import ALGORITHMS, log_partition, solve, spread
from modeling.crf_viterbi import best_paths
from modeling.crf_words import Words, find_words

# Where a decoded batch has no word; the losses of PyTorch ignore it.
NO_TAG = -100


class LinearChainCRF(nn.Module):
    """Scores of whole tag sequences: emissions, a start, an end and transitions between neighbours.

    `score(y) = start[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_t, y_t+1] + end[y_T]` and
    `log p(y) = score(y) - log Z` (Lafferty, McCallum and Pereira, "Conditional random fields", 2001; for named entities
    Lample et al., "Neural architectures for named entity recognition", 2016, equations 1 and 2).

    What the constraints forbid is impossible: it has no share in Z, a marginal probability of 0, and decoding never
    takes it, whatever the scores. The parameters at forbidden places have no effect and get no gradient.

    All methods take emissions of any floating type and compute in float32 (float64 for float64 emissions), also under
    autocast; on a GPU, and where float32 matrix products may be rounded, the recursions run in float64. Words where the
    mask is false are as if they were not there: what stands at them is never read, and tags there may be anything.

    The gradient of log Z comes from the forward-backward algorithm: no graph over the words is kept, and memory for
    training is about twelve times that of the emissions, plus `(batch, K, K)`, at any length. It has no second
    derivative; `create_graph=True` raises `RuntimeError`.

    Args:
        number_of_tags: K, at least 1.
        allowed_starts: `(K,)` bool, whether a sequence may begin with a tag; all by default.
        allowed_transitions: `(K, K)` bool, whether a tag (row) may be followed by a tag (column); all by default.
        allowed_ends: `(K,)` bool, whether a sequence may end with a tag; all by default.

    Attributes:
        start: `(K,)` parameter.
        transitions: `(K, K)` parameter, `[from, to]`.
        end: `(K,)` parameter.
        algorithm: How log Z and marginals are computed: `loop` (word after word), `tree` (log-depth tree of matrix
            products), or `auto`, which chooses by size. All give the same numbers.

    Raises:
        ValueError: A constraint has another shape, or allows nothing at all.
    """

    def __init__(
        self,
        number_of_tags: int,
        allowed_starts: np.ndarray | torch.Tensor | None = None,
        allowed_transitions: np.ndarray | torch.Tensor | None = None,
        allowed_ends: np.ndarray | torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        if number_of_tags < 1:
            raise ValueError(f"a CRF needs at least 1 tag, not {number_of_tags}")
        self.number_of_tags = number_of_tags
        self.algorithm = "auto"
        one, two = (number_of_tags,), (number_of_tags, number_of_tags)
        self.register_buffer("allowed_starts", _constraint("allowed_starts", allowed_starts, one))
        self.register_buffer("allowed_transitions", _constraint("allowed_transitions", allowed_transitions, two))
        self.register_buffer("allowed_ends", _constraint("allowed_ends", allowed_ends, one))
        self.start = nn.Parameter(torch.empty(one))
        self.transitions = nn.Parameter(torch.empty(two))
        self.end = nn.Parameter(torch.empty(one))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters uniformly from -0.1 to 0.1."""
        for parameter in (self.start, self.transitions, self.end):
            nn.init.uniform_(parameter, -0.1, 0.1)

    def extra_repr(self) -> str:
        """Give the number of tags."""
        return f"number_of_tags={self.number_of_tags}"

    def forward(self, emissions: torch.Tensor, tags: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the log-probability of tag sequences; `log_likelihood` is another name for it.

        Args:
            emissions: `(batch, length, K)` scores of the tags of each word.
            tags: `(batch, length)` integers from 0 to K - 1 where there is a word.
            mask: `(batch, length)`, true where there is a word; all by default.

        Returns:
            `(batch,)` float32 (float64 for float64 emissions); 0 for a sequence without a word.

        Raises:
            ValueError: Shapes do not fit, a tag does not exist, or tags break the constraints: their probability is 0,
                which nothing can be learnt from. Convert or repair them first.
        """
        with torch.autocast(emissions.device.type, enabled=False):
            emissions, words = self._prepare(emissions, mask)
            scores = self._scores(emissions.dtype)
            gold = self._score_of(emissions, tags, words, *scores)
            partition = log_partition(emissions, *scores, words, self._checked_algorithm())
            return (gold.to(partition.dtype) - partition).to(emissions.dtype)

    log_likelihood = forward

    def log_partition(self, emissions: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Compute log Z.

        Args:
            emissions: As for `log_likelihood`.
            mask: Likewise.

        Returns:
            `(batch,)`; minus infinity where the constraints allow no path, 0 for a sequence without a word.
        """
        with torch.autocast(emissions.device.type, enabled=False):
            emissions, words = self._prepare(emissions, mask)
            scores = self._scores(emissions.dtype)
            return log_partition(emissions, *scores, words, self._checked_algorithm()).to(emissions.dtype)

    @torch.no_grad()
    def marginals(self, emissions: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Compute the probability of each tag at each word, over all tag sequences.

        Args:
            emissions: As for `log_likelihood`.
            mask: Likewise.

        Returns:
            `(batch, length, K)` without gradient; rows sum to 1 at words and are 0 where masked.

        Raises:
            ValueError: Shapes do not fit, or the constraints allow no path of a sequence's length.
        """
        with torch.autocast(emissions.device.type, enabled=False):
            emissions, words = self._prepare(emissions, mask)
            solution = solve(emissions, *self._scores(emissions.dtype), words, self._checked_algorithm())
            dead = torch.isneginf(solution.log_partition).nonzero().flatten().tolist()
            if dead:
                length = int(words.lengths[dead[0]])
                raise ValueError(f"sequence {dead[0]} of the batch ({length:,} words) has no legal path")
            return spread(solution.tags.to(emissions.dtype), words, emissions.shape)

    @torch.no_grad()
    def decode(self, emissions: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Find the most probable tag sequence.

        Args:
            emissions: As for `log_likelihood`.
            mask: Likewise.

        Returns:
            `(batch, length)` int64, -100 where masked. Among exactly equal paths the choice is fixed: the lowest last
            tag, then the lowest tag before it, and so on.

        Raises:
            ValueError: Shapes do not fit, or a sequence has no legal path with a finite score.
        """
        with torch.autocast(emissions.device.type, enabled=False):
            emissions, words = self._prepare(emissions, mask)
            paths = best_paths(emissions, *self._scores(emissions.dtype), words)
            tags = torch.full(emissions.shape[:2], NO_TAG, dtype=torch.int64, device=emissions.device)
            tags.view(-1)[words.places] = torch.from_numpy(paths).to(tags.device)[words.slots, words.rows]
            return tags

    def _prepare(self, emissions: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, Words]:
        """Check shapes; emissions in the precision of the result, and the words."""
        if emissions.dim() != 3 or emissions.shape[2] != self.number_of_tags:
            raise ValueError(
                f"emissions must have shape (batch, length, {self.number_of_tags}), not {tuple(emissions.shape)}"
            )
        if not emissions.is_floating_point():
            raise ValueError(f"emissions must be of a floating type, not {emissions.dtype}")
        if mask is None:
            mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        if mask.shape != emissions.shape[:2]:
            raise ValueError(f"the mask must have shape {tuple(emissions.shape[:2])}, not {tuple(mask.shape)}")
        dtype = torch.float64 if emissions.dtype == torch.float64 else torch.float32
        return emissions.to(dtype), find_words(mask.bool())

    def _scores(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Start, transitions and end, minus infinity where forbidden."""
        return (
            self.start.to(dtype).masked_fill(~self.allowed_starts, -torch.inf),
            self.transitions.to(dtype).masked_fill(~self.allowed_transitions, -torch.inf),
            self.end.to(dtype).masked_fill(~self.allowed_ends, -torch.inf),
        )

    def _score_of(
        self,
        emissions: torch.Tensor,
        tags: torch.Tensor,
        words: Words,
        start: torch.Tensor,
        transitions: torch.Tensor,
        end: torch.Tensor,
    ) -> torch.Tensor:
        """Score of the given tags, summed in float64 where the device has it."""
        if tags.shape != emissions.shape[:2]:
            raise ValueError(f"tags must have shape {tuple(emissions.shape[:2])}, not {tuple(tags.shape)}")
        found = tags.reshape(-1)[words.places].long()
        if bool(((found < 0) | (found >= self.number_of_tags)).any()):
            raise ValueError(f"tags at words must be from 0 to {self.number_of_tags - 1}")
        own = emissions.reshape(-1, self.number_of_tags)[words.places, found]
        first = words.slots == 0
        last = words.slots == words.lengths[words.rows] - 1
        # Words of one sequence stand together, so the tag before is that of the word before.
        incoming = torch.where(first, start[found], transitions[found.roll(1), found])
        pieces = own + incoming + torch.where(last, end[found], 0)
        if bool(torch.isneginf(pieces).any()):
            _raise_forbidden(int(torch.isneginf(pieces).nonzero()[0]), found, words)
        scores = pieces.new_zeros(words.longest, words.number_of_rows)
        scores = scores.index_put((words.slots, words.rows), pieces)
        return scores.sum(0) if scores.device.type == "mps" else scores.sum(0, dtype=torch.float64)

    def _checked_algorithm(self) -> str:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"unknown algorithm {self.algorithm!r}, choose from {', '.join(ALGORITHMS)}")
        return self.algorithm


def _constraint(name: str, allowed: Any, shape: tuple[int, ...]) -> torch.Tensor:
    """Check a constraint. By way of numpy, since a model may be built on the meta device."""
    if allowed is None:
        return torch.ones(shape, dtype=torch.bool)
    array = np.asarray(allowed.cpu() if isinstance(allowed, torch.Tensor) else allowed).astype(bool)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
    if name != "allowed_transitions" and not array.any():
        raise ValueError(f"{name} allows no tag at all")
    return torch.tensor(array)


def _raise_forbidden(word: int, tags: torch.Tensor, words: Words) -> None:
    """Say where given tags break the constraints."""
    row, slot = int(words.rows[word]), int(words.slots[word])
    steps = [f"tag {int(tags[word])}"]
    if slot:
        steps.insert(0, f"tag {int(tags[word - 1])}")
    if slot == int(words.lengths[row]) - 1:
        steps.append("the end")
    raise ValueError(
        f"the tags of sequence {row} of the batch are forbidden at its word {slot + 1:,} ({' to '.join(steps)}); "
        "convert them to the tag scheme of the constraints"
    )
