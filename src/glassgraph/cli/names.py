"""``--names FILE.json``: what things are called, for reports, plots and tables.

The file is a JSON object with any of five keys, each as the argument of `Explainer.explain`::

    {
        "node_names": ["Ada", "Bob"],
        "edge_names": {"0": "cites", "1": "builds on"},
        "feature_names": {"paper": ["year", "pages"], "author": ["age"]},
        "class_names": ["no", "yes"],
        "graph_names": ["first", "second"],
    }

A list has one word for each, in the order of the data; ``node_names`` and ``edge_names`` of several
graphs are lists of such lists, of types dictionaries by type (of an edge by its relation, or all
three names joined by ``__``). A dictionary by number names some nodes, classes or graphs, and edges
by the values of ``edge_type``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassgraph.errors import CommandError

if TYPE_CHECKING:
    from glassgraph.cli.inputs import Input

_KEYS = ("node_names", "edge_names", "feature_names", "class_names", "graph_names")
#: What can be checked without the model.
_OF_DATA = ("node_names", "edge_names", "graph_names")


def read_names(path: Path | None) -> dict[str, Any]:
    """What the file says; nothing without a file.

    Raises:
        CommandError: if it cannot be read, or holds something else.
    """
    if path is None:
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"--names {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CommandError(f"--names {path} is no JSON: {error}") from error
    expected = f"an object with any of the keys {', '.join(_KEYS)}, each a list of words"
    if not isinstance(found, dict):
        raise CommandError(f"--names {path} holds a {type(found).__name__}; expected {expected}")
    unknown = [key for key in found if key not in _KEYS]
    if unknown or not found:
        got = f"the keys {', '.join(map(repr, unknown))[:80]}" if unknown else "no key"
        raise CommandError(f"--names {path} has {got}; expected {expected}")
    for key, value in found.items():
        if not isinstance(value, list | dict):
            raise CommandError(f"--names {path}: {key} is {value!r:.60}; expected a list of words")
    return found


def check_names(names: dict[str, Any], source: Input) -> None:
    """Hold names against the data before a model is trained.

    Raises:
        GraphError: if there is not one name for each.
    """
    if "class_names" in names and source.dataset is not None:
        from glassgraph.results.word_lists import listed

        listed(names["class_names"], source.dataset.num_classes, "class_names")
    about_data: Any = {name: names[name] for name in _OF_DATA if name in names}
    if not about_data:
        return
    from glassgraph.inputs.graph import TypedGraph
    from glassgraph.results.contents import Contents
    from glassgraph.results.given_names import given_names

    graph = TypedGraph.read(source.data)
    nothing = Contents("", "", 0, {}, [], False, graph, graph.node_types, graph.edge_types)
    given_names(nothing, about_data)
