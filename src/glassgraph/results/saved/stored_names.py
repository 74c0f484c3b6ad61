"""Names in the header of a folder: what a user gave, or data that are not stored had."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glassgraph.results.saved.damage import Damage


def named_provenance(header: Mapping[str, Any]) -> dict[str, Any]:
    """The provenance of a run; with the names that the data had, where these were not stored.

    Raises:
        Damage: if there is not one name for each.
    """
    provenance = {**header["provenance"]}
    names = header.get("names") or provenance.get("names")
    if not names:
        return provenance
    sizes = provenance.get("graph", {})
    expected = {
        "nodes": sizes.get("num_nodes"),
        "edges": sizes.get("num_edges"),
        "graphs": sizes.get("num_graphs"),
        "classes": None,
    }
    if not isinstance(names, Mapping):
        raise Damage("its names are none")
    for key, size in expected.items():
        _check(key, names.get(key), size)
    features = names.get("features")
    for own in features.values() if isinstance(features, Mapping) else [features]:
        _check("features", own, None)
    return provenance | {"names": dict(names)}


def _check(key: str, names: Any, size: int | None) -> None:
    if names is None:
        return
    if not isinstance(names, list) or not all(isinstance(word, str) for word in names):
        raise Damage(f"its names of {key} are no words")
    if size is not None and len(names) != size:
        raise Damage(f"it names {len(names)} {key} of {size}")
