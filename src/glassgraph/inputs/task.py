"""What is explained: call a model, pick the scalar, its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgraph.calling.precision import at_least_single
from glassgraph.errors import ModelOutputError, TargetError, TaskError
from glassgraph.inputs.rows import Rows, mean_rows, sum_rows

Level = Literal["node", "graph", "edge"]
Mode = Literal["multiclass_classification", "binary_classification", "regression"]
ReturnType = Literal["raw", "probs", "log_probs"]
Predicts = Literal["links", "edges"]
#: An edge type, or a part of its name that no other type has.
EdgeTypeLike = str | tuple[str, ...]
#: ``None``/"predicted", "label", a class, a pair "a rather than b", or one class per instance.
Target = None | str | int | tuple[int, int] | Tensor

_TINY = 1e-15


@dataclass(frozen=True)
class Task:
    """What is one prediction?

    In the words of PyG's ``ModelConfig``. For a model output ``f [B, C]`` and a target class ``a``
    the explained *score* is, in the model's own units,

    * multi-class: ``f_a`` (the logit for ``raw``, the probability for ``probs``, the log
      probability for ``log_probs``); contrastive targets ``(a, b)``: ``f_a - f_b``, "why a rather
      than b";
    * binary with one column: ``f`` for class 1 and its mirror image for class 0 (``-f`` for logits,
      ``1 - f`` for probabilities); with several columns (multi-label) the target names a column;
    * regression: column ``a`` of the output.

    The *loss* that learned masks minimize is ``-log P(a)``, for contrastive targets
    ``-log sigmoid(log P(a) - log P(b))``, and for regression the squared distance to the model's
    own prediction.

    Args:
        level: ``"node"``, ``"graph"`` or ``"edge"``; see ``predicts``.
        mode: ``"multiclass_classification"``, ``"binary_classification"`` or ``"regression"``.
        return_type: the model returns ``"raw"`` logits or values, ``"probs"`` or ``"log_probs"``.
        node_type: the explained node type of a heterogeneous graph.
        edge_type: at level ``"edge"``, the type ``(source, relation, destination)`` of the
            explained links or edges of a heterogeneous graph, or a part of it that is one type's
            alone: ``"likes"``, ``("user", "item")``. None: the one whose data hold an
            ``edge_label_index``, or the only one there is.
        rows: at level ``"graph"``, which rows of the output are a graph's prediction: None for one
            row for each graph; ``"nodes"`` for one row for each node (the words of a sentence); or
            the name of an attribute that lists nodes, such as ``"mention_index"``, or is a mask of
            them, for the rows of these alone: the model returns a row for each node, or for each
            node that is listed. The explained score is the sum over the rows of a graph, the loss
            their mean; ``index=[(graph, row), ...]`` explains single rows.
        predicts: at level ``"edge"``, what the model returns one row for: ``"links"``, the columns
            of ``edge_label_index``, or ``"edges"``, those of ``edge_index``. None: links where the
            data have an ``edge_label_index`` or ``forward`` asks for one, else edges.

    Raises:
        TaskError: for an unknown word or a combination that does not exist.

    Example:
        >>> Task("graph", mode="regression").is_classification
        False
        >>> Task("graph", mode="regression", return_type="probs")
        Traceback (most recent call last):
        ...
        glassgraph.errors.TaskError: a regression model returns 'raw' values; got 'probs'
    """

    level: Level = "node"
    mode: Mode = "multiclass_classification"
    return_type: ReturnType = "raw"
    node_type: str | None = None
    predicts: Predicts | None = None
    rows: str | None = None
    edge_type: EdgeTypeLike | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("level", Level), ("mode", Mode), ("return_type", ReturnType)):
            got = getattr(self, name)
            if got not in get_args(allowed):
                words = ", ".join(repr(word) for word in get_args(allowed))
                raise TaskError(f"{name} must be one of {words}; got {got!r}")
        if self.mode == "regression" and self.return_type != "raw":
            raise TaskError(f"a regression model returns 'raw' values; got {self.return_type!r}")
        if self.predicts is not None:
            if self.predicts not in get_args(Predicts):
                raise TaskError(f"predicts must be 'links' or 'edges'; got {self.predicts!r}")
            if self.level != "edge":
                raise TaskError(f"predicts is for level 'edge'; this is level {self.level!r}")
        if self.edge_type is not None:
            object.__setattr__(self, "edge_type", _checked_edge_type(self.edge_type, self.level))
        if self.rows is not None:
            if not isinstance(self.rows, str):
                raise TaskError(
                    f"rows must be 'nodes' or the name of an attribute that lists nodes; got "
                    f"{self.rows!r}"
                )
            if self.level != "graph":
                raise TaskError(f"rows is for level 'graph'; this is level {self.level!r}")

    @staticmethod
    def of(task: str | Task, **changes: Any) -> Task:
        """Turn ``"node"`` or a `Task` into a `Task`; ``changes`` that are None are left alone."""
        changes = {name: value for name, value in changes.items() if value is not None}
        if isinstance(task, Task):
            return replace(task, **changes)
        if not isinstance(task, str):
            raise TaskError(f"task must be 'node', 'graph', 'edge' or a Task; got {task!r}")
        return Task(level=task, **changes)  # type: ignore[arg-type]

    @property
    def is_classification(self) -> bool:
        """Whether outputs are classes."""
        return self.mode != "regression"

    @property
    def is_about_nodes(self) -> bool:
        """Whether the model returns one row for each node."""
        return self.level == "node" or self.rows is not None

    @property
    def is_about_edges(self) -> bool:
        """Whether the model returns one row for each edge of the graph."""
        return self.level == "edge" and self.predicts == "edges"

    @property
    def is_about_links(self) -> bool:
        """Whether the model returns one row for each column of ``edge_label_index``."""
        return self.level == "edge" and self.predicts != "edges"


def _checked_edge_type(given: Any, level: Level) -> EdgeTypeLike:
    """A name or a tuple of names; a list, as files have it, becomes one."""
    if level != "edge":
        raise TaskError(f"edge_type is for level 'edge'; this is level {level!r}")
    if isinstance(given, str):
        return given
    is_names = isinstance(given, (list, tuple)) and all(isinstance(each, str) for each in given)
    if not is_names or len(given) not in (2, 3):
        raise TaskError(
            f"edge_type must be (source, relation, destination), or a relation; got {given!r}"
        )
    return tuple(given)


@dataclass(frozen=True)
class Targets:
    """The explained class of each row of the output, and what it is contrasted with.

    There are R rows, one for each of B instances unless ``rows`` says which belong to which.

    Attributes:
        chosen: ``[R]`` class (or output column) that is explained.
        contrast: ``[R]`` class it is held against, or None.
        rows: the rows of each instance, where it may have several.
    """

    chosen: Tensor
    contrast: Tensor | None = None
    rows: Rows | None = None

    def rows_of(self, instances: Tensor) -> Tensor:
        """Where the rows of some instances stand among the R rows."""
        return instances if self.rows is None else self.rows.of(instances)

    def take(self, instances: Tensor) -> Targets:
        """The targets of some instances, in the order given; one may come several times."""
        position = self.rows_of(instances)
        contrast = None if self.contrast is None else self.contrast[position]
        rows = None if self.rows is None else self.rows.take(instances)
        return Targets(self.chosen[position], contrast, rows)


#: What the rows of a model's output stand for, and what to do where they do not.
_ROWS = {
    "node": "one row for each node; a model that returns one row per graph has task='graph', and "
    "for one that returns rows of a sampler's seed nodes data.batch_size says how many",
    "graph": "one row for each graph; pool the node rows, for example with "
    "torch_geometric.nn.global_mean_pool(x, batch), or where rows of nodes are meant (a role for "
    "each word of a sentence) say task=glassgraph.Task('graph', rows='nodes')",
    "edge": "one row for each column of edge_label_index; a model with one row for each edge of "
    "the graph has task=glassgraph.Task('edge', predicts='edges')",
    "edges": "one row for each edge of the graph; a model of links reads data.edge_label_index "
    "[2, links], the pairs to predict",
}


def as_matrix(
    result: Any, num_rows: int | None, level: Level, predicts: Predicts | None = None
) -> Tensor:
    """Bring a model's output to ``[rows, C]``, in float32 or more.

    Raises:
        ModelOutputError: if it is not one floating tensor with ``num_rows`` rows.
    """
    if not isinstance(result, Tensor):
        kind = type(result).__name__
        raise ModelOutputError(
            f"the model returned a {kind}, a tensor was expected; pass "
            "call=lambda model, data: ... that returns the tensor to explain, for example "
            "call=lambda model, data: model(data.x, data.edge_index)[0]"
        )
    output = at_least_single(result)
    if not output.is_floating_point():
        raise ModelOutputError(
            f"the model returned {output.dtype}; explanations need floating-point scores"
        )
    if output.dim() == 0:
        output = output.view(1, 1)
    elif output.dim() == 1:
        output = output.unsqueeze(-1)
    if level == "graph" and num_rows is not None and output.size(0) == 1 < num_rows:
        raise ModelOutputError(
            f"the model returned one row for {num_rows} graphs side by side: it pools all nodes "
            "there are. To explain many at once let it tell them apart, for example with "
            "torch_geometric.nn.global_mean_pool(x, batch)"
        )
    if output.dim() != 2 or (num_rows is not None and output.size(0) != num_rows):
        rows = "" if num_rows is None else f" with {num_rows} row{'' if num_rows == 1 else 's'}"
        raise ModelOutputError(
            f"the model returned shape {tuple(output.shape)}; a task of level {level!r} needs "
            f"[rows, classes]{rows}, {_ROWS['edges' if predicts == 'edges' else level]}"
        )
    return output


def probabilities(task: Task, output: Tensor) -> Tensor:
    """The output ``[B, C]`` as probabilities (one-column binary becomes two columns).

    Regression values are returned as they are.
    """
    if not task.is_classification:
        return output
    if task.mode == "multiclass_classification":
        if task.return_type == "raw":
            return output.softmax(dim=-1)
        return output if task.return_type == "probs" else output.exp()
    if task.return_type == "raw":
        output = output.sigmoid()
    elif task.return_type == "log_probs":
        output = output.exp()
    return torch.cat([1 - output, output], dim=-1) if output.size(1) == 1 else output


def explained_probability(task: Task, output: Tensor, targets: Targets) -> Tensor:
    """Probability of the explained class ``[B]``, less that of its contrast; or the value.

    The mean over the rows of an instance.
    """
    probability = probabilities(task, output)
    value = probability.gather(1, targets.chosen.view(-1, 1)).squeeze(1)
    if targets.contrast is not None:
        value = value - probability.gather(1, targets.contrast.view(-1, 1)).squeeze(1)
    return mean_rows(targets.rows, value)


def predicted_class(task: Task, output: Tensor) -> Tensor:
    """The class ``[B]`` that the model predicts."""
    return probabilities(task, output).argmax(dim=-1)


def decision(task: Task, output: Tensor, targets: Targets) -> Tensor:
    """What a classifier decides about the explained class of each row, ``[R]`` bool.

    Whether it is the predicted class; with a target ``(a, b)`` whether ``a`` is more probable than
    ``b``; of several labels whether it is more probable than not.
    """
    probability = probabilities(task, output)
    if targets.contrast is None and (task.mode != "binary_classification" or output.size(1) == 1):
        return probability.argmax(dim=-1) == targets.chosen
    value = probability.gather(1, targets.chosen.view(-1, 1)).squeeze(1)
    if targets.contrast is None:
        return value > 0.5
    return value > probability.gather(1, targets.contrast.view(-1, 1)).squeeze(1)


def stays(
    task: Task, output: Tensor, targets: Targets, reference: Tensor, tolerance: float
) -> Tensor:
    """Whether outputs say what the reference says in all rows of an instance, ``[B]`` bool.

    Args:
        task: the task.
        output: ``[R, C]`` outputs.
        targets: the explained classes.
        reference: ``[R, C]`` what they are held against.
        tolerance: of a regression, how far the explained output may be off, as a share of its
            absolute value; a classifier has to come to the same `decision`.
    """
    if task.is_classification:
        same = decision(task, output, targets) == decision(task, reference, targets)
    else:
        before = _column(task, reference, targets.chosen)
        same = (_column(task, output, targets.chosen) - before).abs() <= tolerance * before.abs()
    return same if targets.rows is None else targets.rows.all(same)


def resolve_targets(
    task: Task,
    target: Target,
    output: Tensor,
    labels: Callable[[], Tensor],
    rows: Rows | None = None,
) -> Targets:
    """Find the explained class of each of R rows.

    Args:
        task: the task.
        target: what the user asked for.
        output: ``[R, C]`` model output on the unchanged input.
        labels: called only for ``"label"``; gives ``[R]`` labels or raises.
        rows: the rows of each instance, where it may have several.

    Raises:
        TargetError: if a class is out of range or the word is unknown.
    """
    contrast: Tensor | None = None
    if target is None or (isinstance(target, str) and target == "predicted"):
        chosen = _predicted_targets(task, output)
    elif isinstance(target, str):
        chosen = _label_targets(task, target, labels).to(output.device)
    elif isinstance(target, tuple):
        if len(target) != 2 or task.mode == "regression" or not all(map(_is_class, target)):
            raise TargetError(f"a contrastive target is a pair of classes (a, b); got {target!r}")
        chosen, contrast = (_everywhere(int(each), output) for each in target)
    elif isinstance(target, Tensor):
        chosen = _one_for_each(task, target, output)
    elif _is_class(target):
        chosen = _everywhere(int(target), output)
    else:
        raise TargetError(
            f"target {target!r} is not understood; expected 'predicted', 'label', a class, a pair "
            "(a, b), or a tensor with one class per instance"
        )
    for classes in (chosen,) if contrast is None else (chosen, contrast):
        _check_range(task, output, classes)
    return Targets(chosen, contrast, rows)


def _everywhere(number: int, output: Tensor) -> Tensor:
    """One class for all instances."""
    return torch.full((output.size(0),), number, dtype=torch.long, device=output.device)


def _predicted_targets(task: Task, output: Tensor) -> Tensor:
    """What the model predicts: a class, or the only value of a regression."""
    if task.mode != "regression":
        return predicted_class(task, output)
    num_columns = output.size(1)
    if num_columns != 1:
        raise TargetError(
            f"the regression model has {num_columns} outputs; say which one to explain "
            f"with target=0..{num_columns - 1}"
        )
    return _everywhere(0, output)


def _label_targets(task: Task, word: str, labels: Callable[[], Tensor]) -> Tensor:
    """The labels, if that is what the word asks for."""
    if word != "label":
        raise TargetError(f"target must be 'predicted', 'label', a class, or a pair; got {word!r}")
    if task.mode == "regression":
        raise TargetError("target='label' needs classes; a regression has none")
    return labels().long().view(-1)


def _one_for_each(task: Task, target: Tensor, output: Tensor) -> Tensor:
    """One class for each instance, or one for all of them; of two classes also 0. and 1."""
    num_instances = output.size(0)
    if target.is_floating_point() and task.mode == "binary_classification":
        is_class = (target == 0) | (target == 1)
        target = target.long() if bool(is_class.all()) else target
    if target.is_floating_point() or target.numel() not in (1, num_instances):
        raise TargetError(
            f"a target tensor holds one integer class for each of {num_instances} instances; "
            f"got {target.dtype} of shape {tuple(target.shape)}"
        )
    return target.to(output.device).long().view(-1).expand(num_instances)


def _check_range(task: Task, output: Tensor, classes: Tensor) -> None:
    num_classes = 2 if _is_mirrored(task, output) else output.size(1)
    outside = classes[(classes < 0) | (classes >= num_classes)]
    if outside.numel():
        raise TargetError(
            f"target {int(outside[0])} is out of range: {num_classes} classes, from 0"
        )


def _is_class(value: object) -> bool:
    """Whether a value is one class: an integer of Python or numpy."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_mirrored(task: Task, output: Tensor) -> bool:
    """Whether one column stands for two classes."""
    return task.mode == "binary_classification" and output.size(1) == 1


