"""Methods by name: the library's own, those of installed distributions, those registered by hand.

Nothing is imported before a method is asked for. Three sources, in this order:

* a module that lies directly in the folder of a family (``gradient/saliency.py``) is a method of
  that name; modules with a leading underscore and folders support methods and are none;
* an entry point of the group ``glassgraph.methods`` in any installed distribution::

      [project.entry-points."glassgraph.methods"]
      my_method = "my_package.my_module:MyMethod"

* `register`, for a class of the running program.
"""

from __future__ import annotations

import pkgutil
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from torch import nn
from torch_geometric.explain import ExplainerAlgorithm

from glassgraph.calling.call import Call
from glassgraph.errors import MethodDefinitionError, UnknownMethodError
from glassgraph.explainers.base import Explainer
from glassgraph.explainers.guard import check_class
from glassgraph.explainers.pyg_algorithm import from_pyg
from glassgraph.explainers.settings import Configured
from glassgraph.inputs.task import EdgeTypeLike, Target, Task
from glassgraph.results.explanation import Explanations
from glassgraph.results.given_names import GivenNames
from glassgraph.words import nearest, same_word

if TYPE_CHECKING:
    import pandas as pd

    from glassgraph.explainers.model_explainer import ModelExplainer

FAMILIES = ("gradient", "perturbation", "surrogate", "decomposition", "generation")
ENTRY_POINTS = "glassgraph.methods"

#: A class that derives from `Explainer`, or from `ModelExplainer`.
AnyMethod: TypeAlias = "type[Configured]"
Method = TypeVar("Method", bound="type[Configured]")

_registered: dict[str, AnyMethod] = {}


class PluginWarning(UserWarning):
    """A method of another distribution cannot be used."""


def register(method: Method) -> Method:
    """Make a method of your own known by its name, for this process.

    From then on ``gg.explain(model, data, "its_name")``, `methods`, reports and benchmarks know it.
    To have it known wherever a distribution is installed, on the command line too, declare an entry
    point of the group ``glassgraph.methods`` instead.

    Args:
        method: a class that derives from `Explainer`, with ``name`` and ``traits``. One of the same
            name and place that was registered before is replaced (as in a notebook).

    Returns:
        The class, so that ``@gg.register`` works as a decorator.

    Raises:
        MethodDefinitionError: if it is no such class, or another method has its name.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> @gg.register
        ... class Constant(gg.Explainer):
        ...     name = "constant"
        ...     traits = gg.Traits(family="baseline", scores=("edge",))
        ...     value: float = gg.setting("score of every edge", default=1.0)
        ...
        ...     def attribute(self, batch):
        ...         return gg.Attribution(edge=torch.full((batch.num_edges,), self.value))
        >>> "constant" in gg.methods().index
        True
    """
    if not (isinstance(method, type) and issubclass(method, Configured)):
        raise MethodDefinitionError(
            f"register takes a class that derives from glassgraph.Explainer; got {method!r}"
        )
    check_class(method)
    known = _registered.get(method.name) or _find(method.name)
    if known is not None and _home(known) != _home(method):
        raise MethodDefinitionError(
            f"{_home(method)} is named {method.name!r}, as is {_home(known)}; choose another name"
        )
    _registered[method.name] = method
    return method


def unregister(name: str) -> None:
    """Forget a method that was registered by hand; others stay."""
    _registered.pop(name, None)


def registered() -> frozenset[str]:
    """The names of the methods that were registered by hand."""
    return frozenset(_registered)


def _home(method: AnyMethod) -> str:
    return f"{method.__module__}.{method.__qualname__}"


# The three sources


@cache
def _own_modules() -> dict[str, str]:
    """The library's methods by name, with their modules; families in their order."""
    found = {}
    for family in FAMILIES:
        package = import_module(f"glassgraph.explainers.{family}")
        for module in pkgutil.iter_modules(package.__path__):
            if not module.ispkg and not module.name.startswith("_"):
                found[module.name] = f"{package.__name__}.{module.name}"
    return found


def _plugins() -> dict[str, EntryPoint]:
    """Methods of installed distributions, where the library has none of the name."""
    points = entry_points(group=ENTRY_POINTS)
    return {point.name: point for point in points if point.name not in _own_modules()}


