"""What modified backward passes have in common."""

from __future__ import annotations

from torch import Tensor
from torch.overrides import TorchFunctionMode

from glassgraph.inputs import task as tasks
from glassgraph.inputs.task import Targets, Task


class ModifiedBackward(TorchFunctionMode):
    """Another backward pass for what runs in a ``with`` block; values stay as they are."""

    def score(self, task: Task, output: Tensor, targets: Targets) -> Tensor:
        """The explained scalar ``[B]`` of each instance, called at the end of the block.

        Args:
            task: the task.
            output: ``[B, C]`` what the model returned.
            targets: the explained classes.
        """
        return tasks.score(task, output, targets)
