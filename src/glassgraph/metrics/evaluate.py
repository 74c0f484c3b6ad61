"""All metrics of several methods: one flat row each, for a table, a JSON file or a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from glassgraph.black_box.callable_module import as_module
from glassgraph.calling.call import Call
from glassgraph.calling.protect import protected
from glassgraph.inputs.task import Task
from glassgraph.metrics.fidelity import measure
from glassgraph.metrics.removal import Removal, check_removal
from glassgraph.metrics.run import DEFAULT_MEMORY_BUDGET, prepare
from glassgraph.metrics.scores import Ranking, read_levels
from glassgraph.metrics.truth import ground_truth_accuracy
from glassgraph.results.explanation import Explanations

Row = dict[str, object]


def evaluate(
    runs: Sequence[Explanations] | Explanations,
    model: nn.Module | Callable[..., Any],
    data: Any,
    *,
    task: str | Task | None = None,
    removal: Removal = "shut",
    sparsity: float | Sequence[float] = (0.5, 0.7, 0.9),
    top_k: int | Sequence[int] | None = None,
    ranking: Ranking = "signed",
    k: int | None = None,
    call: Call | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
) -> list[Row]:
    """Measure methods on the same predictions.

    Args:
        runs: explanations, one set for each method; or one set.
        model: as in `fidelity`.
        data: the explained graph(s).
        task: as in `fidelity`.
        removal: as in `fidelity`.
        sparsity: as in `fidelity`.
        top_k: as in `fidelity`.
        ranking: as in `fidelity`.
        k: as in `ground_truth_accuracy`.
        call: as in `fidelity`.
        memory_budget: as in `fidelity`.

    Returns:
        For each run ``method``, ``instances``, ``without_edges`` and ``removal``; for each level
        ``fidelity_plus@0.7``, ``fidelity_minus@0.7`` and the same with ``_acc``; where the data
        hold ground truth also ``scored``, ``auc``, ``auc_absolute`` (the same by absolute scores:
        evidence against a class can lie on true edges, too), ``auc_mean``, ``average_precision``,
        ``average_precision_mean``, ``precision_at_k`` and ``recall_at_k``. A value is None where
        it does not exist.

    Raises:
        GlassgraphError: see `fidelity` and `ground_truth_accuracy`.
    """
    levels = read_levels(sparsity, top_k)
    check_removal(removal)
    runs = [runs] if isinstance(runs, Explanations) else runs
    rows: list[Row] = []
    if not runs:
        return rows
    module = as_module(model)
    with protected(module):
        preparation = prepare(runs[0], module, data, task, call, removal)
        for run in runs:
            row: Row = {"method": run.method, "instances": len(run)}
            row.update(_accuracy(run, k, ranking))
            found = measure(run, preparation, levels, removal, ranking, memory_budget)
            row["removal"] = removal
            row["without_edges"] = found.num_without_edges
            for means in found.means():
                level = means.pop("level")
                means.pop("sparsity")
                row.update({f"{name}@{level}": value for name, value in means.items()})
            rows.append(row)
    return rows


def _accuracy(run: Explanations, k: int | None, ranking: Ranking) -> Row:
    """The columns about ground truth; none where the data hold none at all."""
    found = ground_truth_accuracy(run, k, ranking=ranking)
    if found.num_without_truth == len(run):
        return {}
    absolute = ground_truth_accuracy(run, k, ranking="absolute")
    return {
        "scored": found.num_scored,
        "auc": found.auc,
        "auc_absolute": absolute.auc,
        "auc_mean": found.auc_mean,
        "average_precision": found.average_precision,
        "average_precision_mean": found.average_precision_mean,
        "precision_at_k": found.precision_at_k,
        "recall_at_k": found.recall_at_k,
    }