def _names() -> list[str]:
    return list(dict.fromkeys([*_own_modules(), *_plugins(), *_registered]))


def _find(name: str) -> AnyMethod | None:
    """A method by name; None if there is none.

    Raises:
        UnknownMethodError: if a distribution promises it and does not hold it.
    """
    if name in _own_modules():
        return _in_module(name, _own_modules()[name])
    if name in _registered:
        return _registered[name]
    point = _plugins().get(name)
    return None if point is None else _loaded(point)


@cache
def _in_module(name: str, module: str) -> AnyMethod:
    """The class of that name in a module of the library."""
    for value in vars(import_module(module)).values():
        is_method = isinstance(value, type) and issubclass(value, Configured)
        if is_method and value.__module__ == module and vars(value).get("name") == name:
            found: AnyMethod = value
            return found
    raise MethodDefinitionError(f"{module} holds no method named {name!r}")


def _loaded(point: EntryPoint) -> AnyMethod:
    where = point.dist.name if point.dist is not None else "an installed distribution"
    try:
        method: Any = point.load()
        if not (isinstance(method, type) and issubclass(method, Configured)):
            raise MethodDefinitionError(f"{point.value} is no glassgraph.Explainer")
        check_class(method)
        if method.name != point.name:
            raise MethodDefinitionError(f"{point.value} calls itself {method.name!r}")
    except Exception as error:
        raise UnknownMethodError(
            f"the method {point.name!r} of {where} cannot be loaded ({type(error).__name__}: "
            f"{error}); mend or remove that distribution"
        ) from error
    found: AnyMethod = method
    return found


class _Methods(Mapping[str, Any]):
    """Methods of one kind by name, each imported when it is asked for."""

    def __init__(self, *, explains_predictions: bool) -> None:
        self._explains_predictions = explains_predictions

    def __getitem__(self, name: str) -> Any:
        method = _find(name)
        if method is None or not self._is_here(method):
            raise KeyError(name)
        return method

    def __iter__(self) -> Iterator[str]:
        for name in _names():
            try:
                method = _find(name)
            except UnknownMethodError as error:
                warnings.warn(str(error), PluginWarning, stacklevel=2)
            else:
                if method is not None and self._is_here(method):
                    yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _is_here(self, method: AnyMethod) -> bool:
        return issubclass(method, Explainer) == self._explains_predictions


#: Methods that explain predictions.
METHODS: Mapping[str, type[Explainer]] = _Methods(explains_predictions=True)
#: Methods that explain a model, not its predictions: they take no data.
MODEL_METHODS: Mapping[str, type[ModelExplainer]] = _Methods(explains_predictions=False)


def find_method(name: str | type[Explainer] | ExplainerAlgorithm) -> type[Explainer]:
    """The class of a method that explains predictions.

    Args:
        name: its name, the class itself, or an algorithm of ``torch_geometric.explain``.

    Raises:
        UnknownMethodError: if there is none of that name.
    """
    if isinstance(name, type) and issubclass(name, Explainer):
        return name
    if isinstance(name, ExplainerAlgorithm):
        return from_pyg(name)
    if not isinstance(name, str):
        raise UnknownMethodError(
            f"a method is a name such as 'saliency' or a class such as glassgraph.Saliency; got "
            f"{name!r}"
        )
    method = any_method(name)
    if not issubclass(method, Explainer):
        raise UnknownMethodError(
            f"{name} explains a model, not predictions on data; write gg.{method.__name__}(model, "
            f"node_types=..., max_nodes=...).fit(target_class=...).explain(n=10)"
        )
    return method


def any_method(name: str) -> AnyMethod:
    """The class of a method, of predictions or of models; ``"GNNExplainer"`` is gnn_explainer.

    Raises:
        UnknownMethodError: if there is none of that name.
    """
    method = _find(name) or _find(same_word(name, _names()) or name)
    if method is None:
        raise UnknownMethodError(f"there is no method {name!r}{nearest(name, _names())}")
    return method


