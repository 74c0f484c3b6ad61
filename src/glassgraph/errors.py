"""Errors: one class for each mistake a user can make.

Every message says what was got, what was expected, and what to do. All of them derive from
`GlassgraphError`; those about a wrong value also derive from `ValueError`, so that ordinary
``except ValueError`` code keeps working.
"""

from __future__ import annotations

from typing import Any

#: What messages about missing gradients advise.
METHODS_WITHOUT_GRADIENTS = "occlusion, causal_screening, subgraphx, pgm_explainer, relex, zorro"


class GlassgraphError(Exception):
    """Base class of everything Glassgraph raises on purpose."""


class GraphError(GlassgraphError, ValueError):
    """The input graph is malformed: wrong shape, dtype, range, or values that are not finite."""


class StoreError(GlassgraphError, ValueError):
    """A folder is not a graph on disk, is damaged, or a source cannot become one."""


class WholeGraphError(GlassgraphError, ValueError):
    """A prediction depends on more than its receptive field, and the graph is too large to run."""


class FieldTooLargeError(GlassgraphError, ValueError):
    """A receptive field is larger than the memory budget bears.

    Attributes:
        index: the user's number of the instance.
        num_edges: edges of its field and their surroundings, counted before they are read; at
            least so many where counting stopped at the budget.
        num_bytes: what explaining it would take, roughly.
    """

    def __init__(
        self, message: str, index: int = -1, num_edges: int = 0, num_bytes: int = 0
    ) -> None:
        super().__init__(message)
        self.index, self.num_edges, self.num_bytes = index, num_edges, num_bytes


class SparseAdjacencyError(GraphError):
    """The graph comes as a sparse matrix, whose fused path never materializes messages."""


class EventError(GraphError):
    """A stream of events is malformed: out of order, or what belongs to its events does not fit."""


class StateNotRestoredError(GlassgraphError, RuntimeError):
    """What a temporal model remembers cannot be put back, so that events cannot be replayed."""


class TaskError(GlassgraphError, ValueError):
    """Level, mode or return type are unknown or do not fit together."""


class TargetError(GlassgraphError, ValueError):
    """The target to explain does not exist in the model's output."""


class LabelsMissingError(TargetError):
    """``target="label"`` was asked for where the data has no labels."""


class InstanceError(GlassgraphError, IndexError):
    """An instance (``index``) is out of range or has the wrong form."""


class NoMessagePassingError(GlassgraphError, ValueError):
    """The model has no message passing that could be explained."""


class UnseenMessagesError(GlassgraphError, ValueError):
    """The model sends messages beside the known ones, so scores of those would mislead."""


class ModelCallError(GlassgraphError, RuntimeError):
    """The model could not be called on the data."""


class ModelOutputError(GlassgraphError, ValueError):
    """The model's output is not a tensor of the shape that the task asks for."""


class HyperParameterError(GlassgraphError, ValueError):
    """A hyper-parameter of a method is unknown or out of range."""


class ArgumentsError(HyperParameterError, TypeError):
    """A constructor lacks an argument, or was given too many by position."""


class NoGradientError(GlassgraphError, RuntimeError):
    """A method needs gradients, and the model lets none through."""


class MethodDefinitionError(GlassgraphError, TypeError):
    """A class of an explanation method lacks its name or traits."""


class AttributionError(GlassgraphError, ValueError):
    """A method returned scores that do not fit what it was to explain."""


class WalkError(GlassgraphError, ValueError):
    """Walks of this model are not defined, too many to list, or not in the graph."""


class UnsupportedModelError(GlassgraphError, ValueError):
    """A method asks for something that this model or graph lacks."""


class PyGAlgorithmError(GlassgraphError, ValueError):
    """An algorithm of ``torch_geometric.explain`` and what it is to explain do not fit together."""


class UnknownMethodError(GlassgraphError, ValueError):
    """No explanation method has this registry name."""


class UnknownMetricError(GlassgraphError, ValueError):
    """A metric was asked for that does not exist or does not apply here."""


class NoTruthError(UnknownMetricError):
    """A metric needs ground truth, and the data hold none about what was explained."""


class MetricError(GlassgraphError, ValueError):
    """A user's metric failed, or returned something else than one number."""


class ExplanationFileError(GlassgraphError, ValueError):
    """A folder is not a saved set of explanations, is damaged, or belongs to other data."""


class DatasetError(GlassgraphError, ValueError):
    """A data set is unknown, its files are missing, or a file does not hold graphs."""


class WeightsError(GlassgraphError, ValueError):
    """A weights file is damaged or does not fit the model."""


class SuiteError(GlassgraphError, ValueError):
    """A benchmark's suite names something unknown, or a value does not fit."""


class LeakError(GlassgraphError, ValueError):
    """A method would learn from what it explains, or be tuned on what is measured."""


class UnsupportedSystemError(GlassgraphError, RuntimeError):
    """The operating system lacks what is asked for."""


class OutputError(GlassgraphError, OSError):
    """An output folder or file cannot be written."""


class FolderInUseError(OutputError):
    """Another process, or thread, writes into the output folder."""


class ExistingResultError(OutputError):
    """The output folder holds a result, and nothing said that it may be replaced."""


class EngineError(GlassgraphError, RuntimeError):
    """A job cannot go on: its workers do not start, or nothing that they try can be explained."""


class ResumeError(GlassgraphError, ValueError):
    """A run cannot be resumed: what it was asked for differs, or was not recorded."""


class MissingExtraError(GlassgraphError, ImportError):
    """An optional package is needed; the message names the extra to install."""


class CommandError(GlassgraphError, ValueError):
    """An option of the command line is malformed, or does not fit the others."""


class ModelFileError(GlassgraphError, ValueError):
    """A Python file that should build a model is missing, fails, or builds something else."""


class NotFittedError(GlassgraphError, RuntimeError):
    """An amortized method was asked to explain before it was fitted."""


class FitError(GlassgraphError, RuntimeError):
    """Fitting failed: the loss or a gate is not finite."""


class ExplainerFileError(GlassgraphError, ValueError):
    """A file is not a fitted explainer, is damaged, or was fitted for another model."""


class DamagedFileError(ExplanationFileError, ExplainerFileError):
    """What Glassgraph wrote is cut off, incomplete, or holds what it cannot have written."""


class MissingRuleError(GlassgraphError, NotImplementedError):
    """The model calls an operation for which relevance propagation has no rule."""


class NegativeActivationError(GlassgraphError, ValueError):
    """Activations below zero, where a method needs probabilities."""


class LawBroken(GlassgraphError, AssertionError):
    """A method breaks a law of `glassgraph.testing`; ``law`` and ``case`` say which and where."""

    def __init__(self, message: str, law: str = "", case: str = "") -> None:
        super().__init__(message)
        self.law = law
        self.case = case


class Interrupted(GlassgraphError, KeyboardInterrupt):
    """A long run was interrupted; what had been explained by then is in ``explanations``."""

    def __init__(self, message: str, explanations: Any = None) -> None:
        super().__init__(message)
        self.explanations = explanations
