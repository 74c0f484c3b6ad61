"""What to keep, as a user says it, and the model's predictions with nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgraph.errors import HyperParameterError
from glassgraph.masking.chosen_edges import Mask, Where
from glassgraph.masking.message_sets import ALL, KEPT, NONE, MessageSet, Scene
from glassgraph.masking.rerun import Piece, Rerun
from glassgraph.results.aggregates.decisions import count
from glassgraph.results.predictions import Predictions

#: Sets of messages by name.
WORDS = {"kept": KEPT, "dropped": ~KEPT, "all": ALL, "none": NONE}


def as_message_set(keep: Any) -> MessageSet:
    """A word, a share of the kept ones, a function, a mask or a set as a set of messages.

    Raises:
        HyperParameterError: if it is none of these.
    """
    if isinstance(keep, MessageSet):
        return keep
    if isinstance(keep, str):
        if keep not in WORDS:
            words = ", ".join(map(repr, WORDS))
            raise HyperParameterError(f"keep={keep!r} is not known; the words are {words}")
        return WORDS[keep]
    if isinstance(keep, Real) and not isinstance(keep, bool):
        return KEPT.share(float(keep))
    if callable(keep) and not isinstance(keep, Tensor):
        return Where(keep)
    if isinstance(keep, Tensor | np.ndarray | list | tuple | dict):
        return Mask(keep)
    raise HyperParameterError(
        "keep is a word ('kept', 'dropped', 'all', 'none'), a share of the kept messages (0.75), a "
        "function of an explanation, a mask, or a set such as messages.ALL - messages.layer(0) "
        f"(glassgraph.messages); got {type(keep).__name__}"
    )


def predict(rerun: Rerun, scene: Scene, keep: Any, *, baselines: bool) -> Predictions:
    """Run the model on some messages of each prediction; see `Explainer.predict`."""
    return predict_each(rerun, scene, [keep], baselines=baselines)[0]


def predict_each(
    rerun: Rerun, scene: Scene, keeps: Sequence[Any], *, baselines: bool
) -> list[Predictions]:
    """`predict` for several choices of messages, which read the unmasked model only once."""
    choices = [as_message_set(keep).bind(scene) for keep in keeps]
    found: list[list[tuple[Tensor, ...]]] = [[] for _ in choices]
    with rerun.pieces(baselines=baselines) as pieces:
        for piece in pieces:
            has_no_say = ~piece.locate(scene.table)[1]
            for members, parts in zip(choices, found, strict=True):
                is_open = members(piece) | has_no_say
                parts.append(
                    (
                        piece.position,
                        piece.row_instance,
                        piece.output(is_open),
                        piece.batch.reference,
                        _counts(scene, piece, is_open),
                    )
                )
    return [_in_order(parts) for parts in found]


def _in_order(parts: Sequence[tuple[Tensor, ...]]) -> Predictions:
    """The predictions of all pieces, in the order of the explanations."""
    position, instance, output, reference, counts = zip(*parts, strict=True)
    by_row = torch.argsort(torch.cat(instance), stable=True)
    by_instance = torch.argsort(torch.cat(position))
    num_open, num_messages = torch.cat(counts, dim=1)[:, by_instance]
    return Predictions(
        outputs=torch.cat(output)[by_row],
        reference=torch.cat(reference)[by_row].detach(),
        instance=torch.cat(instance)[by_row],
        num_open=num_open,
        num_messages=num_messages,
    )


def _counts(scene: Scene, piece: Piece, is_open: Tensor) -> Tensor:
    """Open messages and all messages of each instance, ``[2, b]``."""
    item = piece.items(scene.table, scene.num_layers)
    return torch.stack([count(pool, piece.instance, piece.size) for pool in (is_open & item, item)])
