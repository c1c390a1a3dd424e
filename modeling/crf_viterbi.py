"""The best path of a linear-chain CRF (Viterbi, "Error bounds for convolutional codes", 1967)."""

from __future__ import annotations

import numpy as np
import torch

from modeling.crf_recursions import finite
from modeling.crf_words import Words

# Words after which the scores are shifted to a maximum of 0, so that their rounding error stays small.
SHIFT_EVERY = 32


def best_paths(
    emissions: torch.Tensor, start: torch.Tensor, transitions: torch.Tensor, end: torch.Tensor, words: Words
) -> np.ndarray:
    """Find the best path of each sequence.

    Forwards on the device only the best score of each tag is computed; backwards the tag before is found again from
    those scores, for the tags of the path alone, with numpy.

    Args:
        emissions: `(B, T, K)` scores, whatever at masked places.
        start: `(K,)` scores of the first tag, minus infinity where forbidden.
        transitions: `(K, K)` scores from a tag to the next, likewise.
        end: `(K,)` scores of the last tag, likewise.
        words: The unmasked words.

    Returns:
        `(L, B)` int64 tags by slot; those at slots without a word mean nothing. Among tags with exactly the same score
        the lowest number is taken, from the last word to the first.

    Raises:
        ValueError: A sequence has no path with a finite score.
    """
    number_of_rows, _, number_of_tags = emissions.shape
    if not words.longest:
        return np.zeros((0, number_of_rows), dtype=np.int64)
    ordered = emissions.reshape(-1, number_of_tags)[words.order]
    # What is common to all tags of a word would cost digits of what is not.
    ordered -= finite(ordered.amax(2, keepdim=True))
    scores = torch.empty_like(ordered)
    torch.add(ordered[0], start, out=scores[0])
    # The maximum runs over the first axis, which is several times as fast as over another.
    step = transitions.unsqueeze(1).expand(-1, number_of_rows, -1).contiguous()
    candidates = torch.empty_like(step)
    # Lists of views: making them inside the loop would cost as much as the arithmetic.
    views = (ordered[1:].unbind(0), scores.transpose(1, 2).unsqueeze(3).unbind(0), scores[1:].unbind(0))
    for word, (emission, before, state) in enumerate(zip(views[0], views[1][:-1], views[2], strict=True)):
        torch.add(before, step, out=candidates)
        torch.amax(candidates, 0, out=state)
        state.add_(emission)
        if word % SHIFT_EVERY == 0:
            state.sub_(finite(state.amax(1, keepdim=True)))
    return _trace(scores.cpu().numpy(), transitions.cpu().numpy(), end.cpu().numpy(), words.lengths.cpu().numpy())


def _trace(scores: np.ndarray, transitions: np.ndarray, end: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Walk back from the last word of each sequence."""
    length, number_of_rows, number_of_tags = scores.shape
    # What follows a tag: another tag, or, as one more, the end.
    following = np.concatenate([transitions.T, end[None]])
    paths = np.empty((length, number_of_rows), dtype=np.int64)
    state = np.full(number_of_rows, number_of_tags)
    ending = {int(size) - 1: np.flatnonzero(lengths == size) for size in np.unique(lengths)}
    for word in range(length - 1, -1, -1):
        rows = ending.get(word)
        if rows is not None:
            state[rows] = number_of_tags
        candidates = scores[word] + following[state]
        state = candidates.argmax(1)
        if rows is not None:
            dead = rows[~np.isfinite(candidates[rows, state[rows]])]
            if len(dead):
                raise ValueError(
                    f"sequence {dead[0]} of the batch ({lengths[dead[0]]:,} words) has no legal path with a finite "
                    "score: its emissions are not finite, or the constraints allow no path of that length"
                )
        paths[word] = state
    return paths
