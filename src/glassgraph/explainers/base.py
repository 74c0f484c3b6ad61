"""What every method shares: checks, cutting, packing, protection, progress, unpacking.

A method derives from `Explainer`, declares its hyper-parameters with `setting` and implements
`attribute`: from an `InstanceBatch` to an `Attribution`. Everything else happens here. What a user
gives is checked when the method is built and in `Explainer.prepare`, what `attribute` returns in
`glassgraph.explainers.guard`.
"""

from __future__ import annotations

import functools
import inspect
import platform
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import torch
import torch_geometric
from torch import Tensor, nn
from typing_extensions import Unpack

from glassgraph._version import __version__
from glassgraph.black_box.callable_module import as_module
from glassgraph.calling.call import Call, ModelCall
from glassgraph.calling.protect import fingerprint, protected
from glassgraph.core.batch import InstanceBatch
from glassgraph.core.context import Check
from glassgraph.core.own_edges import why_no_edges
from glassgraph.core.prepare import Preparation
from glassgraph.core.sites import find_channels
from glassgraph.core.told import OnUnseen
from glassgraph.errors import HyperParameterError, Interrupted, UnsupportedModelError
from glassgraph.explainers.constant import remarks, tell
from glassgraph.explainers.divergence import Divergence, resolve_divergence
from glassgraph.explainers.guard import check_attribution, check_class
from glassgraph.explainers.saved_run import SavedRun
from glassgraph.explainers.scope import Scope
from glassgraph.explainers.settings import Configured, Converted, setting
from glassgraph.explainers.traits import Traits
from glassgraph.explainers.unpack import unpack
from glassgraph.inputs.instances import Instances
from glassgraph.inputs.task import Mode, ReturnType, Target, Task, probabilities
from glassgraph.masking.keep import predict
from glassgraph.masking.message_sets import Scene
from glassgraph.masking.rerun import Rerun
from glassgraph.progress import progress_bar
from glassgraph.results.aggregates.edge_scores import Ranking
from glassgraph.results.explanation import Attribution, Explanations, Part
from glassgraph.results.given_names import GivenNames, check_known, refuse_other_outputs
from glassgraph.results.names import outputs_of
from glassgraph.results.predictions import Predictions

#: Memory that one instance batch may take, in bytes, unless the user says otherwise.
DEFAULT_MEMORY_BUDGET = 1 << 30
#: Of one graph: numbers; of a list: those of each graph.
_Versions: TypeAlias = "tuple[int | _Versions, ...]"


def _unchanged(model: Any) -> Any:
    """Models are checked once all arguments are there, see `Explainer._check_model`."""
    return model


