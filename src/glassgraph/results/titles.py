"""What an instance is, and what of it is explained, in words."""

from __future__ import annotations

from collections.abc import Sequence


def title(
    level: str, index: int, nodes: Sequence[str], graph_name: str | None, graph: int | None
) -> str:
    """An instance in words.

    Args:
        level: of the task.
        index: the user's number of the instance.
        nodes: what is explained, see `node_words`; none where it is a graph.
        graph_name: of its graph, if it has one.
        graph: number of its graph, where there are several.

    Example:
        >>> title("edge", 3, ["paper 0", "paper 633"], None, None)
        'paper 0 → paper 633'
        >>> title("node", 7, ["node 3"], None, 2), title("graph", 3, [], "CCO", 3)
        ('node 3 of graph 2', 'CCO')
    """
    if not nodes:
        return graph_name or f"{level} {index}"
    where = "" if graph is None else f" of {graph_name or f'graph {graph}'}"
    return " → ".join(nodes) + where


def node_words(
    ids: Sequence[int], types: Sequence[str] | None, names: Sequence[str] | None
) -> list[str]:
    """Nodes by their names, or else by type and number."""
    kinds = types or ["node"] * len(ids)
    words = names or [""] * len(ids)
    found = zip(words, kinds, ids, strict=True)
    return [word or f"{kind} {number}" for word, kind, number in found]


def target_name(
    target: int | tuple[int, int] | None,
    names: Sequence[str] | None,
    num_outputs: int | None,
    *,
    is_value: bool,
) -> str | None:
    """The explained output in words; None where there are several.

    Args:
        target: the output, or the pair (a, b) "why a rather than b".
        names: of all outputs.
        num_outputs: how many there are.
        is_value: whether they are the values of a regression, not classes.

    Example:
        >>> target_name((2, 0), None, 3, is_value=False), target_name(0, None, 1, is_value=True)
        ('class 2 rather than 0', 'value')
    """
    if target is None:
        return None
    words = dict(enumerate(names or ()))
    noun = "output" if is_value else "class"
    if isinstance(target, tuple):
        first, second = (words.get(each) for each in target)
        other = f"{noun} {target[1]}" if first else f"{target[1]}"
        return f"{first or f'{noun} {target[0]}'} rather than {second or other}"
    if is_value and num_outputs == 1:
        return words.get(target) or "value"
    return words.get(target) or f"{noun} {target}"