def methods() -> pd.DataFrame:
    """Every method with its traits, one row each.

    Returns:
        A table by name: the class, its family in the survey, whether it explains predictions or a
        model, what it scores, and its traits.
    """
    import pandas as pd

    rows = []
    for kind, found in (("predictions", METHODS), ("model", MODEL_METHODS)):
        for name, method in found.items():
            traits = method.traits
            rows.append(
                {
                    "method": name,
                    "class": method.__name__,
                    "family": traits.family,
                    "explains": kind,
                    "scores": ", ".join(traits.scores),
                    "learned": traits.is_learned,
                    "amortized": traits.is_amortized,
                    "black box": traits.is_black_box,
                    "signed": traits.is_signed,
                    "random": traits.is_random,
                    "source": traits.source,
                }
            )
    return pd.DataFrame(rows).set_index("method")


def make_explainer(
    name: str | type[Explainer] | ExplainerAlgorithm,
    model: nn.Module,
    task: str | Task,
    **hyper_parameters: Any,
) -> Explainer:
    """Build a method by name.

    Raises:
        UnknownMethodError: if there is none of that name.
        HyperParameterError: if it has no such hyper-parameter, or a value does not fit.
    """
    return find_method(name)(model, task, **hyper_parameters)


def explain(
    model: nn.Module,
    data: Any,
    method: str | type[Explainer] | ExplainerAlgorithm,
    task: str | Task = "node",
    index: Any = None,
    target: Target = None,
    seed: int = 0,
    call: Call | None = None,
    *,
    node_type: str | None = None,
    edge_type: EdgeTypeLike | None = None,
    save_to: str | Path | None = None,
    resume: bool = False,
    **hyper_parameters: Any,
) -> Explanations:
    """Explain predictions with a method given by name.

    An amortized method is fitted on the predictions it explains, and a `HindsightWarning` says so.

    Args:
        model: a trained model.
        data: the graph(s).
        method: its name, see `methods`, its class, or an algorithm of
            ``torch_geometric.explain``, see `from_pyg`.
        task: ``"node"``, ``"graph"``, ``"edge"`` or a `Task`.
        index: what to explain; everything if None.
        target: the explained class, see `Explainer.explain`.
        seed: seed of everything random.
        call: how to call the model.
        node_type: the type of the explained nodes, in a graph with types; as ``Task("node",
            node_type=...)`` says it.
        edge_type: of the explained links or edges, in a graph with types: ``(source, relation,
            destination)``, see `Task`.
        save_to: a folder that receives them as they come, see `Explainer.explain`.
        resume: go on with the run that was saved there.
        **hyper_parameters: the method's own, and those of `Explainer`; and what things are called,
            ``node_names``, ``edge_names``, ``feature_names``, ``class_names`` and ``graph_names``,
            see `Explanations.named`.

    Returns:
        One explanation for each instance.

    Raises:
        GlassgraphError: see `glassgraph.errors`.

    Example:
        >>> import torch
        >>> import glassgraph as gg
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.nn import GCN
        >>> data = Data(x=torch.rand(4, 3), edge_index=torch.tensor([[0, 1, 2], [1, 2, 3]]))
        >>> gg.explain(GCN(3, 8, 2, 2), data, "saliency", index=[2, 3])
        Explanations('saliency', 2 node predictions)
    """
    task = Task.of(task, node_type=node_type, edge_type=edge_type)
    given = GivenNames.__annotations__
    names: Any = {name: hyper_parameters.pop(name) for name in given if name in hyper_parameters}
    explainer = make_explainer(method, model, task, seed=seed, call=call, **hyper_parameters)
    if explainer.needs_fit:
        from glassgraph.explainers.amortized import AmortizedExplainer, HindsightWarning

        assert isinstance(explainer, AmortizedExplainer)
        explainer.check_names(data, index, target, **names)  # before anything takes time
        warnings.warn(
            f"{explainer.name} is fitted on the very predictions it explains (hindsight); for an "
            "explainer that has not seen them, fit it on others: see its fit()",
            HindsightWarning,
            stacklevel=2,
        )
        explainer.fit(data, index=index)
    return explainer.explain(
        data, index=index, target=target, save_to=save_to, resume=resume, **names
    )
