"""What "without an edge" means to a search; the words are those of `glassgraph.metrics.removal`."""

from __future__ import annotations

from glassgraph.errors import HyperParameterError
from glassgraph.inputs.task import Task

#: Nodes go with the last of their edges.
DROPS_NODES = "delete_isolated"


def check_is_of_graphs(name: str, removal: str, default: str, task: Task) -> None:
    """Refuse deletions that a prediction about nodes or links does not know.

    Args:
        name: of the method.
        removal: what is asked for.
        default: what any task knows.
        task: what is explained.

    Raises:
        HyperParameterError: if the task is not about graphs.
    """
    if removal != default and task.level != "graph":
        raise HyperParameterError(
            f"{name}: removal={removal!r} is for predictions about graphs; got a task about "
            f"{task.level}s, whose predictions do not see nodes that no edge joins to them. Leave "
            f"removal={default!r}"
        )
