"""An error wherever code of the user runs: nothing is changed, nothing is passed over.

A clean run counts the calls of one place (the model's ``forward``, a hook, ``call``). Then each of
them fails in turn, once. The error has to reach the user, as itself or as the cause of what is
raised; model, data and random state are as before, and the same explainer then says what it says
without the fault.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

import glassgraph as gg
from glassgraph.core.told import FallbackWarning
from glassgraph.explainers.model_explainer import UnreachedClassWarning
from glassgraph.explainers.registry import METHODS
from glassgraph.metrics import fidelity
from glassgraph.testing.cases import Case
from glassgraph.testing.compare import expect_same, expect_unchanged, snapshot
from glassgraph.testing.laws.randomness import random_state
from glassgraph.testing.networks import Net
from glassgraph.testing.subject import Subject, masks
from tests.explainers.generation.models import ringed

ERRORS: tuple[type[BaseException], ...] = (RuntimeError, KeyboardInterrupt, MemoryError)
#: Calls of which all fail in turn; of more, some of those behind.
MOST = 18


class Fuse:
    """Counts its calls, and fails at one of them."""

    def __init__(self) -> None:
        self.set()

    def set(self, at: int = 0, error: type[BaseException] = RuntimeError) -> None:
        """Fail at the ``at``-th call from now on; never for 0."""
        self.calls, self.at, self.error = 0, at, error

    def __call__(self, *_: Any) -> None:
        self.calls += 1
        if self.calls == self.at:
            raise self.error("injected")


class FusedNet(Net):
    """The laws' network, with a fuse at the beginning of ``forward``."""

    fuse: Fuse

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        edge_attr: Tensor | None = None,
        edge_type: Tensor | None = None,
        batch: Tensor | None = None,
        edge_label_index: Tensor | None = None,
    ) -> Tensor:
        self.fuse()
        return super().forward(
            x, edge_index, edge_weight, edge_attr, edge_type, batch, edge_label_index
        )


@dataclass
class Scene:
    """A fresh model and explainer, the user's data, and where the fuse is."""

    method: str
    case: Case
    place: Callable[[Scene], None]

    def __post_init__(self) -> None:
        self.fuse, self.data = Fuse(), self.case.data()
        self.model: Any = self.case.in_use()
        self.settings: dict[str, Any] = {}
        self.place(self)
        self.subject = Subject(METHODS[self.method], **self.settings)
        self.explainer = self.subject.build(self.model, self.case)

    def run(self) -> list[dict[str, Tensor]]:
        """Learn where the method learns, and explain."""
        found = self.subject.learn_and_explain(self.explainer, self.case, self.data)
        return masks(found)


# Places


def in_forward(scene: Scene) -> None:
    scene.model.__class__ = FusedNet
    scene.model.fuse = scene.fuse


def in_call(scene: Scene) -> None:
    def call(model: nn.Module, data: Any) -> Tensor:
        scene.fuse()
        return scene.case.predict(model, data)

    scene.settings["call"] = call


def in_divergence(scene: Scene) -> None:
    def divergence(output: Tensor, reference: Tensor) -> Tensor:
        scene.fuse()
        return (output - reference).square().sum(-1)

    scene.settings["divergence"] = divergence


def in_hook(register: str, module: str) -> Callable[[Scene], None]:
    def place(scene: Scene) -> None:
        getattr(scene.model.get_submodule(module), register)(scene.fuse)

    return place


# What is asked


def calls_to_fail(count: int) -> Iterator[tuple[int, type[BaseException]]]:
    """Every call, with one of the errors in turn; behind `MOST` some of them."""
    for at in range(1, count + 1):
        if at <= MOST or at % 7 == 0 or at == count:
            yield at, ERRORS[at % 3]


def check_every_call(make: Callable[[], Any]) -> None:
    """Fail everywhere.

    Args:
        make: builds a scene with ``run``, ``fuse``, ``model`` and ``data``.
    """
    scene = make()
    expected, count = scene.run(), scene.fuse.calls
    assert count, "the place is never reached"
    for at, error in calls_to_fail(count):
        scene = make()
        scene.fuse.set(at, error)
        before, state = snapshot(scene.model, scene.data), random_state()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            with pytest.raises(BaseException) as caught:  # noqa: PT011 - of any type
                scene.run()
        assert not any(each.category is FallbackWarning for each in told)
        where = f"call {at} of {count}"
        causes = list(chain(caught.value))
        assert any(type(each) is error and str(each) == "injected" for each in causes), where
        if not isinstance(caught.value, error):
            assert isinstance(caught.value, gg.errors.GlassgraphError), where
        expect_unchanged(before, snapshot(scene.model, scene.data))
        assert state == random_state(), where
        scene.fuse.set()
        for one, other in zip(scene.run(), expected, strict=True):
            expect_same(one, other, f"after {where}")


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__


