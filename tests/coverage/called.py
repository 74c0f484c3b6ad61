"""A set-up seen from outside: what methods find that only call a model."""

from __future__ import annotations

import copy
import warnings
from functools import cached_property

import torch
from torch import Tensor

from glassgraph.black_box.probing import prepare_black_box
from glassgraph.black_box.variants import Variants
from glassgraph.calling.protect import protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.prepare import Preparation
from glassgraph.core.told import FallbackWarning
from glassgraph.errors import GlassgraphError
from glassgraph.explainers.black_box import BlackBoxExplainer
from glassgraph.explainers.registry import METHODS, make_explainer
from glassgraph.inputs.receptive import expand
from glassgraph.results.explanation import Attribution
from tests.coverage import literal
from tests.coverage.scene import BUDGET, Scene

#: Methods that call a model and do nothing else with it.
METHODS_OUTSIDE = [name for name, each in METHODS.items() if issubclass(each, BlackBoxExplainer)]


class Called:
    """A scene's model and two of its predictions, as a method sees them that calls the model.

    Args:
        scene: the scene.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.index = scene.index[:2]

    def _explainer(self, method: str) -> BlackBoxExplainer:
        settings = METHODS[method].test_settings
        set_up = self.scene.set_up
        made = make_explainer(method, self.scene.model, set_up.level, progress=False, **settings)
        assert isinstance(made, BlackBoxExplainer)
        return made

    @cached_property
    def preparation(self) -> Preparation:
        """The library's view of model and data."""
        call = make_explainer("random", self.scene.model, self.scene.set_up.level)._model_call
        task = make_explainer("random", self.scene.model, self.scene.set_up.level).task
        with literal.unchanged(self.scene.model), protected(self.scene.model):
            return prepare_black_box(call, task, self.scene.data, "auto", None)

    @cached_property
    def batches(self) -> list[tuple[Tensor, InstanceBatch]]:
        """The instance batches."""
        with warnings.catch_warnings(), protected(self.scene.model):
            warnings.simplefilter("ignore", FallbackWarning)
            instances = self.preparation.instances(self.index)
            return list(self.preparation.batches(instances, None, BUDGET))

    @property
    def is_whole(self) -> bool:
        """Whether predictions are explained on the full graph."""
        return all(batch.is_whole or batch.keeps_graphs for _, batch in self.batches)

    def without_each_edge(self, every: int) -> list[tuple[int, int, Tensor]]:
        """Instance, edge and output ``[C]`` without the edge, for every k-th edge of the fields."""
        found = []
        with literal.unchanged(self.scene.model), protected(self.scene.model):
            for at, batch in self.batches:
                count = batch.edges_per_instance
                pointer = torch.cat([count.new_zeros(1), count.cumsum(0)])
                chosen = torch.arange(0, batch.num_edges, every)
                owner = batch.edge_instance[chosen]
                edge, variant = expand(pointer, owner)
                stays = edge != chosen[variant]
                output = Variants(batch, BUDGET).on_edges(owner, variant[stays], edge[stays])
                for row, each in enumerate(chosen.tolist()):
                    instance = int(at[owner[row]])
                    found.append((instance, self._edge(batch, instance, each), output[row]))
        return found

    def _edge(self, batch: InstanceBatch, instance: int, row: int) -> int:
        """The number of an edge in the instance's own graph."""
        edge = int(batch.fields.edge[row])
        if self.scene.set_up.level != "graph":
            return edge
        return edge - int(batch.graph.by_graph[1].pointer[self.index[instance]])

    def literal_without(self, instance: int, edge: int) -> Tensor:
        """``[C]`` what a fresh copy of the model says of the user's graph without an edge."""
        scene = self.scene
        data = copy.copy(scene.inputs[instance])
        kept = torch.arange(data.edge_index.size(1)) != edge
        rows = {name: data[name] for name in data.keys() if data.is_edge_attr(name)}  # noqa: SIM118
        for name, value in rows.items():
            data[name] = value[:, kept] if name == "edge_index" else value[kept]
        model = scene.set_up.make_model().eval()
        with torch.no_grad():
            return literal.predict(model, data, scene.set_up.names)[scene.rows[instance]]

    def attributions(self, method: str) -> list[Attribution] | GlassgraphError:
        """What a method finds, or why it does not."""
        quiet = warnings.catch_warnings()
        with literal.unchanged(self.scene.model), protected(self.scene.model), quiet:
            warnings.simplefilter("ignore")
            try:
                explainer = self._explainer(method)
                return [explainer.attribute(batch) for _, batch in self.batches]
            except GlassgraphError as error:
                return error
