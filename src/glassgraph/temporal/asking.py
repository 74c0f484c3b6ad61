"""Questions about links, asked while the model is protected, and the model checked afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import TemporalData

from glassgraph.calling.protect import protected
from glassgraph.errors import HyperParameterError, InstanceError, UnsupportedModelError
from glassgraph.inputs.index import as_numbers
from glassgraph.temporal.events import Link
from glassgraph.temporal.protocol import TemporalModel
from glassgraph.temporal.questions import Question
from glassgraph.temporal.replayed import ask_replayed
from glassgraph.temporal.state import fingerprint, refuse_changes
from glassgraph.temporal.tgn import TGN
from glassgraph.temporal.tgn_questions import ask_tgn


@contextmanager
def asking(
    model: TGN | TemporalModel,
    events: TemporalData,
    links: Sequence[Link],
    asked: Sequence[int | Tensor | None],
    batch_size: int,
    leaves_out: str | None,
) -> Iterator[Iterator[Question]]:
    """A question for each link, one after the other; see `ask_tgn` for the arguments.

    Raises:
        StateNotRestoredError: if the model is not the same to the last bit afterwards.
    """
    before = fingerprint(model)
    with protected(_modules_of(model)):
        if isinstance(model, TGN):
            yield ask_tgn(model, events, links, asked, batch_size, leaves_out)
        else:
            yield ask_replayed(model, events, links, asked, batch_size)
    refuse_changes(before, fingerprint(model))


def check_number(name: str, value: Any) -> None:
    """Refuse what is no positive whole number.

    Raises:
        HyperParameterError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise HyperParameterError(f"{name} must be an integer >= 1; got {value!r}")


def check_model(model: Any, events: TemporalData, links: Sequence[Link]) -> None:
    """Refuse nodes that the model does not know, and objects that are no temporal models.

    Raises:
        UnsupportedModelError: if it cannot be replayed.
        InstanceError: if a node is out of its range.
        EventError: if its memory cannot take the messages.
    """
    if not isinstance(model, TGN):
        if not isinstance(model, TemporalModel):
            raise UnsupportedModelError(
                f"{type(model).__name__} cannot be replayed: it needs the methods reset(), "
                "replay(events) and score(src, dst, t), see glassgraph.temporal.TemporalModel; "
                "parts of PyG's TGN make such a model as glassgraph.temporal.TGN(memory, gnn, "
                "link_predictor)"
            )
        return
    last = max(int(events.src.max()), int(events.dst.max()))
    last = max([last, *(max(link.src, link.dst) for link in links)])
    if last >= model.parts.num_nodes:
        raise InstanceError(
            f"node {last} is out of range: the model knows {model.parts.num_nodes} nodes (from 0)"
        )
    model.parts.check_messages(events.msg)


def candidates_of(candidates: Any, link: Link, events: TemporalData) -> int | Tensor | None:
    """The candidates of a link: None, how many, or their numbers, ascending.

    Raises:
        HyperParameterError: if a number of them is not positive.
        InstanceError: if one is not in the link's past, or there are none.
    """
    if candidates is None:
        return None
    if isinstance(candidates, int):
        check_number("candidates", candidates)
        return candidates
    numbers = as_numbers(candidates, events.src.numel(), "event", events.src.device).unique()
    late = numbers[numbers >= link.num_past]
    if late.numel():
        raise InstanceError(
            f"candidate {int(late[0])} is not in the past of {link}: it happens at "
            f"{events.t[late[0]].item()}"
        )
    if not numbers.numel():
        raise InstanceError("candidates are empty; leave them out to score all that can count")
    return torch.as_tensor(numbers)


def _modules_of(model: Any) -> nn.Module:
    """All modules that a model holds, as one."""
    if isinstance(model, nn.Module):
        return model
    return nn.ModuleList(each for each in vars(model).values() if isinstance(each, nn.Module))
