"""Algorithms of ``torch_geometric.explain`` as methods: one call of the algorithm per prediction.

A ``PGExplainer`` that was trained, a ``CaptumExplainer``, an algorithm of one's own: whatever
derives from ``ExplainerAlgorithm`` is a method wherever a class or a name is. The algorithm is
called on the user's whole graph (of several graphs on the one that is explained), after
``torch.manual_seed(seed)``, as PyG's ``Explainer`` calls it:

* ``edge_mask [E]`` gives the scores of edges;
* ``node_mask [N, 1]`` those of nodes, ``[N, F]`` those of features (and their sums as those of
  nodes), ``[1, F]`` the same of all nodes.

Scores of edges and nodes that cannot reach the prediction are left out.
"""

from __future__ import annotations

import copy
import itertools
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch_geometric.explain.algorithm import ExplainerAlgorithm
from torch_geometric.explain.config import ExplainerConfig, ModelConfig

from glassgraph.calling.out_of_memory import let_through
from glassgraph.calling.protect import random_state_kept
from glassgraph.core.batch import InstanceBatch
from glassgraph.errors import (
    GlassgraphError,
    MethodDefinitionError,
    PyGAlgorithmError,
    TargetError,
    UnsupportedModelError,
)
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.pyg_view import DenseScores, PyGView, without_masks
from glassgraph.explainers.scope import LEVELS, Scope
from glassgraph.explainers.settings import setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.task import Level, Mode, Task
from glassgraph.results.records import Attribution

NodeMask = Literal["auto", "object", "common_attributes", "attributes", "none"]
EdgeMask = Literal["auto", "object", "none"]
Reason = Literal["auto", "model", "phenomenon"]
#: Of nodes and of edges.
Masks: TypeAlias = "tuple[str | None, str | None]"

#: Families of PyG's own, in the survey's terms.
_FAMILIES = {
    "AttentionExplainer": "baseline",
    "CaptumExplainer": "gradient",
    "DummyExplainer": "baseline",
    "GNNExplainer": "perturbation",
    "GraphMaskExplainer": "perturbation",
    "PGExplainer": "perturbation",
    "PGMExplainer": "surrogate",
}
#: What is asked for where nothing is said: the first that the algorithm supports.
_MASKS: tuple[Masks, ...] = (
    ("attributes", "object"),
    ("object", "object"),
    (None, "object"),
    ("attributes", None),
    ("object", None),
    ("common_attributes", "object"),
    ("common_attributes", None),
)
_REASONS = ("model", "phenomenon")


