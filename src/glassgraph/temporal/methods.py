"""Methods: from the answers to a question to one score for each past event.

Positive scores speak for the link, negative ones against it, in the unit of the link's score;
those of `saliency` are squares, and `random` and `recency` are floors to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from glassgraph.errors import NoGradientError
from glassgraph.temporal.navigator import Navigator
from glassgraph.temporal.questions import Question
from glassgraph.temporal.settings import Settings
from glassgraph.temporal.t_gnn_explainer import side
from glassgraph.temporal.t_gnn_explainer import t_gnn_explainer as explorer

#: Points of a path in one replay; what is differentiated is kept for each.
_MOST_POINTS = 50


#: ``(question, settings) -> [n]``.
Method = Callable[[Question, Settings], Tensor]


def perturb_one(question: Question, _: Settings) -> Tensor:
    """How much of the score goes when this one event has not happened?"""
    return _drops(question, torch.arange(question.num_candidates))


def occlusion(question: Question, settings: Settings) -> Tensor:
    """How much of the score goes when all events of its group have not happened?"""
    group = groups_of(question, settings.groups).unique(return_inverse=True)[1]
    return _drops(question, group)


def edge_gradients(question: Question, _: Settings) -> Tensor:
    """How fast does the score grow with the gate of this event, at 1?"""
    gates = _ones(question).requires_grad_()
    return _gradient(question.gated(gates), gates, "gates").view(-1)


def integrated_gradients(question: Question, settings: Settings) -> Tensor:
    """How much of the score comes with this event while all gates open from 0 to 1?

    The scores sum to what all candidates together change, up to the error of the midpoint rule.
    """
    points = (torch.arange(settings.steps) + 0.5).to(question.messages) / settings.steps
    total = question.messages.new_zeros(question.num_candidates)
    for part in points.split(min(question.num_copies, _MOST_POINTS)):
        gates = (part.view(-1, 1) * _ones(question)).requires_grad_()
        total += _gradient(question.gated(gates), gates, "gates").sum(0)
    return total / settings.steps


def saliency(question: Question, _: Settings) -> Tensor:
    """How much does the score react to small changes of this event's message?"""
    return _message_gradient(question)[0].square().sum(-1)


def input_x_gradient(question: Question, _: Settings) -> Tensor:
    """How fast does the score grow with the size of this event's message?"""
    gradient, messages = _message_gradient(question)
    return (gradient * messages).sum(-1)


def t_gnn_explainer(question: Question, settings: Settings) -> Tensor:
    """Is this event among the few that alone speak most for what the model says?"""
    return explorer(question, settings, _importance(question, settings))


def recency(question: Question, _: Settings) -> Tensor:
    """When did it happen? The later the more: a floor that knows nothing of the model."""
    return torch.arange(1.0, question.num_candidates + 1, device=question.candidates.device)


def random(question: Question, settings: Settings) -> Tensor:
    """Random numbers: the floor."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + question.link.num_past)
    drawn = torch.rand(question.num_candidates, generator=generator)
    return drawn.to(question.candidates.device)


#: Methods by name.
METHODS: Mapping[str, Method] = {
    "perturb_one": perturb_one,
    "occlusion": occlusion,
    "edge_gradients": edge_gradients,
    "integrated_gradients": integrated_gradients,
    "saliency": saliency,
    "input_x_gradient": input_x_gradient,
    "t_gnn_explainer": t_gnn_explainer,
    "recency": recency,
    "random": random,
}
#: What each asks of a model.
NEEDS: Mapping[str, str] = {
    "perturb_one": "any model",
    "occlusion": "any model",
    "edge_gradients": "a TGN",
    "integrated_gradients": "a TGN",
    "saliency": "gradients, messages",
    "input_x_gradient": "gradients, messages",
    "t_gnn_explainer": "any model; a navigator",
    "recency": "nothing",
    "random": "nothing",
}
#: What each leaves out at once: an event, a group of them, or none.
LEAVES_OUT: Mapping[str, str] = {
    "perturb_one": "event",
    "occlusion": "group",
    "t_gnn_explainer": "group",
}
#: Those that ask for gates.
USES_GATES = frozenset({"edge_gradients", "integrated_gradients"})
#: Those whose scores do not say whether an event speaks for the link or against it.
UNSIGNED = frozenset({"saliency", "recency", "random"})
#: Those whose scores say which events `t_gnn_explainer` may leave out first.
NAVIGATORS = tuple(name for name in METHODS if name != "t_gnn_explainer")


def groups_of(question: Question, groups: str | Tensor) -> Tensor:
    """The group of each candidate ``[n]``."""
    if isinstance(groups, Tensor):
        return groups.to(question.candidates.device)[question.candidates]
    src = question.events.src[question.candidates]
    dst = question.events.dst[question.candidates]
    if groups == "pair":
        low, high = torch.minimum(src, dst), torch.maximum(src, dst)
        return low * (int(high.max()) + 1 if len(high) else 1) + high
    is_end = (src == question.link.src) | (src == question.link.dst)
    return torch.where(is_end, dst, src)


def _drops(question: Question, group: Tensor) -> Tensor:
    """What is lost ``[n]`` when the group of each candidate is left out, so many at a time."""
    group = group.to(question.candidates.device)
    count = int(group.max()) + 1 if group.numel() else 0
    numbers = torch.arange(count, device=group.device).view(-1, 1)
    drops = [
        question.reference - question.without(group == part)
        for part in numbers.split(question.num_copies)
    ]
    return torch.cat(drops)[group] if drops else question.messages.new_zeros(0)


def _importance(question: Question, settings: Settings) -> Tensor:
    """What the navigator of `t_gnn_explainer` says of the candidates ``[n]``."""
    navigator = settings.navigator
    if isinstance(navigator, Navigator):
        return navigator.importance(question)
    if navigator is None:
        return random(question, settings)
    sign = 1 if navigator in UNSIGNED else side(question, settings.threshold)
    return sign * METHODS[navigator](question, settings)


def _ones(question: Question) -> Tensor:
    return question.messages.new_ones(1, question.num_candidates)


def _message_gradient(question: Question) -> tuple[Tensor, Tensor]:
    if question.messages.size(1) == 0:
        raise NoGradientError(
            "events have no messages (msg is [E, 0]), so that there is nothing to differentiate "
            "by; take edge_gradients, which go by gates, or perturb_one"
        )
    messages = question.messages.detach().clone().requires_grad_()
    return _gradient(question.with_messages(messages), messages, "messages"), messages.detach()


def _gradient(score: Tensor, inputs: Tensor, what: str) -> Tensor:
    found = None
    if score.requires_grad:
        (found,) = torch.autograd.grad(score.sum(), inputs, allow_unused=True)
    if found is None:
        raise NoGradientError(
            f"the score has no gradient with respect to the {what} of past events: the model "
            "detaches what it remembers, or does not read them; take perturb_one or occlusion"
        )
    return found
