"""What methods share that explain a classifier by graphs that it assigns to a class.

A method derives from `ModelExplainer` and implements `_learn`, `_generate`, `_tensors` and
`_restore`. Checks, rules, protection, random graphs, files and results are here.
"""

from __future__ import annotations

import inspect
import platform
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch_geometric
from torch import Tensor, nn
from typing_extensions import Self

from glassgraph._version import __version__
from glassgraph.black_box.callable_module import as_module
from glassgraph.calling.call import Call
from glassgraph.calling.protect import fingerprint, protected
from glassgraph.core.random import uniform
from glassgraph.errors import (
    ExplainerFileError,
    HyperParameterError,
    Interrupted,
    NotFittedError,
    TargetError,
)
from glassgraph.explainers.fitted_file import check_given, read_fitted, restoring, write_fitted
from glassgraph.explainers.graph_generation.classifier import (
    Classifier,
    Decorate,
    Features,
)
from glassgraph.explainers.graph_generation.dense_graphs import DenseGraphs
from glassgraph.explainers.graph_generation.environment import (
    STREAM_INITIAL,
    STREAM_RANDOM,
    Environment,
)
from glassgraph.explainers.graph_generation.graph_rules import (
    Judge,
    Rule,
    as_rule,
    from_json,
)
from glassgraph.explainers.graph_generation.initial_graphs import (
    Start,
    node_type_names,
    read_initial_graphs,
    with_a_first_move,
)
from glassgraph.explainers.graph_generation.random_policy import run_random_policy
from glassgraph.explainers.graph_generation.trajectories import (
    generated_graphs,
    with_probabilities,
)
from glassgraph.explainers.settings import KW_ONLY, Configured, Converted, setting
from glassgraph.explainers.traits import Traits
from glassgraph.inputs.task import Mode, ReturnType, Task
from glassgraph.results.model_explanation import GeneratedGraph, ModelExplanation

if TYPE_CHECKING:
    import pandas as pd

#: Arguments that may be functions, which no file can hold.
_FUNCTIONS = ("features", "decorate", "call")


class UnreachedClassWarning(UserWarning):
    """None of the generated graphs is predicted to be of the class they were generated for."""


def _node_capacity(max_nodes: int) -> int:
    """Two nodes at least: a graph grows by edges."""
    return _at_least("max_nodes", max_nodes, 2)


def _all_rules(rules: Iterable[Rule | Judge]) -> list[Rule]:
    return [as_rule(rule) for rule in rules]