class Explainer(Configured, ABC, kw_only=False):
    """Base class of all methods.

    A model in bfloat16 or float16, or one that runs under ``torch.autocast``, is explained as it
    computes; masks, gates and scores around it are float32, and are stored so. (Walks are read from
    the same model in float32, and so is all relevance where autocast is on.)

    Args:
        model: a trained model with PyG message-passing layers or message taps. It is left exactly
            as it was, also after an error. Of a compiled model the modules inside are explained,
            once they are seen to return the same. Methods that only call the model take functions,
            scripted and traced models as well, see `BlackBoxExplainer`.
        task: ``"node"``, ``"graph"``, ``"edge"``, or a `glassgraph.Task`.
        mode: overrides the task's mode (``"binary_classification"``, ``"regression"``, ...).
        return_type: overrides what the model returns (``"raw"``, ``"probs"``, ``"log_probs"``).
        call: how to call the model, ``call(model, data) -> Tensor``; by default the names in
            ``forward``'s signature are looked up in the data. An argument named ``data``, ``graph``
            or ``g``, or annotated as data, is given the data object (a ``Batch`` where there are
            several graphs, or the task is about graphs). Of a single argument that may be either,
            such as ``forward(self, batch)``, both are tried, the object first. ``n_id`` holds the
            numbers of nodes in the user's graph.
        seed: seed of everything random. An instance's numbers do not depend on the others.
        memory_budget: bytes that one batch of instances may take.
        check: how packed predictions are checked: ``"full"`` against the user's graph, ``"local"``
            against the surroundings of the receptive fields, ``"auto"`` in full where affordable;
            of nodes of a graph with more than 50,000 edges against the surroundings of the first
            ones, and then of one in 64.
        on_unseen: what is done if the model sends messages beside those of its layers and taps, so
            that scores of these would mislead: ``"raise"``, ``"warn"``, or ``"ignore"`` (not
            looked for).
        progress: show a progress bar on long work.

    Raises:
        NoMessagePassingError: if the model has no message passing.
        TaskError: if the task is not understood.
        HyperParameterError: for an unknown name, a value of another type or out of range.
        MethodDefinitionError: if the class lacks its name or traits.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> class InDegree(gg.Explainer):
        ...     name = "in_degree"
        ...     traits = gg.Traits(family="baseline", scores=("edge",))
        ...
        ...     def attribute(self, batch):
        ...         receiver = batch.fields.destination
        ...         count = torch.bincount(receiver, minlength=batch.num_nodes)
        ...         return gg.Attribution(edge=count[receiver].to(batch.dtype))
        >>> data = Data(x=torch.rand(3, 3), edge_index=torch.tensor([[0, 1, 2], [2, 2, 1]]))
        >>> InDegree(GCN(3, 8, 1, 2), task="node").explain(data, index=[2])[0].edge_mask
        tensor([2., 2., 0.])
    """

    name: ClassVar[str]
    traits: ClassVar[Traits]
    #: What it can explain, and which laws hold in a weaker form.
    scope: ClassVar[Scope] = Scope()
    #: Settings with which `glassgraph.testing` explains in moments.
    test_settings: ClassVar[Mapping[str, Any]] = {}
    #: Settings without which a formula speaks of the size of the receptive field.
    fixed_settings: ClassVar[Mapping[str, Any]] = {}
    #: Settings with which one edge that carries all evidence has to come first.
    evidence_settings: ClassVar[Mapping[str, Any]] = {}

    model: Converted[nn.Module | Callable[..., Any], nn.Module] = Converted(_unchanged)
    task: Converted[str | Task, Task] = Converted(Task.of, "node")
    _: KW_ONLY
    mode: Mode | None = setting("overrides the task's mode", default=None)
    return_type: ReturnType | None = setting("overrides what the model returns", default=None)
    call: Call | None = setting("how the model is called, call(model, data)", default=None)
    seed: int = setting("seed of everything random", default=0, at_least=-(2**63), below=2**63)
    memory_budget: int = setting(
        "bytes that one batch of instances may take", default=DEFAULT_MEMORY_BUDGET, at_least=1
    )
    check: Check = setting("how packed predictions are checked", default="auto")
    on_unseen: OnUnseen = setting(
        "what is done about messages beside those of layers and taps", default="raise"
    )
    progress: bool = setting("show a progress bar on long work", default=True)

    def __post_init__(self) -> None:
        check_class(type(self))
        self.task = Task.of(self.task, mode=self.mode, return_type=self.return_type)
        super().__post_init__()
        self.model = self._check_model(self.model)
        self._model_call = ModelCall(self.model, self.call)
        self._prepared: tuple[Any, _Versions, Preparation] | None = None

    def _subject(self) -> list[str]:
        return [type(self.model).__name__, f"task={self.task.level!r}"]

    def _check_model(self, model: Any) -> nn.Module:
        """The model, if the method can explain such a model.

        Raises:
            HyperParameterError: if it is no module, nor a method or a partial call of one.
            NoMessagePassingError: if it has no message passing.
        """
        module = as_module(model) if callable(model) else None
        if module is None or (module is not model and not any(module.children())):
            raise HyperParameterError(
                f"model must be a torch.nn.Module; got {type(model).__name__}. {self.name} looks "
                "into the model: give the module (and call=lambda model, data: ... to say how it "
                "is called), or take a method that only calls it, such as causal_screening"
            )
        find_channels(module)
        return module

    @abstractmethod
    def attribute(self, batch: InstanceBatch) -> Attribution:
        """Score the edges, nodes or features of a batch of instances."""

    def baselines(self, batch: InstanceBatch) -> Sequence[Tensor | None] | None:
        """What the method puts in the place of shut messages, one entry per site; None for zero."""
        return None

    @property
    def needs_fit(self) -> bool:
        """Whether it learns with `fit` before it explains."""
        return False

    def learned(self) -> Mapping[str, Tensor]:
        """What it learned before it explains, by name; explanations depend on it."""
        return {}

    @property
    def threshold(self) -> float | None:
        """Score above which the method keeps a message or edge; None if it makes no decision."""
        return None

    @property
    def output_divergence(self) -> Divergence:
        """How far the method takes outputs under masks to be from the model's own.

        Unless it has a measure of its own, ``"kl"`` for classes, ``"squared_error"`` for numbers.
        """
        return resolve_divergence(self.task, None)

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The method's own hyper-parameters."""
        shared = hyper_parameter_names(Explainer)
        names = hyper_parameter_names(type(self))
        return {name: getattr(self, name) for name in names if name not in shared}

    def prepare(self, data: Any) -> Preparation:
        """Check the data, trace the model and build the index of edges, once for each data object.

        `explain` does this itself; call it to have the cost apart.
        """
        key = _versions(data)
        if self._prepared is not None and self._prepared[0] is data and self._prepared[1] == key:
            return self._prepared[2]
        with protected(self.model):
            preparation = self._preparation_of(data)
        self._require_edges(preparation)
        preparation.told.own_edges(preparation.wiring)
        self._prepared = (data, key, preparation)
        return preparation

    def tabulate(self, store: Any, *, memory: int | None = None) -> None:
        """Ready a large graph on disk for explaining many of its nodes.

        What layers derive from the graph alone is computed once for all edges and kept in the
        store's folder, where every process finds it. That helps where it follows no formula that is
        known: normalized weights like those of GCN are computed from degrees as they are needed,
        and models without such weights need nothing. Without it explanations of other models read
        what lies around receptive fields, which takes several times longer. Results are the same
        up to rounding.

        Args:
            store: a `glassgraph.data.GraphStore`. For other data nothing is done.
            memory: bytes to do it in, ``memory_budget`` if None. It takes about ten times longer
                where that is less than 1000 bytes for each edge.

        Raises:
            OutputError: if the store's folder cannot be written to.
            GlassgraphError: see `explain`.
        """
        preparation = self.prepare(store)
        with protected(self.model):
            preparation.tabulate(self.memory_budget if memory is None else memory)

    def _require_edges(self, preparation: Preparation) -> None:
        """Refuse a model that builds its edges itself, if nothing else is scored.

        Raises:
            UnsupportedModelError: naming what can be done.
        """
        reason = why_no_edges(preparation.graph, preparation.wiring)
        if self._needs_edges and reason is not None:
            raise UnsupportedModelError(f"{self.name}: {reason}")

    @property
    def _needs_edges(self) -> bool:
        """Whether there is nothing to score without edges."""
        is_of_edges = set(self.traits.scores) <= {"edge", "layer edge"}
        return is_of_edges or self.scope.needs_edges

    def _prepare_for(self, data: Any, index: Any) -> tuple[Preparation, Instances]:
        """`prepare`; of a list that it knows, only the graphs to explain are looked through."""
        if self._prepared is not None and self._prepared[0] is data:
            _, key, preparation = self._prepared
            is_list = isinstance(data, (list, tuple)) and len(data) == len(key)
            if is_list and preparation.task.level == "graph":
                instances = preparation.instances(index)
                if all(_versions(data[i]) == key[i] for i in instances.graph.tolist()):
                    return preparation, instances
        preparation = self.prepare(data)
        return preparation, preparation.instances(index)

    def open(self, data: Any) -> Preparation:
        """The data and the model with its messages in view, for experiments that shut them."""
        return self.prepare(data)

    def _preparation_of(self, data: Any) -> Preparation:
        reads_messages = self.traits.family != "baseline" and "edge" in self.traits.scores
        on_unseen = self.on_unseen if reads_messages else "ignore"
        return Preparation.read(
            self.model, self._model_call, self.task, data, self.check, on_unseen
        )

    def explain(
        self,
        data: Any,
        index: Any = None,
        target: Target = None,
        *,
        save_to: str | Path | None = None,
        resume: bool = False,
        **names: Unpack[GivenNames],
    ) -> Explanations:
        """Explain predictions.

        Args:
            data: ``Data``, ``HeteroData``, a list of them, a ``Batch`` or a data set.
            index: which nodes, graphs, links (columns of ``edge_label_index``) or edges (columns
                of ``edge_index``, see `Task`): a number, a list, range, array, tensor, pandas
                column or set of numbers, a mask in any of these forms, for nodes with types also
                ``{node_type: ...}``, for links and edges also pairs ``[(source, destination),
                ...]``; everything if None.
            target: the explained class: ``None`` or ``"predicted"``, ``"label"``, a class, a pair
                ``(a, b)`` for "why a rather than b", or a tensor with one class per instance.
            save_to: a folder that receives the explanations batch by batch, so that a run that
                dies loses nothing it had finished. An earlier result there is replaced once the
                new one is whole.
            resume: go on with the run that was saved there: what it had finished is not explained
                again, and the result equals that of a run without interruption, bit for bit where
                ``memory_budget`` is the same. Where nothing is saved yet, the run begins.
            **names: what things are called in reports, plots, tables and files: ``node_names``,
                ``edge_names``, ``feature_names``, ``class_names``, ``graph_names``, each as
                `Explanations.named` takes it. What is not named here has the name that the data
                hold, if any.

        Returns:
            One explanation for each instance, in the order of ``index``.

        Raises:
            GlassgraphError: see `glassgraph.errors`; the message says what to do.
            GraphError: if there is not one name for each.
            ResumeError: if the saved run has another method, setting, seed, index, target, data or
                model, or another fit; the message lists all that differs.
            FolderInUseError: if another process writes into the folder.
            Interrupted: on Ctrl-C, with what is done in its ``explanations``.

        Warns:
            ConstantScoresWarning: of explanations that tell nothing apart, with the reason; each of
                them carries it as its ``local.remark``.
        """
        preparation, instances = self._prepare_for(data, index)
        untold = Counter[str]()
        empty = self._empty(preparation, names)
        with SavedRun(self, empty, instances, target, save_to, resume=resume) as run:
            header, parts = run.provenance, run.parts
            try:
                with protected(self.model), self._bar(len(instances)) as bar:
                    bar.update(run.num_done)
                    for position, batch in run.batches(preparation, self.memory_budget):
                        attribution = check_attribution(self, self.attribute(batch), batch)
                        remark, causes = remarks(self.traits, batch, attribution)
                        untold += causes
                        part = unpack(preparation, instances, position, batch, attribution, remark)
                        refuse_other_outputs(header.get("names", {}), outputs_of(part))
                        run.add(part)
                        bar.update(int(position.numel()))
            except KeyboardInterrupt as interrupt:
                done = self._collect(preparation, header, parts, False)
                raise Interrupted(
                    f"interrupted: {len(done)} of {len(instances)} explanations are done (in this "
                    f"error's .explanations{run.where})",
                    done,
                ) from interrupt
            run.finish()
        tell(self.name, untold, parts)
        return self._collect(preparation, header, parts, True)

    def predict(
        self,
        data: Any,
        explanations: Explanations,
        keep: Any = "kept",
        *,
        baselines: bool = True,
        threshold: float | None = None,
        top_share: float | None = None,
        ranking: Ranking = "signed",
        seed: int = 0,
    ) -> Predictions:
        """What does the model predict with only some of the messages open?

        Every explained prediction is made again, all at once, with the other messages shut: the
        graph, its degrees and softmaxes stay as they are. What explanations do not speak of stays
        open: self-loops that a layer adds by itself, messages behind a pooling, edges of other
        graphs of a batch.

        Args:
            data: the explained graph(s).
            explanations: made by this explainer.
            keep: ``"kept"``, the messages that the explanations retain; ``"dropped"``, the others;
                ``"all"``, ``"none"``; a number, a random share of the kept ones (0.75); a function
                of a `LocalExplanation` that returns booleans ``[e]`` or ``[L, e]``; a mask ``[E]``
                or ``[L, E]``, or a list with one for each explanation; or any set of
                `glassgraph.messages`, such as ``messages.ALL - messages.layer(1)``.
            baselines: whether a shut message becomes what the method puts in its place (a learned
                baseline; zero where it has none), or zero in any case.
            threshold: messages with a greater score are retained; by default the method's own.
            top_share: or: this share of each prediction's messages is retained, the best ones.
            ranking: ``"signed"`` or ``"absolute"`` scores, for what is retained.
            seed: of everything drawn at random.

        Returns:
            The model's outputs, beside those of the unchanged model, in the explanations' order.

        Raises:
            HyperParameterError: for an unknown word, a mask of another shape, arguments out of
                range, or if nothing says what is retained.
            ExplanationFileError: for explanations of another method, model or other data.
            GlassgraphError: see `explain`.

        Example:
            >>> import torch
            >>> import glassgraph as gg
            >>> from torch_geometric.data import Data
            >>> from torch_geometric.nn import SimpleConv
            >>> x = torch.tensor([[0.0], [1.0], [3.0], [-1.0]])
            >>> data = Data(x=x, edge_index=torch.tensor([[1, 2, 3], [0, 0, 0]]))
            >>> explainer = gg.Occlusion(SimpleConv(), gg.Task("node", mode="regression"))
            >>> explanations = explainer.explain(data, [0])
            >>> explainer.predict(data, explanations, top_share=0.3).outputs  # 3, the best of three
            tensor([[3.]])
            >>> explainer.predict(data, explanations, keep="dropped", top_share=0.3).outputs
            tensor([[0.]])
            >>> explainer.predict(data, explanations, keep=[True, True, False]).outputs
            tensor([[4.]])
        """
        rerun = Rerun.of(self, data, explanations=explanations)
        scene = Scene.of(rerun, threshold, top_share, ranking, seed)
        return predict(rerun, scene, keep, baselines=baselines)

    def check_names(
        self,
        data: Any,
        index: Any = None,
        target: Target = "predicted",
        **names: Unpack[GivenNames],
    ) -> None:
        """Hold names against data and model, as `explain` does, before anything takes time.

        Args:
            data: the graph(s).
            index: what will be explained; the model is run on the first of them, to count its
                outputs, if there are names of classes.
            target: the output that will be explained.
            **names: what things are called.

        Raises:
            GraphError: if there is not one name for each.
            HyperParameterError: for names of something else.
        """
        if not names:
            return
        preparation = self.prepare(data)
        header = self._empty(preparation, names).provenance
        if names.get("class_names") is None:
            return
        instances = preparation.instances(index)
        for _, batch in preparation.batches(instances, target, self.memory_budget):
            outputs = probabilities(batch.task, batch.reference).size(1)
            refuse_other_outputs(header["names"], outputs)
            break

    def _empty(self, preparation: Preparation, names: GivenNames) -> Explanations:
        """A result without explanations, which knows how everything is called."""
        check_known(names)
        empty = self._collect(preparation, self._provenance(preparation), [], False)
        return empty.named(**names) if names else empty

    def _collect(
        self, preparation: Preparation, header: dict[str, Any], parts: list[Part], done: bool
    ) -> Explanations:
        return Explanations(
            method=self.name,
            level=preparation.task.level,
            num_layers=preparation.wiring.num_layers,
            provenance=header,
            parts=parts,
            is_complete=done,
            graph=preparation.graph,
        )

    def _provenance(self, preparation: Preparation) -> dict[str, Any]:
        graph, task = preparation.graph, preparation.task
        return {
            "method": self.name,
            "hyper_parameters": self.hyper_parameters,
            "seed": self.seed,
            "threshold": self.threshold,
            "task": {
                "level": task.level,
                "mode": task.mode,
                "return_type": task.return_type,
                "node_type": task.node_type,
                "edge_type": None if task.edge_type is None else list(task.edge_type),
                "predicts": task.predicts,
                "rows": task.rows,
            },
            "model": type(self.model).__name__,
            "model_fingerprint": fingerprint(self.model),
            "model_arguments": self._model_call.argument_names,
            "graph": graph.summary(),
            "versions": {
                "glassgraph": __version__,
                "torch": torch.__version__,
                "torch_geometric": torch_geometric.__version__,
                "python": platform.python_version(),
            },
        }

    @contextmanager
    def _bar(self, total: int, *, is_fit: bool = False) -> Iterator[Any]:
        with progress_bar(
            total=total,
            desc=f"fit {self.name}" if is_fit else self.name,
            unit=" step" if is_fit else f" {self.task.level}",
            disable=not self.progress,
            delay=1.0,
            leave=False,
        ) as bar:
            yield bar


@functools.cache
def hyper_parameter_names(method: type[Any]) -> tuple[str, ...]:
    """What a method takes by name, the arguments that all methods share included."""
    names: dict[str, None] = {}
    for base in method.__mro__:
        if issubclass(base, Explainer) and "__init__" in vars(base):
            names |= dict.fromkeys(inspect.signature(base.__init__).parameters)
    return tuple(name for name in names if name not in ("self", "model", "task", "shared"))


def _versions(data: Any) -> _Versions:
    """Changes whenever a tensor of the data is replaced or written to.

    A data set object builds its graphs anew at each access; its identity has to do.
    """
    if isinstance(data, (list, tuple)):
        return tuple(map(_versions, data))
    found: list[int] = []
    for store in getattr(data, "stores", ()):
        for value in store.to_dict().values():
            if isinstance(value, Tensor):
                found += [id(value), 0 if value.is_inference() else value._version]
    return tuple(found)