NODE, GRAPH, EDGE = Case("gin", "node"), Case("gin", "graph"), Case("gcn", "edge", columns=3)


@pytest.mark.parametrize(
    ("method", "case"),
    [
        ("saliency", NODE),
        ("saliency", GRAPH),
        ("grad_cam", EDGE),
        ("gnn_explainer", GRAPH),
        ("graphmask", NODE),
        ("pg_explainer", GRAPH),
        ("occlusion", EDGE),
        ("subgraphx", NODE),
        ("gnn_lrp", NODE),
        ("pgm_explainer", NODE),
        ("pgm_explainer", GRAPH),
        ("zorro", NODE),
        ("relex", EDGE),
        ("graph_lime", NODE),
    ],
    ids=str,
)
def test_in_forward(method: str, case: Case) -> None:
    check_every_call(lambda: Scene(method, case, in_forward))


@pytest.mark.parametrize(
    ("method", "case"),
    [("saliency", GRAPH), ("pg_explainer", NODE), ("lrp", NODE), ("pgm_explainer", EDGE)],
    ids=str,
)
def test_in_the_users_way_to_call(method: str, case: Case) -> None:
    check_every_call(lambda: Scene(method, case, in_call))


HOOKS = {
    "forward": ("register_forward_hook", "convs.1"),
    "forward pre": ("register_forward_pre_hook", "head"),
    "message": ("register_message_forward_hook", "convs.0"),
    "aggregate pre": ("register_aggregate_forward_pre_hook", "convs.1"),
    "propagate": ("register_propagate_forward_hook", "convs.0"),
    "backward": ("register_full_backward_hook", "head"),
    "backward pre": ("register_full_backward_pre_hook", "convs.1"),
}


@pytest.mark.parametrize("method", ["saliency", "gnn_explainer", "pg_explainer"])
@pytest.mark.parametrize("hook", HOOKS)
def test_in_a_hook(method: str, hook: str) -> None:
    check_every_call(lambda: Scene(method, NODE, in_hook(*HOOKS[hook])))


@pytest.mark.parametrize("hook", ["forward", "propagate"])
def test_in_a_hook_of_a_black_box(hook: str) -> None:
    check_every_call(lambda: Scene("subgraphx", NODE, in_hook(*HOOKS[hook])))


def test_in_the_users_divergence() -> None:
    check_every_call(lambda: Scene("graphmask", GRAPH, in_divergence))


# Metrics, and methods that explain the model


class Measured(Scene):
    """Fidelity of explanations that are there."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.explanations = self.explainer.explain(self.data, self.case.index)
        self.fuse.set()

    removal = "shut"

    def run(self) -> list[dict[str, Tensor]]:
        """Measure."""
        found = fidelity(self.explanations, self.model, self.data, removal=self.removal)
        numbers = [list(map(float, list(row.values())[2:])) for row in found.means()]
        return [{"means": torch.tensor(numbers)}]


class Deleted(Measured):
    removal = "delete"


@pytest.mark.parametrize("kind", [Measured, Deleted])
@pytest.mark.parametrize("case", [NODE, GRAPH], ids=str)
def test_in_forward_while_it_is_measured(kind: type[Measured], case: Case) -> None:
    check_every_call(lambda: kind("saliency", case, in_forward))


class Generated:
    """A generator with a fuse in the model, in a rule or in what makes features."""

    method: Any = gg.XGNN
    settings: ClassVar[dict[str, int]] = {"episodes": 1, "num_rollouts": 1}

    def __init__(self, where: str) -> None:
        self.fuse, self.data = Fuse(), list[Any]()
        self.model: Any = ringed()
        if where == "forward":
            self.model.register_forward_pre_hook(self.fuse)
        self.where = where

    def judge(self, node_type: Tensor, edge_index: Tensor) -> bool:
        """A rule that forbids nothing."""
        if self.where == "rule":
            self.fuse()
        return True

    def features(self, node_type: Tensor, edge_index: Tensor) -> Tensor:
        """One-hot types."""
        if self.where == "features":
            self.fuse()
        return nn.functional.one_hot(node_type, 2).double()

    def run(self) -> list[dict[str, Tensor]]:
        """Learn to generate, and generate."""
        explainer = self.method(
            self.model,
            ["A", "B"],
            3,
            rules=[self.judge],
            features=self.features,
            iterations=1,
            progress=False,
            **self.settings,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnreachedClassWarning)
            found = explainer.fit(target_class=1).explain(n=1)
        return [{"probability": found.probability}]


class Interpreted(Generated):
    method = gg.GNNInterpreter
    settings: ClassVar[dict[str, int]] = {"steps": 1, "restarts": 2, "samples": 1}


@pytest.mark.parametrize("kind", [Generated, Interpreted])
@pytest.mark.parametrize("where", ["forward", "rule", "features"])
def test_while_graphs_are_generated(kind: type[Generated], where: str) -> None:
    check_every_call(lambda: kind(where))
