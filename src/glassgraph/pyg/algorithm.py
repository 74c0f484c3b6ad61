"""A method as an algorithm for ``torch_geometric.explain.Explainer``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric import explain as pyg
from torch_geometric.data import HeteroData
from torch_geometric.explain.algorithm import ExplainerAlgorithm
from torch_geometric.explain.config import ExplanationType, MaskType, ModelMode

from glassgraph.data.checks import EdgeTypeName
from glassgraph.errors import HyperParameterError, PyGAlgorithmError, TargetError, TaskError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.registry import explain, find_method
from glassgraph.explainers.settings import check_value, settings_of
from glassgraph.inputs.links import find_edge_type
from glassgraph.inputs.task import EdgeTypeLike, Target, Task
from glassgraph.pyg.inputs import PyGCall, PyGInputs
from glassgraph.pyg.typed_graphs import TypedGraphs
from glassgraph.results.explanation import Explanations

#: What PyG's ``Explainer`` says in its own way.
_SAID_BY_PYG = {
    "task": "model_config",
    "mode": "model_config",
    "return_type": "model_config",
    "call": "the call of the Explainer",
}


def as_pyg(
    method: str | type[Explainer] | Explainer,
    *,
    node_type: str | None = None,
    edge_type: EdgeTypeLike | None = None,
    target: Target = None,
    **settings: Any,
) -> GlassgraphAlgorithm:
    """A method as an algorithm for ``torch_geometric.explain.Explainer``.

    Its masks hold the scores that `glassgraph.explain` gives for the same prediction: in the
    method's own units and with its signs, 0 outside of the receptive field.

    ==================================  ============================================================
    ``edge_mask_type="object"``         ``edge_mask [E]``: the scores of edges
    ``node_mask_type="attributes"``     ``node_mask [N, F]``: the scores of features of nodes
    ``node_mask_type="object"``         ``node_mask [N, 1]``: the scores of nodes
    ``"common_attributes"``             for methods with a setting ``feature_mask`` (gnn_explainer)
    ``index=None``, several             the mean over the explanations of each; `Explanations` of
                                        all of them stay in ``algorithm.explanations``
    ``explanation_type="phenomenon"``   the class given as ``target`` is explained
    ==================================  ============================================================

    Args:
        method: its name, its class, or an explainer of the very model, such as one that is fitted.
        node_type: of heterogeneous graphs, the type of nodes that a node-level model predicts; by
            default that with as many nodes as the model has rows of output.
        edge_type: of heterogeneous graphs, the type ``(source, relation, destination)`` of the
            links that an edge-level model predicts.
        target: with ``explanation_type="model"``, what is explained in the place of the predicted
            class: a class, a pair ``(a, b)``, or the column of a regression.
        **settings: the method's own, and those of `Explainer` but for what ``model_config`` says.

    Raises:
        UnknownMethodError: if there is no such method of predictions.
        HyperParameterError: for a setting that is unknown or out of range.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.explain import Explainer
        >>> from torch_geometric.nn import GCN
        >>> x, edge_index = torch.rand(4, 3), torch.tensor([[0, 1, 2], [1, 2, 3]])
        >>> explainer = Explainer(
        ...     GCN(3, 8, 2, 2),
        ...     algorithm=gg.as_pyg("occlusion"),
        ...     explanation_type="model",
        ...     edge_mask_type="object",
        ...     model_config={
        ...         "mode": "multiclass_classification",
        ...         "task_level": "node",
        ...         "return_type": "raw",
        ...     },
        ... )
        >>> explainer(x, edge_index, index=2).edge_mask.shape
        torch.Size([3])
    """
    return GlassgraphAlgorithm(
        method, node_type=node_type, edge_type=edge_type, target=target, **settings
    )


class GlassgraphAlgorithm(ExplainerAlgorithm):
    """What `as_pyg` makes.

    Attributes:
        method: the class of the method.
        explanations: of the last call, one for each prediction: for reports, files and metrics.
    """

    def __init__(
        self,
        method: str | type[Explainer] | Explainer,
        *,
        node_type: str | None = None,
        edge_type: EdgeTypeLike | None = None,
        target: Target = None,
        **settings: Any,
    ) -> None:
        super().__init__()
        self._ready = method if isinstance(method, Explainer) else None
        self.method: type[Explainer] = (
            type(method) if isinstance(method, Explainer) else find_method(method)
        )
        self.explanations: Explanations | None = None
        self._node_type, self._edge_type = node_type, edge_type
        self._target, self._settings = target, settings
        self._check_settings()
        self._built: tuple[nn.Module, Any, Explainer] | None = None
        self._read: tuple[PyGInputs, str | None, Any] | None = None
        self._graphs: TypedGraphs | None = None

    def __repr__(self) -> str:
        settings = "".join(f", {name}={value!r}" for name, value in self._settings.items())
        return f"as_pyg({self.method.name!r}{settings})"

    def _check_settings(self) -> None:
        """Refuse settings now, not when the first prediction is explained."""
        if self._ready is not None and self._settings:
            raise HyperParameterError(
                f"as_pyg was given a {self.method.name} explainer that has its settings already; "
                f"leave {', '.join(self._settings)} out"
            )
        for name in self._settings:
            if name in _SAID_BY_PYG:
                raise HyperParameterError(
                    f"{name} is said by {_SAID_BY_PYG[name]} of torch_geometric.explain.Explainer; "
                    "leave it out"
                )
        self.method.__new__(self.method, **self._settings)  # refuses names that are not known
        for each in settings_of(self.method):
            if each.name in self._settings:
                check_value(self.method, each, self._settings[each.name])

    # What PyG asks

    def supports(self) -> bool:
        """Whether the method fits the configuration; PyG's log says why not."""
        reason = self.why_not()
        if reason is not None:
            logging.error(reason)
        return reason is None

    def connect(self, explainer_config: Any, model_config: Any) -> None:
        """Take the configuration of a PyG ``Explainer``.

        Raises:
            PyGAlgorithmError: a ``ValueError``, as PyG's own, that says what does not fit and why.
        """
        self._explainer_config = pyg.ExplainerConfig.cast(explainer_config)
        self._model_config = pyg.ModelConfig.cast(model_config)
        reason = self.why_not()
        if reason is not None:
            raise PyGAlgorithmError(reason)

    def why_not(self) -> str | None:
        """Why the method does not fit the configuration; None if it does."""
        name, scores, scope = self.method.name, self.method.traits.scores, self.method.scope
        level = self.model_config.task_level.value
        returns = self.model_config.return_type.value
        has = f"{name} scores {' and '.join(f'{each}s' for each in scores)}"
        if level not in scope.levels:
            return (
                f"{name} explains {' and '.join(scope.levels)} predictions, not those of {level}s"
            )
        if returns not in scope.return_types:
            wanted = ", ".join(scope.return_types)
            return f"{name} explains models that return {wanted}, not {returns}"
        if self.model_config.mode.value == "regression" and not scope.regression:
            return f"{name} explains classifications, not regressions"
        if self.explainer_config.edge_mask_type is not None and "edge" not in scores:
            return f"{has}; leave edge_mask_type out"
        reason = self._why_no_node_mask()
        return None if reason is None else f"{has}; {reason}"

    def _why_no_node_mask(self) -> str | None:
        kind, scores = self.explainer_config.node_mask_type, self.method.traits.scores
        if kind is None or self._chooses_features:
            return None
        if "feature" not in scores and "node" not in scores:
            return "leave node_mask_type out"
        if kind == MaskType.attributes and "feature" not in scores:
            return "give node_mask_type='object', or leave it out"
        if kind == MaskType.object and "node" not in scores:
            return "give node_mask_type='attributes', or leave it out"
        if kind == MaskType.common_attributes:
            of_each = "attributes" if "feature" in scores else "object"
            return (
                f"none are shared by all nodes: give node_mask_type={of_each!r}, and sum over nodes"
            )
        return None

    @property
    def _chooses_features(self) -> bool:
        """Whether the method has a setting for what one value of its mask stands for."""
        return any(each.name == "feature_mask" for each in settings_of(self.method))

    # What PyG calls

    def forward(
        self,
        model: nn.Module,
        x: Tensor | Mapping[str, Tensor],
        edge_index: Tensor | Mapping[Any, Tensor],
        *,
        target: Tensor,
        index: int | Tensor | None = None,
        **kwargs: Any,
    ) -> pyg.Explanation | pyg.HeteroExplanation:
        """Explain predictions; PyG's ``Explainer`` calls this.

        Raises:
            TaskError: if it cannot be told which type of nodes is predicted.
            TargetError: of a regression, for other values than the model's own.
            GlassgraphError: see `glassgraph.errors`.
        """
        inputs = PyGInputs(x, edge_index, kwargs)
        task = self._task(inputs, target)
        links = inputs.links(target.size(0)) if task.level == "edge" and target.dim() else None
        batch = inputs.batch() if task.level == "graph" else None
        kind = task.edge_type
        data = self._data(inputs, links, batch, kind)
        call = inputs.call(model, links, batch, kind)
        wanted = self._wanted(model, inputs, target, index)
        if self._ready is not None:
            self._refuse_another(model, task)
            found = self._ready.explain(data, index, wanted)
        else:
            found = self._explain(model, data, task, call, index, wanted)
        self.explanations = found
        return self._combined(found, data)

    def _data(self, inputs: PyGInputs, links: str | None, batch: str | None, edge_type: Any) -> Any:
        """The same object for the same inputs, so that the model is traced once."""
        if self._read is None or self._read[1] != links or not inputs.same(self._read[0]):
            data, self._graphs = inputs.data(links, batch, edge_type), None
            if batch is not None:
                self._graphs = TypedGraphs.split(data, inputs.arguments[batch])
                data = self._graphs.batch
            self._read = (inputs, links, data)
        return self._read[2]

    def _task(self, inputs: PyGInputs, target: Tensor) -> Task:
        config = self.model_config
        task = Task(
            config.task_level.value, mode=config.mode.value, return_type=config.return_type.value
        )
        if not isinstance(inputs.x, Mapping) or task.level == "graph":
            return task
        if task.level == "edge":
            return Task.of(task, edge_type=self._explained_edge_type(inputs))
        sizes = {name: value.size(0) for name, value in inputs.x.items()}
        rows = target.size(0) if target.dim() else 1
        fitting = [name for name, size in sizes.items() if size == rows]
        if self._node_type is None and len(fitting) != 1:
            raise TaskError(
                f"the model returned {rows} rows, and node types have {sizes} nodes: say which one "
                f"it predicts, glassgraph.as_pyg({self.method.name!r}, node_type=...)"
            )
        return Task.of(task, node_type=self._node_type or fitting[0])

    def _explained_edge_type(self, inputs: PyGInputs) -> EdgeTypeName:
        """The type of explained links or edges.

        Raises:
            TaskError: if it is not said, or there is none of that name.
        """
        said = self._edge_type if self._ready is None else self._ready.task.edge_type
        if said is None:
            raise TaskError(
                "of heterogeneous graphs say which links or edges the model predicts, glassgraph."
                f"as_pyg({self.method.name!r}, edge_type=(source, relation, destination))"
            )
        if isinstance(said, tuple) and len(said) == 3:
            source, relation, target = said
            known = set(inputs.x)
            if {source, target} <= known:  # along links that are predicted nothing need be sent
                return source, relation, target
        return find_edge_type(said, list(inputs.edge_index))

    def _wanted(
        self, model: nn.Module, inputs: PyGInputs, target: Tensor, index: int | Tensor | None
    ) -> Target:
        """The explained classes."""
        if self.explainer_config.explanation_type == ExplanationType.model:
            return self._target
        if self._target is not None:
            raise TargetError(
                "explanation_type='phenomenon' explains the target given to the Explainer; leave "
                "target out of as_pyg"
            )
        if self.model_config.mode != ModelMode.regression:
            return target if index is None else target[index].view(-1)
        with torch.no_grad():
            own = model(inputs.x, inputs.edge_index, **inputs.arguments)
        rows = slice(None) if index is None else index
        if own[rows].numel() != target[rows].numel() or not torch.allclose(
            own[rows].view(-1), target[rows].view(-1).to(own.dtype), rtol=1e-4, atol=1e-6
        ):
            raise TargetError(
                "of a regression the model's own values are explained, and the target holds "
                "others; give explanation_type='model', without a target"
            )
        return None

    def _explain(
        self,
        model: nn.Module,
        data: Any,
        task: Task,
        call: PyGCall | None,
        index: int | Tensor | None,
        target: Target,
    ) -> Explanations:
        settings = {"progress": False, **self._mask_settings(), **self._settings}
        key = (task, call, tuple(settings.items()))
        if self._built is None or self._built[0] is not model or self._built[1] != key:
            explainer = self.method(model, task, call=call, **settings)
            if explainer.needs_fit:  # anew for each call, as `explain` does
                return explain(model, data, self.method, task, index, target, call=call, **settings)
            self._built = (model, key, explainer)
        return self._built[2].explain(data, index, target)

    def _mask_settings(self) -> dict[str, Any]:
        """What the types of masks say to methods that have a choice."""
        names = {each.name for each in settings_of(self.method)}
        node, edge = self.explainer_config.node_mask_type, self.explainer_config.edge_mask_type
        found = {}
        if "feature_mask" in names:
            found["feature_mask"] = "none" if node is None else node.value
        if self.method.name == "integrated_gradients" and (node is None or edge is None):
            found["on"] = "messages" if node is None else "features"
        return found

    def _refuse_another(self, model: nn.Module, task: Task) -> None:
        ready = self._ready
        assert ready is not None
        if ready.model is not model:
            raise HyperParameterError(
                f"as_pyg was given a {ready.name} explainer of another model; the Explainer has to "
                "be given the model that it explains"
            )
        same = ("level", "mode", "return_type")
        if any(getattr(ready.task, name) != getattr(task, name) for name in same):
            raise TaskError(
                f"model_config says {task}, and the explainer was made for {ready.task}"
            )

    # What PyG is given

    def _combined(self, found: Explanations, data: Any) -> pyg.Explanation | pyg.HeteroExplanation:
        """The mean of the masks that are asked for."""
        if not len(found):
            raise PyGAlgorithmError("there is nothing to explain: index names no prediction")
        if not isinstance(data, HeteroData):
            return pyg.Explanation(**_mean(self._masks(each) for each in found))
        explanation, each = pyg.HeteroExplanation(), list(found)
        for kind in (*data.node_types, *data.edge_types):
            for name, mask in _mean(self._typed_masks(one, kind) for one in each).items():
                explanation[kind][name] = mask
        return explanation

    def _typed_masks(self, explanation: Any, kind: Any) -> dict[str, Tensor]:
        """The masks of one type; of several graphs those of all."""
        masks = self._masks(explanation[kind])
        if self._graphs is None:
            return masks
        graph = explanation.local.graph
        return {name: self._graphs.whole(mask, graph, kind) for name, mask in masks.items()}

    def _masks(self, store: Any) -> dict[str, Tensor]:
        """The masks of an explanation, or of one of its types, that are asked for."""
        masks = {}
        kind = self.explainer_config.node_mask_type
        if kind == MaskType.object and "node_score" in store:
            masks["node_mask"] = store.node_score.view(-1, 1)
        elif kind is not None and "node_mask" in store:
            masks["node_mask"] = store.node_mask
        if self.explainer_config.edge_mask_type is not None and "edge_mask" in store:
            masks["edge_mask"] = store.edge_mask
        return masks


def _mean(each: Iterable[dict[str, Tensor]]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    count = 0
    for masks in each:
        count += 1
        total = {name: mask + total.get(name, 0) for name, mask in masks.items()}
    return {name: mask / count for name, mask in total.items()}
