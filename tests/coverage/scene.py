"""One set-up, explained: everything the tests look at, computed once."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn

from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.core.told import FallbackWarning, UnseenWarning
from glassgraph.errors import GlassgraphError
from glassgraph.explainers.amortized import AmortizedExplainer
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.constant import ConstantScoresWarning
from glassgraph.explainers.registry import make_explainer
from glassgraph.results.explanation import Attribution, Explanations
from tests.coverage import literal
from tests.coverage.limits import OTHERS
from tests.coverage.set_up import SetUp
from tests.coverage.set_ups import SET_UPS

#: The methods that every set-up is explained with.
SIX = (
    "random",
    "saliency",
    "edge_gradients",
    "positive_gradients",
    "occlusion",
    "gnn_explainer",
)
#: Hyper-parameters that keep a learned method short.
SHORT: dict[str, dict[str, Any]] = {"gnn_explainer": {"epochs": 3}}
BUDGET = 1 << 30


class _KeptBatches(Preparation):
    """Cuts, packs and checks each choice of instances once."""

    @staticmethod
    def of(other: Preparation) -> _KeptBatches:
        made = _KeptBatches(other.packer, other.check, other.told)
        made.kept = {}
        return made

    kept: dict[Any, list[tuple[Tensor, InstanceBatch]]]

    def batches(self, instances: Any, target: Any, budget: Any, schedule: Any = None) -> Any:
        key = tuple(instances.index.tolist()), target, budget
        if key not in self.kept:
            self.kept[key] = list(super().batches(instances, target, budget))
        return self.kept[key]


class Scene:
    """A set-up, its model and data, and what the library says about them.

    Attributes:
        set_up: the set-up.
        model: the model that is explained; its caches are filled, as after training.
        data: what is handed to the library.
        index: four nodes, the last of them without edges, or three graphs.
        inputs: what the model itself runs on for each instance.
        rows: the row of the model's output there that belongs to each instance.
        edges: the columns of that input's ``edge_index`` that the instance's graph has.
    """

    def __init__(self, set_up: SetUp) -> None:
        self.set_up = set_up
        self.model = set_up.make_model()
        self.data = set_up.make_data()
        if set_up.level == "graph":
            self.index = [0, 1, 2]
            self.inputs = [copy.copy(graph) for graph in self.data]
            for graph in self.inputs:
                graph.batch = torch.zeros(graph.num_nodes, dtype=torch.long)
            self.rows = [0] * len(self.index)
        else:
            self.index = [3, 12, 19 if "batch" in set_up.options else 17, 22]
            self.inputs = [self.data] * len(self.index)
            self.rows = self.index
        self.edges = [self._edges(position) for position in range(len(self.index))]
        self._explained: dict[Any, tuple[Explanations, list[str]]] = {}
        self._own = self._predict(self.model)  # fills the caches

    def _edges(self, position: int) -> Tensor:
        data, row = self.inputs[position], self.rows[position]
        owner = data.get("batch")
        if owner is None:
            return torch.arange(data.edge_index.size(1))
        return (owner[data.edge_index[0]] == owner[row]).nonzero().view(-1)

    def _predict(self, model: nn.Module) -> Tensor:
        mode = [module.training for module in model.modules()]
        model.eval()
        outputs = {}
        with torch.no_grad(), torch.random.fork_rng():
            for data in self.inputs:  # nodes share theirs
                if id(data) not in outputs:
                    outputs[id(data)] = literal.predict(model, data, self.set_up.names)
        for module, flag in zip(model.modules(), mode, strict=True):
            module.training = flag
        return torch.stack(
            [outputs[id(data)][row] for data, row in zip(self.inputs, self.rows, strict=True)]
        )

    @cached_property
    def prediction(self) -> Tensor:
        """``[B, C]`` what a fresh copy of the model, without caches, says."""
        return self._predict(self.set_up.make_model())

    # What the library says

    def explain(self, method: str, **options: Any) -> Explanations:
        """All instances together, unless ``index`` says otherwise; the model must not change."""
        return self._explain(method, options)[0]

    def warned(self, method: str) -> list[str]:
        """The fall-back's warnings."""
        return self._explain(method, {})[1]

    def masks(self, method: str, **options: Any) -> list[Tensor]:
        """The dense edge mask of each instance."""
        return [each.edge_mask for each in self.explain(method, **options)]

    def masks_alone(self) -> dict[str, list[Tensor]]:
        """For each of the six methods the dense edge mask of each instance, in calls of its own.

        All methods are given the same batches of one instance.
        """
        found: dict[str, list[Tensor]] = {}
        with self._untouched(), self._only_fallbacks():
            preparation = _KeptBatches.of(self._explainer(SIX[0]).prepare(self.data))
            for method in SIX:
                explainer = self._explainer(method)
                explainer.prepare = lambda _: preparation  # type: ignore[method-assign]
                alone = [explainer.explain(self.data, index=[index])[0] for index in self.index]
                found[method] = [each.edge_mask for each in alone]
        return found

    def _explain(self, method: str, options: dict[str, Any]) -> tuple[Explanations, list[str]]:
        key = (method, *sorted((name, str(value)) for name, value in options.items()))
        if key in self._explained:
            return self._explained[key]
        shared = {name: options[name] for name in ("check", "call") if name in options}
        how = {"index": self.index, **options}
        how = {name: how[name] for name in how if name not in shared}
        with self._untouched():
            explainer = self._explainer(method, **shared)
            with self._only_fallbacks() as caught:
                found = explainer.explain(self.data, **how)
        self._explained[key] = found, [str(each.message) for each in caught]
        return self._explained[key]

    def _explainer(self, method: str, **options: Any) -> Explainer:
        settings = {**SHORT.get(method, {}), **OTHERS.get(method, {}), **options}
        return make_explainer(method, self.model, self.set_up.level, progress=False, **settings)

    @contextmanager
    def _untouched(self) -> Iterator[None]:
        """The model must be what it was after the block, and say what it said."""
        with literal.unchanged(self.model):
            yield
        assert torch.equal(self._predict(self.model), self._own)

    @contextmanager
    def _only_fallbacks(self) -> Iterator[list[warnings.WarningMessage]]:
        """Collects what says that whole graphs are needed; others must be of counted edges."""
        fallbacks: list[warnings.WarningMessage] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FallbackWarning)
            warnings.simplefilter("always", UnseenWarning)
            warnings.simplefilter("ignore", ConstantScoresWarning)  # a scene is small
            yield fallbacks
        fallbacks += [
            each
            for each in caught
            if issubclass(each.category, FallbackWarning)
            or (self.set_up.whole and "depends on other nodes in" in str(each.message))
        ]
        others = [each for each in caught if each not in fallbacks]
        if self.set_up.counts:
            assert all(each.category is UnseenWarning for each in others)
            assert all("depends on the edges in" in str(each.message) for each in others)
        else:
            assert not others, [str(each.message) for each in others]

    @cached_property
    def attributions(self) -> dict[str, list[tuple[Tensor, Attribution]] | GlassgraphError]:
        """What each of `OTHERS` finds in the instance batches, or why it does not.

        For each batch the instances it covers, and their scores.
        """
        found: dict[str, list[tuple[Tensor, Attribution]] | GlassgraphError] = {}
        with self._untouched(), protected(self.model), warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)
            warnings.simplefilter("ignore", UnseenWarning)
            batches = self.batches()
            for method in OTHERS:
                explainer = self._explainer(method)
                try:
                    if isinstance(explainer, AmortizedExplainer):
                        explainer.fit(self.data, index=self.index)
                    found[method] = [(at, explainer.attribute(batch)) for at, batch in batches]
                except GlassgraphError as error:
                    found[method] = error
        return found

    @cached_property
    def preparation(self) -> Preparation:
        """The library's view of model and data."""
        explainer = make_explainer("random", self.model, self.set_up.level, progress=False)
        return explainer.prepare(self.data)

    def batches(self) -> list[tuple[Tensor, InstanceBatch]]:
        """The instance batches; use them inside ``protected(scene.model)``."""
        instances = self.preparation.instances(self.index)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FallbackWarning)
            warnings.simplefilter("ignore", UnseenWarning)
            return list(self.preparation.batches(instances, None, BUDGET))

    def outputs(self, gate: float) -> Tensor:
        """Predictions ``[B, C]`` with one gate on all edges."""
        out = torch.full_like(self.prediction, torch.nan)
        with protected(self.model), torch.no_grad():
            for position, batch in self.batches():
                out[position] = batch.output(gates=gate * batch.ones())
        return out

    @cached_property
    def is_whole(self) -> list[bool]:
        """Which instances are explained on the full graph."""
        with protected(self.model):
            found = {int(i): batch.is_whole for at, batch in self.batches() for i in at}
        return [found[position] for position in range(len(self.index))]

    @cached_property
    def keeps_graphs(self) -> bool:
        """Whether instances are explained side by side, each on a copy of its graph."""
        with protected(self.model):
            return all(batch.keeps_graphs for _, batch in self.batches())

    # The same by hand

    @cached_property
    def gated(self) -> list[literal.Gated]:
        """For each instance the literal model."""
        model, names, carries = self.set_up.make_model(), self.set_up.names, self.set_up.carries
        made = {id(data): literal.Gated(model, data, names, carries) for data in self.inputs}
        return [made[id(data)] for data in self.inputs]

    def gates(self, position: int, value: float = 1.0) -> Tensor:
        """Equal gates ``[E]`` on all edges."""
        return torch.full((self.inputs[position].edge_index.size(1),), value).double()

    def shut(self) -> Tensor:
        """``[B, C]`` predictions where every message of the user's edges is zero."""
        with torch.no_grad():
            return torch.stack(
                [
                    gated(self.gates(position, 0.0))[self.rows[position]]
                    for position, gated in enumerate(self.gated)
                ]
            )

    def occlusion(self, targets: list[int]) -> list[Tensor]:
        """For each instance ``[e]``: how far its score falls when one edge's messages are zero."""
        outputs: dict[tuple[int, int], Tensor] = {}
        found = []
        for position, target in enumerate(targets):
            row, scores = self.rows[position], []
            for edge in self.edges[position].tolist():
                key = (id(self.inputs[position]), edge)
                if key not in outputs:
                    gates = self.gates(position)
                    gates[edge] = 0
                    with torch.no_grad():
                        outputs[key] = self.gated[position](gates)
                scores.append(self.prediction[position, target] - outputs[key][row, target])
            found.append(torch.stack(scores))
        return found

    def gradients(self, targets: list[int]) -> list[Tensor]:
        """For each instance ``[S, e]``: the derivative of its score by the gate of each edge, for
        each of the S message calls."""
        found = []
        for position, target in enumerate(targets):
            gates = self.gates(position).repeat(self.set_up.sites, 1).requires_grad_()
            score = self.gated[position](gates)[self.rows[position], target]
            (gradient,) = torch.autograd.grad(score, gates)
            found.append(gradient[:, self.edges[position]])
        return found


@cache
def scene(name: str) -> Scene:
    """The scene of a set-up, by name; built once per process."""
    (set_up,) = [each for each in SET_UPS if each.name == name]
    return Scene(set_up)
