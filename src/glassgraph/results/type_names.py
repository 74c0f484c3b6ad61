"""Names of node and edge types as words: in tables, where people read them, and in files.

PyG joins the three names of an edge type with ``__``. That stays wherever it says which type is
meant; names may hold anything, though, ``__`` and ``|`` among it, or be empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

EdgeTypeName = tuple[str, str, str]


def edge_type_words(names: Sequence[EdgeTypeName | None]) -> list[str]:
    """A word for each edge type, no two alike: ``a__to__b``, or ``('a', 'to', 'b')`` for all.

    Example:
        >>> edge_type_words([("a", "to", "b")])
        ['a__to__b']
        >>> edge_type_words([("a__b", "c", "d"), ("a", "b__c", "d")])
        ["('a__b', 'c', 'd')", "('a', 'b__c', 'd')"]
    """
    words = ["__".join(name) if name is not None else "" for name in names]
    return words if len(set(words)) == len(words) else [repr(name) for name in names]


def stored_names(
    node_types: Sequence[str | None], edge_types: Sequence[EdgeTypeName | None]
) -> dict[str, Any]:
    """The types by their names in files; ``""`` stands for the graph itself.

    Older files have them unescaped. Where such a name means two types, it means neither.
    """
    found: dict[str, Any] = {}
    clashing = set()
    for word, name in _older(node_types, edge_types):
        if word in found or not word:
            clashing.add(word)
        found[word] = name
    for word in clashing:
        del found[word]
    for name in (*node_types, *edge_types):
        if name is not None:
            found[stored_name(name)] = name
    return found


def stored_name(name: str | EdgeTypeName) -> str:
    """A type's name in a file."""
    if isinstance(name, str):
        return _escaped(name)
    return "__".join(map(_escaped, name))


def _older(
    node_types: Sequence[str | None], edge_types: Sequence[EdgeTypeName | None]
) -> Iterator[tuple[str, Any]]:
    yield from ((name, name) for name in node_types if name is not None)
    yield from (("__".join(name), name) for name in edge_types if name is not None)


def _escaped(name: str) -> str:
    """A name without ``|``, and without ``_`` where it could be taken for a part of ``__``."""
    plain = name.replace("%", "%25").replace("|", "%7C").replace("__", "_%5F")
    if plain.startswith("_"):
        plain = "%5F" + plain[1:]
    if plain.endswith("_"):
        plain = plain[:-1] + "%5F"
    return plain or "%"