def _column(task: Task, output: Tensor, classes: Tensor) -> Tensor:
    if _is_mirrored(task, output):
        value = output[:, 0]
        if task.return_type == "raw":
            return torch.where(classes == 1, value, -value)
        if task.return_type == "probs":
            return torch.where(classes == 1, value, 1 - value)
        return torch.where(classes == 1, value, torch.log1p(-value.exp()))
    return output.gather(1, classes.view(-1, 1)).squeeze(1)


def score(task: Task, output: Tensor, targets: Targets) -> Tensor:
    """The explained scalar of each instance, ``[B]``, in the model's own units.

    Of an instance with several rows it is the sum of theirs.
    """
    found = _column(task, output, targets.chosen)
    if targets.contrast is not None:
        found = found - _column(task, output, targets.contrast)
    return sum_rows(targets.rows, found)


def _log_probability(task: Task, output: Tensor, classes: Tensor) -> Tensor:
    if task.return_type == "raw" and task.mode == "multiclass_classification":
        return output.log_softmax(dim=-1).gather(1, classes.view(-1, 1)).squeeze(1)
    column = _column(task, output, classes)
    if task.return_type == "raw":
        return F.logsigmoid(column)
    return column.clamp_min(_TINY).log() if task.return_type == "probs" else column


def loss(task: Task, output: Tensor, targets: Targets, reference: Tensor) -> Tensor:
    """What a learned mask minimizes, ``[B]``; the mean over the rows of an instance.

    Args:
        task: the task.
        output: ``[R, C]`` output under the mask.
        targets: the explained classes.
        reference: ``[R, C]`` output without a mask (used by regression alone).
    """
    return mean_rows(targets.rows, _row_loss(task, output, targets, reference))


def _row_loss(task: Task, output: Tensor, targets: Targets, reference: Tensor) -> Tensor:
    if task.mode == "regression":
        distance = _column(task, output, targets.chosen) - _column(task, reference, targets.chosen)
        return distance.square()
    chosen = _log_probability(task, output, targets.chosen)
    if targets.contrast is None:
        return -chosen
    return -F.logsigmoid(chosen - _log_probability(task, output, targets.contrast))