def from_pyg(algorithm: ExplainerAlgorithm, name: str | None = None) -> type[PyGAlgorithm]:
    """An algorithm of PyG's as a method: for settings, for a name of its own, to register it.

    `glassgraph.explain`, `glassgraph.benchmark` and whatever takes the class of a method take the
    algorithm itself as well.

    Args:
        algorithm: an ``ExplainerAlgorithm``; a ``PGExplainer`` has to be trained. It is copied.
        name: of the method; by default ``"pyg_gnn_explainer"``, and with Captum
            ``"pyg_captum_saliency"``.

    Raises:
        MethodDefinitionError: if it is no algorithm, or the name is no name of a method.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.explain import GNNExplainer
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> model = GCN(3, 8, 2, 2)
        >>> gg.explain(model, data, GNNExplainer(epochs=5), index=[2])[0].edge_mask.shape
        torch.Size([3])
        >>> method = gg.from_pyg(GNNExplainer(epochs=5), name="five_epochs")
        >>> method(model, node_mask_type="none", progress=False).explain(data, index=[2, 3])
        Explanations('five_epochs', 2 node predictions)
    """
    if not isinstance(algorithm, ExplainerAlgorithm):
        raise MethodDefinitionError(
            "from_pyg takes an algorithm such as torch_geometric.explain.GNNExplainer(); got "
            f"{algorithm!r}"
        )
    captum = getattr(algorithm, "attribution_method_class", None)
    kind = type(algorithm).__name__
    masks, levels = _supported(algorithm)
    traits = Traits(
        family=_FAMILIES.get(kind, "perturbation"),
        scores=_scores(masks),
        is_learned=kind in ("GNNExplainer", "GraphMaskExplainer", "PGExplainer"),
        is_amortized=kind == "PGExplainer",
        is_signed=captum is not None,
        is_random=True,
        source=f"torch_geometric.explain.{kind}",
    )
    scope = Scope(levels=levels, many_rows=False, settings_in_words=True)
    if name is None:
        word = _snake(kind) if captum is None else f"captum_{_snake(captum.__name__)}"
        name = f"pyg_{word}"
    body = {
        "name": name,
        "traits": traits,
        "scope": scope,
        "algorithm": algorithm,
        "__module__": __name__,
        "__doc__": f"PyG's {kind} as a method, see `glassgraph.from_pyg`.",
    }
    return type(f"PyG{kind}", (PyGAlgorithm,), body)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class PyGAlgorithm(Explainer):
    """Base class of what `from_pyg` makes.

    Raises:
        PyGAlgorithmError: from `explain`, with PyG's own words, if the algorithm refuses the task
            or the masks, or fails.
        TargetError: from `explain`, for a target ``(a, b)``, which PyG does not know.
        UnsupportedModelError: from `explain`, for tasks with several rows.
    """

    algorithm: ClassVar[ExplainerAlgorithm]

    node_mask_type: NodeMask = setting(
        "PyG's, or 'none'; 'auto' for the first that the algorithm supports", default="auto"
    )
    edge_mask_type: EdgeMask = setting(
        "PyG's, or 'none'; 'auto' for the first that the algorithm supports", default="auto"
    )
    explanation_type: Reason = setting(
        "PyG's; 'auto' for 'model' where the algorithm supports it", default="auto"
    )

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The method's own, and what can be read of the algorithm's."""
        plain = (bool, int, float, str)
        own = {
            key: value
            for key, value in vars(self.algorithm).items()
            if not key.startswith("_") and key != "training" and isinstance(value, plain)
        }
        for key in ("coeffs", "kwargs"):
            of_kind = getattr(self.algorithm, key, None)
            if isinstance(of_kind, Mapping):
                own |= {k: v for k, v in of_kind.items() if isinstance(v, plain)}
        return super().hyper_parameters | {"algorithm": type(self.algorithm).__name__, **own}

    def attribute(self, batch: InstanceBatch) -> Attribution:
        """One call of the algorithm for each instance."""
        if batch.targets.contrast is not None:
            raise TargetError(f"{self.name}: PyG explains one class, not a pair (a, b)")
        if batch.targets.rows is not None:
            raise UnsupportedModelError(
                f"{self.name}: PyG explains one row of a model's output, not several of a graph"
            )
        found = DenseScores(batch)
        algorithm = self._connected(batch)
        for instance in range(batch.num_instances):
            view = PyGView.of(batch, instance)
            with torch.enable_grad():
                explanation = self._run(algorithm, view, batch)
            found.add(instance, view, explanation)
        return found.attribution()

    def _connected(self, batch: InstanceBatch) -> ExplainerAlgorithm:
        """A copy of the algorithm that knows the task and the masks.

        Raises:
            PyGAlgorithmError: if it supports none of those asked for.
        """
        has_features = any(each is not None for each in batch.features)
        masks = [
            (node, edge)
            for node, edge in _MASKS
            if self.node_mask_type in ("auto", node or "none")
            and self.edge_mask_type in ("auto", edge or "none")
            and (has_features or node is None)
        ]
        reasons = [each for each in _REASONS if self.explanation_type in ("auto", each)]
        said: list[str] = []
        config = _model_config(batch.task)
        for (node, edge), reason in itertools.product(masks, reasons):
            algorithm = _connect(self.algorithm, (node, edge), reason, config, said)
            if algorithm is not None:
                return algorithm
        why = f": {said[0]}" if said else ""
        features = "" if has_features else " (the graph has no floating features to mask)"
        raise PyGAlgorithmError(
            f"{self.name}: PyG's {type(self.algorithm).__name__} supports none of the masks asked "
            f"for, of a {batch.task.mode} of {batch.task.level}s that returns "
            f"{batch.task.return_type}{features}{why}"
        )

    def _run(self, algorithm: ExplainerAlgorithm, view: PyGView, batch: InstanceBatch) -> Any:
        torch.manual_seed(self.seed)  # noqa: TID251 - PyG draws from it; `explain` puts it back
        np.random.seed(self.seed % 2**32)  # noqa: NPY002, TID251 - the same
        row = view.row.clone()
        try:
            with without_masks(view.model):
                return algorithm(view.model, view.x, view.edges, target=view.target, index=row)
        except GlassgraphError:
            raise
        except Exception as error:
            let_through(error)
            raise PyGAlgorithmError(
                f"{self.name}: PyG's {type(algorithm).__name__} failed: "
                f"{type(error).__name__}: {error}"
            ) from error


# What an algorithm supports


def _supported(algorithm: ExplainerAlgorithm) -> tuple[set[Masks], tuple[str, ...]]:
    """The masks, and the levels, that it says it supports in one mode or another."""
    masks, levels = set[Masks](), set[str]()
    grid = itertools.product(_MASKS, _REASONS, get_args(Level), get_args(Mode))
    for pair, reason, level, mode in grid:
        if _connect(algorithm, pair, reason, _model_config(Task(level, mode, "raw")), []):
            masks.add(pair)
            levels.add(level)
    for level in get_args(Level):  # Captum's take binary models that return probabilities
        task = Task(level, "binary_classification", "probs")
        if _connect(algorithm, _MASKS[0], "model", _model_config(task), []):
            levels.add(level)
    return masks, tuple(each for each in LEVELS if each in levels) or LEVELS


def _scores(masks: set[Masks]) -> tuple[str, ...]:
    nodes = {node for node, _ in masks}
    has = {
        "edge": not masks or any(edge is not None for _, edge in masks),
        "node": nodes - {None},
        "feature": nodes & {"attributes", "common_attributes"},
    }
    return tuple(kind for kind, is_there in has.items() if is_there)


def _model_config(task: Task) -> ModelConfig:
    """A task in PyG's words, whose binary models return no logarithms (see `PyGView`)."""
    returns = task.return_type
    if task.mode == "binary_classification" and returns == "log_probs":
        returns = "probs"
    return ModelConfig(task.mode, task.level, returns)


def _connect(
    algorithm: ExplainerAlgorithm,
    masks: Masks,
    reason: str,
    config: ModelConfig,
    said: list[str],
) -> ExplainerAlgorithm | None:
    """A copy that knows what it is to explain; None, and why in ``said``, if it does not."""
    with random_state_kept():  # PyG 2.6 draws weights of a layer before it copies them
        own = copy.deepcopy(algorithm)
    try:
        with _heard(said):
            own.connect(ExplainerConfig(reason, *masks), config)
    except ValueError as error:
        said.append(str(error))
        return None
    return own


@contextmanager
def _heard(said: list[str]) -> Iterator[None]:
    """Collect what PyG logs of what it does not support, in the place of printing it."""

    class Ear(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            said.append(record.getMessage())
            return False

    ear, root = Ear(), logging.getLogger()
    handlers = list(root.handlers)
    root.addFilter(ear)
    try:
        yield
    finally:
        root.removeFilter(ear)
        for handler in [each for each in root.handlers if each not in handlers]:
            root.removeHandler(handler)  # `logging.error` sets one up where there is none
