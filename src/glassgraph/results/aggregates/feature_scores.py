"""Scores of node features over many explanations, and the values that these features have.

A row is a node of an explanation, or an explanation as a whole: then its score is the sum over its
nodes, its value their mean. Node types have features of their own, one block of columns for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from glassgraph.errors import ExplanationFileError, HyperParameterError, UnknownMetricError
from glassgraph.inputs.node_features import all_features, feature_names, may_read
from glassgraph.results.aggregates.messages import ScoredSet
from glassgraph.results.records import LocalExplanation

if TYPE_CHECKING:
    import pandas as pd

#: What a row is about.
Per = Literal["node", "prediction"]


@dataclass(frozen=True)
class FeatureBlock:
    """The features of one node type in one explanation.

    Attributes:
        position: of the explanation.
        local: the explanation.
        node_type: None on homogeneous graphs.
        rows: ``[r]`` which of its nodes.
        score: ``[r, F]`` float64; ``[1, F]`` of an explanation as a whole.
        flat: ``[r]`` the nodes' flat numbers.
    """

    position: int
    local: LocalExplanation
    node_type: str | None
    rows: Tensor
    score: Tensor
    flat: Tensor


@dataclass(frozen=True)
class FeatureScores:
    """The feature scores of explanations, explanation by explanation.

    Attributes:
        explanations: the explanations.
        per: what a row is about.
        width: number of features of each node type.
    """

    explanations: ScoredSet
    per: Per
    width: Mapping[str | None, int]

    @staticmethod
    def read(explanations: ScoredSet, per: Per = "node") -> FeatureScores:
        """Look through the explanations' features.

        Raises:
            UnknownMetricError: if there are no feature scores, or some are not finite.
            HyperParameterError: if ``per`` is unknown.
        """
        if per not in get_args(Per):
            raise HyperParameterError(f"per must be 'node' or 'prediction'; got {per!r}")
        width: dict[str | None, int] = {}
        for position in range(_size(explanations)):
            local = explanations.local(position)
            if local.feature_score is None:
                raise UnknownMetricError(
                    f"the explanations of {explanations.method} have no scores of features; use a "
                    "method that scores them, such as saliency, integrated_gradients or occlusion"
                )
            for kind, rows in _by_type(local):
                is_there = ~torch.isnan(local.feature_score[rows]).all(dim=0)
                last = int(is_there.nonzero().max()) + 1 if bool(is_there.any()) else 0
                width[kind] = max(width.get(kind, 0), last)
        if not sum(width.values()):
            raise UnknownMetricError(
                f"the explanations of {explanations.method} have no scores of features: there are "
                f"{_size(explanations)} explanations, and no node of theirs has any"
            )
        return FeatureScores(
            explanations, per, {kind: size for kind, size in width.items() if size}
        )

    @property
    def names(self) -> list[str]:
        """Of all features, type by type; "feature 3" where they have none."""
        local, found = self.explanations.local(0), []
        for kind, size in self.width.items():
            prefix = "" if kind is None else f"{kind}: "
            found += [f"{prefix}{name}" for name in feature_labels(local, kind, size)]
        return found

    @property
    def first(self) -> dict[str | None, int]:
        """Where the features of each node type begin among all."""
        sizes = np.cumsum([0, *self.width.values()])[:-1].tolist()
        return dict(zip(self.width, sizes, strict=True))

    def blocks(self) -> Iterator[FeatureBlock]:
        """All of them, in order."""
        nodes = self.explanations.flat_nodes()
        for position, flat in enumerate(nodes):
            local = self.explanations.local(position)
            assert local.feature_score is not None, "checked by `read`"
            for kind, rows in _by_type(local):
                if not rows.numel() or kind not in self.width:
                    continue
                score = local.feature_score[rows, : self.width[kind]].double()
                if not bool(torch.isfinite(score).all()):
                    raise UnknownMetricError(
                        f"{int((~torch.isfinite(score)).sum())} feature scores of "
                        f"{self.explanations.method} for instance {local.index} are NaN or infinite"
                    )
                if self.per == "prediction":
                    score = score.sum(dim=0, keepdim=True)
                yield FeatureBlock(position, local, kind, rows, score, flat[rows])

    def frame(self, chosen: Sequence[int]) -> pd.DataFrame:
        """One row for each row and chosen feature, see `Explanations.features_frame`."""
        import pandas as pd

        values, first, names = self._values(), self.first, self.names
        frames = []
        for block in self.blocks():
            start = first[block.node_type]
            own = [each for each in chosen if 0 <= each - start < self.width[block.node_type]]
            columns = torch.tensor(own, dtype=torch.long) - start
            score = block.score[:, columns]
            offset, matrix = values[block.node_type]
            value = matrix[block.flat.cpu() - offset][:, columns]
            if self.per == "prediction":
                value = value.mean(dim=0, keepdim=True)
            size = len(score)
            about: dict[str, Any] = {"position": block.position, "index": block.local.index}
            about["graph"] = block.local.graph
            if self.per == "node":
                about["node"] = np.repeat(block.local.node_id[block.rows].numpy(), len(own))
            if block.node_type is not None:
                about["node_type"] = block.node_type
            about["feature"] = [names[each] for each in own] * size
            about |= {"value": value.flatten().numpy(), "score": score.flatten().numpy()}
            frames.append(pd.DataFrame(about))
        return pd.concat(frames, ignore_index=True)

    def _values(self) -> dict[str | None, tuple[int, Tensor]]:
        """The first flat number of each node type, and the features of its nodes."""
        graph = self.explanations.graph
        if graph is None:
            raise ExplanationFileError(
                "values of features are read from the data, which were not stored; pass them to "
                "load: Explanations.load(folder, data=data)"
            )
        reads = may_read(self.explanations.provenance.get("model_arguments"))
        matrices = all_features(graph, graph.data, feature_names(graph, reads))
        each = zip(graph.node_types, graph.node_offset, matrices, strict=False)
        return {
            kind: (start, matrix.detach().cpu().double())
            for kind, start, matrix in each
            if matrix is not None
        }


def feature_labels(local: LocalExplanation, node_type: str | None, size: int) -> list[str]:
    """A word for each feature of a node type: its name, or else its number."""
    given = local.feature_names
    names = given.get(node_type or "") if isinstance(given, Mapping) else given
    if names is None or len(names) != size:
        names = [""] * size
    return [name or f"feature {number}" for number, name in enumerate(names)]


def _by_type(local: LocalExplanation) -> Iterator[tuple[str | None, Tensor]]:
    """The nodes of each type."""
    if local.node_type is None:
        yield None, torch.arange(local.node_id.numel())
        return
    for kind in dict.fromkeys(local.node_type):
        yield kind, torch.tensor([i for i, each in enumerate(local.node_type) if each == kind])


def _size(explanations: ScoredSet) -> int:
    return sum(part.position.numel() for part in explanations.own_parts())
