"""A navigator: which past events count for links, learned on other links of the same stream.

It is a network on an event and a link, ``h(e, k)``: embeddings of the four nodes, which of them
are the same, the event's message, and how long ago it happened. `fit_navigator` learns it with the
model's own answers: sigmoid(h) are gates on a link's candidates, and what is minimized is

    -log sigmoid( c (f(gates) - threshold) ) + penalty * mean of the gates,

c = 1 where the model expects the link and -1 where it does not, so that events which speak for the
answer keep their gates open. The authors of T-GNNExplainer multiply attention in place of gates,
take the nodes' raw features in place of embeddings (a TGN has none), and compute the penalty
without using it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch_geometric.data import TemporalData

from glassgraph.errors import HyperParameterError, InstanceError, UnsupportedModelError
from glassgraph.progress import progress_bar
from glassgraph.temporal.asking import asking, candidates_of, check_model, check_number
from glassgraph.temporal.events import Link, check_events, links_of
from glassgraph.temporal.questions import Question
from glassgraph.temporal.tgn import TGN

#: Sizes of a node's embedding and of the hidden layer; the latter is that of the authors.
_EMBEDDING, _HIDDEN = 16, 128


class Navigator(nn.Module):
    """How much may past events count for a link? Learned by `fit_navigator`.

    Args:
        num_nodes: N, the number of nodes.
        msg_dim: size D of the messages of events.
        fitted_on: numbers of the events whose links it was fitted on.
    """

    def __init__(self, num_nodes: int, msg_dim: int, fitted_on: Sequence[int] = ()) -> None:
        super().__init__()
        self.num_nodes, self.msg_dim = num_nodes, msg_dim
        self.fitted_on = frozenset(fitted_on)
        self.embedding = nn.Embedding(num_nodes, _EMBEDDING)
        width = 4 * _EMBEDDING + 4 + 1 + msg_dim
        self.net = nn.Sequential(nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))

    def forward(self, events: TemporalData, event_id: Tensor, link: Link) -> Tensor:
        """Logits ``[n]`` of the gates of events ``event_id [n]`` where a link is explained."""
        src, dst = events.src[event_id], events.dst[event_id]
        ends = [torch.full_like(src, node) for node in (link.src, link.dst)]
        same = [each == end for each in (src, dst) for end in ends]
        weight = self.embedding.weight
        passed = (link.t - events.t[event_id]).to(weight.dtype).clamp_min(0).log1p()
        inputs = [self.embedding(node) for node in (src, dst, *ends)]
        inputs += [torch.stack([*same, passed], dim=-1).to(weight.dtype)]
        inputs += [events.msg[event_id].to(weight.dtype)]
        logits: Tensor = self.net(torch.cat(inputs, dim=-1))
        return logits.view(-1)

    def importance(self, question: Question) -> Tensor:
        """How much the candidates ``[n]`` of a question may count.

        Raises:
            HyperParameterError: if it was fitted on another stream.
            InstanceError: if it was fitted on this very link.
        """
        events, link = question.events, question.link
        last = max(int(events.src.max()), int(events.dst.max()), link.src, link.dst)
        if last >= self.num_nodes or events.msg.size(1) != self.msg_dim:
            raise HyperParameterError(
                f"the navigator was fitted on a stream of {self.num_nodes} nodes with messages "
                f"[E, {self.msg_dim}]; this one has node {last} and messages "
                f"{list(events.msg.shape)}"
            )
        if link.index in self.fitted_on:
            raise InstanceError(
                f"the navigator was fitted on {link}; explain other links, or fit it on others"
            )
        with torch.no_grad():
            found: Tensor = self(events, question.candidates, link)
        return found


def fit_navigator(
    model: TGN,
    events: TemporalData,
    index: Any,
    *,
    candidates: int | None = 25,
    batch_size: int = 200,
    epochs: int = 10,
    penalty: float = 0.1,
    learning_rate: float = 3e-3,
    threshold: float = 0.0,
    seed: int = 0,
    progress: bool = True,
) -> Navigator:
    """Learn which past events count, on links that are not explained later.

    The model is left as it is, as in `glassgraph.temporal.explain`.

    Args:
        model: what is explained; it needs gates on its events.
        events: the whole stream.
        index: the links to learn on, as in `glassgraph.temporal.explain`.
        candidates: how many of the latest events that can count have gates; None for all.
        batch_size: events in a batch, as in training.
        epochs: passes over the links.
        penalty: weight of the mean gate.
        learning_rate: Adam's learning rate.
        threshold: the score from which on a link is expected; 0 for logits.
        seed: of initialization and of the order of the links; the caller's random state is not
            touched.
        progress: show a progress bar.

    Raises:
        UnsupportedModelError: if the model is no `TGN`.
        HyperParameterError: if a number is out of range.
        GlassgraphError: what `glassgraph.temporal.explain` raises.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from glassgraph.datasets import event_stream
        >>> from glassgraph.models import train_tgn
        >>> stream = event_stream(num_tips=200)
        >>> trained = train_tgn(
        ...     stream.events, stream.num_nodes, stream.destinations, stream.split, epochs=1
        ... )
        >>> model = gg.temporal.TGN(trained.memory, trained.gnn, trained.link_predictor, 6)
        >>> navigator = gg.temporal.fit_navigator(
        ...     model, stream.events, stream.split["train"][-5:], batch_size=20, epochs=2
        ... )
        >>> gg.temporal.explain(
        ...     model,
        ...     stream.events,
        ...     stream.split["test"][:1],
        ...     "t_gnn_explainer",
        ...     candidates=25,
        ...     batch_size=20,
        ...     navigator=navigator,
        ...     rollouts=10,
        ... )
        EventExplanations(1 links, t_gnn_explainer)
    """
    events = check_events(events)
    if not isinstance(model, TGN):
        raise UnsupportedModelError(
            f"a navigator is fitted through gates on events, which {type(model).__name__} has not; "
            "make a glassgraph.temporal.TGN of its parts, or take navigator='perturb_one' or None"
        )
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        check_number(name, value)
    if not (learning_rate > 0 and penalty >= 0):
        raise HyperParameterError(
            f"learning_rate must be > 0 and penalty >= 0; got {learning_rate} and {penalty}"
        )
    links = links_of(events, index)
    check_model(model, events, links)
    asked = [candidates_of(candidates, link, events) for link in links]
    fitted_on = [link.index for link in links if link.index >= 0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251 - inside fork_rng
        navigator = Navigator(model.parts.num_nodes, events.msg.size(1), fitted_on)
        navigator.to(events.msg.device)
        optimizer = torch.optim.Adam(navigator.parameters(), lr=learning_rate)
        with asking(model, events, links, asked, batch_size, None) as questions:
            known = [each for each in questions if each.num_candidates]
            bar = progress_bar(range(epochs), "navigator", disable=not progress, delay=1.0)
            for _ in bar:
                for number in torch.randperm(len(known)).tolist():
                    optimizer.zero_grad()
                    _loss(navigator, known[number], threshold, penalty).backward()
                    optimizer.step()
    return navigator.eval().requires_grad_(False)


def _loss(navigator: Navigator, question: Question, threshold: float, penalty: float) -> Tensor:
    gates = navigator(question.events, question.candidates, question.link).sigmoid()
    gates = gates.to(question.messages.dtype)
    sign = 1 if question.reference >= threshold else -1
    score = question.gated(gates.view(1, -1))
    loss: Tensor = -logsigmoid(sign * (score - threshold)).sum() + penalty * gates.mean()
    return loss