class ModelExplainer(Configured, ABC, kw_only=False):
    """Base class of methods that generate graphs for a class of a graph classifier.

    Args:
        model: a graph classifier, a module or a function of the graph; it is only called, and left
            exactly as it was, also after an error.
        node_types: number of node types, or their names in the order of the features' columns.
        max_nodes: V, nodes that a graph may have.
        rules: what every graph on the way has to keep: `glassgraph.graph_rules`, or functions
            ``(node_type, edge_index) -> bool``. Graphs are simple in any case.
        features: what nodes carry: ``"one_hot"``, ``"degree"`` or ``"constant"`` (one column
            each), or a function ``(node_type [n], edge_index [2, e]) -> x [n, F]``. Many graphs
            are packed into one.
        decorate: ``decorate(data) -> data`` adds whatever else the model reads, such as
            ``edge_attr``, to a packed graph.
        start: what growing begins with: a node of any type (None), of the type of this name or
            number, or a graph ``(node_type, edge_index)``.
        mode: ``"multiclass_classification"`` (the default) or ``"binary_classification"``.
        return_type: the model returns ``"raw"`` logits (the default), ``"probs"`` or
            ``"log_probs"``.
        call: how to call the model, ``call(model, data) -> Tensor``; by default the names in
            ``forward``'s signature are looked up in the data.
        seed: seed of everything random.
        progress: show a progress bar on long work.

    Raises:
        HyperParameterError: for values out of range; rules that no graph can keep.
        TaskError: for a regression.
        ModelCallError: if the model cannot be called on such graphs.
        ModelOutputError: if it does not return one row per graph.
        UnsupportedModelError: if its answers depend on the other graphs in the call.
    """

    name: ClassVar[str]
    traits: ClassVar[Traits]

    model: Converted[nn.Module | Callable[..., Tensor], nn.Module] = Converted(as_module)
    node_types: Converted[int | Sequence[str], tuple[str, ...]] = Converted(node_type_names)
    max_nodes: Converted[int, int] = Converted(_node_capacity)
    _: KW_ONLY
    rules: Converted[Iterable[Rule | Judge], list[Rule]] = Converted(_all_rules, ())
    features: Features = setting("what nodes carry: a word, or a function", default="one_hot")
    decorate: Decorate | None = setting("adds what else the model reads to the data", default=None)
    start: Start = setting("what growing begins with: a node type, or a graph", default=None)
    mode: Mode | None = setting("mode of the task", default=None)
    return_type: ReturnType | None = setting("what the model returns", default=None)
    call: Call | None = setting("how the model is called, call(model, data)", default=None)
    seed: int = setting("seed of everything random", default=0, at_least=-(2**63), below=2**63)
    progress: bool = setting("show a progress bar on long work", default=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.task = Task.of("graph", mode=self.mode, return_type=self.return_type)
        self._rules = [rule.bind(self.node_types) for rule in self.rules]
        self.classifier = Classifier(self.model, self.task, self.features, self.decorate, self.call)
        initial = read_initial_graphs(
            self.start, self.node_types, self.max_nodes, self.classifier.device
        )
        self.initial_graphs = with_a_first_move(initial, self._rules)
        self._probe()
        self.target_class: int | None = None
        self._rows: list[dict[str, Any]] = []

    def _subject(self) -> list[str]:
        types = ", ".join(self.node_types)
        return [type(self.model).__name__, f"node types {types}", f"max_nodes={self.max_nodes}"]

    @abstractmethod
    def _learn(self, target_class: int) -> None:
        """Learn to generate for a class; append a row to ``_rows`` after each piece of work."""

    @abstractmethod
    def _generate(self, target_class: int, n: int) -> tuple[GeneratedGraph, ...]:
        """Generate n graphs, the most probable first."""

    @abstractmethod
    def _tensors(self) -> dict[str, Tensor]:
        """What was learned."""

    @abstractmethod
    def _restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what was learned."""

    @property
    def is_fitted(self) -> bool:
        """Whether there is anything to explain with."""
        return bool(self._rows)

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """Everything but the model, functions by their names (JSON-able)."""
        return {name: _as_json(getattr(self, name)) for name in _names(type(self))}

    @property
    def history(self) -> pd.DataFrame:
        """What happened while fitting."""
        import pandas as pd

        return pd.DataFrame(self._rows)

    def fit(self, target_class: int) -> Self:
        """Learn to generate graphs for a class, from scratch.

        Raises:
            TargetError: if there is no such class.
            FitError: if the loss is not finite.
            Interrupted: on Ctrl-C; what had been learned is kept.
        """
        self.target_class, self._rows = self.environment(target_class).target, []
        try:
            with protected(self.model), torch.enable_grad():
                self._learn(self.target_class)
        except KeyboardInterrupt as interrupt:
            done = f"{len(self._rows)} iterations are done" if self._rows else "too early"
            raise Interrupted(f"interrupted while fitting {self.name}: {done}") from interrupt
        return self

    def explain(self, n: int = 10) -> ModelExplanation:
        """Generate graphs for the class that `fit` was given.

        Raises:
            NotFittedError: before `fit`.
        """
        target = self._fitted_class()
        _at_least("n", n, 1)
        with protected(self.model):
            found = self._generate(target, n)
        explanation = self._explanation(target, found)
        self._warn_if_unreached(explanation)
        return explanation

    def random(
        self,
        n: int = 10,
        *,
        target_class: int | None = None,
        like: ModelExplanation | None = None,
    ) -> ModelExplanation:
        """Random graphs under the same rules, to hold generated ones against.

        Moves are drawn uniformly from those that keep the rules, each edge counted once.

        Args:
            n: how many.
            target_class: the class whose probability is of interest; that of `fit` by default.
            like: graph ``i`` gets as many nodes and edges as graph ``i`` of these (from the start
                again where they are fewer). Without, growing ends at ``max_nodes`` nodes.

        Raises:
            NotFittedError: without a class, before `fit`.
        """
        target = self._fitted_class() if target_class is None else target_class
        environment = self.environment(target)
        initial = self._draw_initial(_at_least("n", n, 1), STREAM_RANDOM)
        nodes = torch.full_like(initial.num_nodes, self.max_nodes)
        edges = torch.full_like(nodes, -1)
        if like is not None and len(like):
            of = [like[i % len(like)] for i in range(n)]
            nodes = nodes.new_tensor([graph.node_type.numel() for graph in of])
            edges = edges.new_tensor([graph.num_edges for graph in of])
        with protected(self.model):
            trajectories, graphs = run_random_policy(environment, initial, nodes, edges)
            asked = with_probabilities(environment, trajectories)
            found = generated_graphs(environment, asked, graphs, None)
        return self._explanation(environment.target, found, is_random=True)

    def environment(self, target_class: int) -> Environment:
        """For which class graphs grow, and under which rules.

        Raises:
            TargetError: if there is no such class.
        """
        classes = range(self.classifier.num_classes)
        is_number = isinstance(target_class, Integral) and not isinstance(target_class, bool)
        if not is_number or target_class not in classes:
            raise TargetError(
                f"target_class {target_class!r} is out of range: the model has {len(classes)} "
                "classes, from 0"
            )
        is_binary = self.task.mode == "binary_classification"
        chance = 0.5 if is_binary else 1 / len(classes)
        return Environment(self.classifier, self._rules, int(target_class), chance, self.seed)

    # Files

    def save(self, path: str | Path) -> Path:
        """Write what was learned, and for which model, into one safetensors file.

        Raises:
            NotFittedError: before `fit`.
            OutputError: if the file cannot be written.
        """
        target = self._fitted_class()
        functions = [name for name in _FUNCTIONS if callable(getattr(self, name))]
        if any(rule.to_json() is None for rule in self.rules):
            functions.append("rules")
        about = {
            "hyper_parameters": self.hyper_parameters,
            "functions": functions,
            "target": target,
            "history": self._rows,
        }
        return write_fitted(Path(path), self.name, self.model, self._tensors(), about)

    @classmethod
    def load(
        cls, path: str | Path, model: nn.Module | Callable[..., Tensor], **shared: Any
    ) -> Self:
        """Read what `save` wrote.

        Args:
            path: the file.
            model: the very model it was fitted for.
            **shared: ``progress``, and those of ``rules``, ``features``, ``decorate`` and ``call``
                that are functions, which no file can hold.

        Raises:
            DamagedFileError: if the file is damaged.
            ExplainerFileError: if it is of another method, format or model, or a function is
                missing.
        """
        tensors, header = read_fitted(Path(path), cls.name, as_module(model))
        check_given(cls, shared)
        with restoring(Path(path)):
            missing = [name for name in header["functions"] if name not in shared]
        if missing:
            raise ExplainerFileError(
                f"{path} was fitted with functions, which no file can hold; give them again: "
                + ", ".join(f"{name}=..." for name in missing)
            )
        known = header["hyper_parameters"]
        with restoring(Path(path)):
            if isinstance(known["start"], list):
                known["start"] = tuple(known["start"])
            if "rules" not in shared:
                known["rules"] = [from_json(rule) for rule in known["rules"]]
            explainer = cls(model, **{**known, **shared})
            explainer._restore(tensors)
            explainer.environment(header["target"])  # which refuses other classes
            if not header["history"]:
                raise ValueError("history is empty")
            explainer.target_class, explainer._rows = int(header["target"]), header["history"]
        return explainer

    # Helpers

    def _probe(self) -> None:
        """Ask the model about small graphs: those to begin with, and what a move makes of them."""
        with protected(self.model):
            row, start, end = self.initial_graphs.moves().nonzero(as_tuple=True)
            first = slice(0, 2)
            grown = self.initial_graphs.take(row[first]).after(start[first], end[first])
            self.classifier.probe(DenseGraphs.cat([self.initial_graphs.take(first), grown]))

    def _draw_initial(self, count: int, iteration: int) -> DenseGraphs:
        """``count`` graphs to begin with, each drawn from those that are possible."""
        row = torch.arange(count, device=self.initial_graphs.node_type.device)
        number = uniform(self.seed, STREAM_INITIAL, iteration, row)
        return self.initial_graphs.take((number * len(self.initial_graphs)).long())

    def _fitted_class(self) -> int:
        if not self.is_fitted or self.target_class is None:
            raise NotFittedError(
                f"{self.name} learns to generate before it explains: call .fit(target_class=...), "
                "or load a file"
            )
        return self.target_class

    def _warn_if_unreached(self, explanation: ModelExplanation) -> None:
        if not any(self._is_reached(graph, explanation.target) for graph in explanation.graphs):
            warnings.warn(
                f"none of the {len(explanation)} generated graphs is predicted to be of class "
                f"{explanation.target}: the highest probability is "
                f"{float(explanation.probability.max()):.3g}. The class may need more than "
                f"max_nodes={self.max_nodes} nodes, other rules, or more iterations; or the model "
                "never predicts it",
                UnreachedClassWarning,
                stacklevel=3,
            )

    def _is_reached(self, graph: GeneratedGraph, target: int) -> bool:
        if self.task.mode == "binary_classification":
            return float(graph.probabilities[target]) > 0.5
        return int(graph.probabilities.argmax()) == target

    def _explanation(
        self, target: int, graphs: tuple[GeneratedGraph, ...], *, is_random: bool = False
    ) -> ModelExplanation:
        provenance = {
            "method": self.name,
            "is_random": is_random,
            "hyper_parameters": self.hyper_parameters,
            "target": target,
            "task": vars(self.task),
            "model": type(self.model).__name__,
            "model_fingerprint": fingerprint(self.model),
            "versions": {
                "glassgraph": __version__,
                "torch": torch.__version__,
                "torch_geometric": torch_geometric.__version__,
                "python": platform.python_version(),
            },
        }
        return ModelExplanation(self.name, target, self.node_types, graphs, provenance)


def _names(method: type[ModelExplainer]) -> list[str]:
    """Names of the arguments that make results what they are."""
    known = inspect.signature(method).parameters
    return [name for name in known if name not in ("model", "progress")]


def _at_least(name: str, value: Any, lowest: int) -> int:
    """An integer that is large enough.

    Raises:
        HyperParameterError: if it is not.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < lowest:
        raise HyperParameterError(f"{name} is an integer of at least {lowest}; got {value!r}")
    return int(value)


def _as_json(value: Any) -> Any:
    """A value as JSON can hold it; functions by their names."""
    if isinstance(value, Rule):
        return value.to_json() or value.name
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_as_json(each) for each in value]
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return value
