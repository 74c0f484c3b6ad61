"""Laws about what an explanation must leave as it was: the user's model, data and hooks."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from glassgraph.core.batch import InstanceBatch
from glassgraph.core.sites import MessageTap
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import GlassgraphError
from glassgraph.explainers.base import Explainer
from glassgraph.results.explanation import Attribution
from glassgraph.testing.cases import CASES, AnyCase
from glassgraph.testing.compare import Violation, expect, expect_unchanged, snapshot
from glassgraph.testing.law import law
from glassgraph.testing.subject import Subject


class Blown(RuntimeError):
    """What a fuse in a model raises."""


@law(
    catches="an explainer that changes the user's model or data",
    usually="a hook is registered and forgotten, a weight or feature is written in place, or "
    "backward() fills .grad; use torch.autograd.grad and the functions of the batch",
)
def model_unchanged(subject: Subject, case: AnyCase) -> None:
    """Model and data are bit for bit what they were, and the model's outputs too."""
    model, data = case.in_use(), case.data()
    before, output = snapshot(model, data), _plain_output(model, case, data)
    subject.learn_and_explain(subject.build(model, case), case, data)
    expect_unchanged(before, snapshot(model, data))
    same = torch.equal(output, _plain_output(model, case, data))
    expect(same, "the model's output is another than before")


def _plain_output(model: nn.Module, case: AnyCase, data: Any) -> Tensor:
    """What the user's own call gives, in evaluation mode, on a copy."""
    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        return case.predict(twin, data)


_AFTER_FAILURE = (
    "something is put back at the end of a function, which an exception never reaches; put it back "
    "in a `with` or `finally`"
)


@law(
    catches="an explainer that leaves a changed model behind when something fails",
    usually=_AFTER_FAILURE,
    cases=CASES[::3],
)
def unchanged_after_error(subject: Subject, case: AnyCase) -> None:
    """Model and data are unchanged where the model or `attribute` raises an error."""
    _fail_everywhere(subject, case, Blown)


@law(
    catches="an explainer that leaves a changed model behind on Ctrl-C",
    usually=_AFTER_FAILURE,
    cases=CASES[::3],
)
def unchanged_after_interrupt(subject: Subject, case: AnyCase) -> None:
    """Model and data are unchanged where a user interrupts."""
    _fail_everywhere(subject, case, KeyboardInterrupt)


def _fail_everywhere(
    subject: Subject, case: AnyCase, error: type[BaseException], last_call: int = 16
) -> None:
    """Fail at the n-th call of one model, for every n, and at the end of `attribute`.

    The model is the same throughout, as that of a user who tries again.
    """
    model, data = case.in_use(), case.data()
    fuse = _Fuse(error)
    handle = _last_layer(model).register_forward_pre_hook(fuse)
    before = snapshot(model, data)
    for call in range(1, last_call):
        fuse.set(call)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)
            _fails(subject, subject.build(model, case), case, data, GlassgraphError)
        expect_unchanged(before, snapshot(model, data))
        if not fuse.is_blown:
            break  # the explainer calls the model less often
    handle.remove()
    explainer = subject.build(model, case)
    whole = explainer.attribute

    def fails_at_the_end(batch: InstanceBatch) -> Attribution:
        whole(batch)
        raise error

    explainer.attribute = fails_at_the_end  # type: ignore[method-assign]
    before = snapshot(model, data)
    if not _fails(subject, explainer, case, data, error):
        raise Violation(f"a {error.__name__} at the end of attribute did not reach the user")
    expect_unchanged(before, snapshot(model, data))


class _Fuse:
    """A hook that fails from the n-th call on."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error
        self.set(1)

    def set(self, last_call: int) -> None:
        """Count again, up to this call."""
        self.calls_left = last_call

    @property
    def is_blown(self) -> bool:
        """Whether it came to that call."""
        return self.calls_left <= 0

    def __call__(self, *_: Any) -> None:
        self.calls_left -= 1
        if self.is_blown:
            raise self.error


def _last_layer(model: nn.Module) -> nn.Module:
    """The last module that passes messages; the model itself if none does."""
    layers = [each for each in model.modules() if isinstance(each, (MessagePassing, MessageTap))]
    return layers[-1] if layers else model


def _fails(
    subject: Subject, explainer: Explainer, case: AnyCase, data: Any, error: type[BaseException]
) -> bool:
    """Explain, and say whether it fails with this error or one of the fuse's."""
    try:
        subject.learn_and_explain(explainer, case, data)
    except (error, Blown, KeyboardInterrupt):
        return True
    return False
