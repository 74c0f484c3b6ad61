"""PyG's own explainers as they are called: a fresh one for a model, then once per prediction."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from glassgraph.errors import MissingExtraError
from glassgraph_studies.reference.passes import Scores

#: Epochs of GNNExplainer on both sides; its other defaults are PyG's.
EPOCHS = 100
#: Our methods that PyG has too; the gradient methods are held against its Captum saliency.
PYG_METHODS = ("saliency", "edge_gradients", "gnn_explainer", "attention", "pgm_explainer")


class PyGPeer:
    """A method of ``torch_geometric.explain``.

    Args:
        method: one of `PYG_METHODS`.
        model: a model of its own, since PyG's masks stay on the modules.
        level: ``"node"`` or ``"graph"``.

    Raises:
        MissingExtraError: if captum is needed and not installed.
    """

    def __init__(self, method: str, model: nn.Module, level: str) -> None:
        from torch_geometric import explain as pyg

        config = {
            "mode": "multiclass_classification",
            "task_level": level,
            "return_type": "raw",
        }
        masks = {"edge_mask_type": "object"}
        if method == "pgm_explainer":
            algorithm: Any = _pgm()
            masks = {"node_mask_type": "object"}
        elif method == "gnn_explainer":
            algorithm = pyg.GNNExplainer(epochs=EPOCHS, lr=0.01)
            masks["node_mask_type"] = "attributes"
        elif method == "attention":
            algorithm = pyg.AttentionExplainer()
        else:
            try:
                algorithm = pyg.CaptumExplainer("Saliency")
            except ImportError as error:
                raise MissingExtraError(
                    "PyG's saliency needs captum: pip install captum"
                ) from error
        self._explainer = pyg.Explainer(
            model if level == "node" else OneGraph(model),
            algorithm,
            explanation_type="model",
            model_config=config,
            **masks,
        )

    def __call__(self, graph: Data, node: int | None) -> Scores:
        """Explain a node, or the graph where that is None."""
        extra = {} if node is None else {"index": node}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyG's PGM-Explainer uses old names of pgmpy's
            found = self._explainer(graph.x, graph.edge_index, **extra)
        if "pgm_stats" in found:
            confidence = 1 - found.pgm_stats.detach().float()
            return Scores(edge=confidence[graph.edge_index].mean(dim=0))
        return Scores(edge=found.edge_mask.detach())


def _pgm() -> Any:
    """PyG's PGM-Explainer with its defaults: 100 samples.

    Raises:
        MissingExtraError: if pgmpy is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental
        from torch_geometric.contrib.explain import PGMExplainer

        try:
            import pgmpy.estimators.CITests  # noqa: F401
        except ImportError as error:
            raise MissingExtraError(
                "PyG's PGM-Explainer needs pgmpy: pip install 'glassgraph[bayes]'"
            ) from error
    return PGMExplainer()


class OneGraph(nn.Module):
    """A graph model called with a ``batch`` of zeros, as it was trained.

    PyG hands extra arguments to Captum by position, whatever their names, so the peer cannot pass
    ``batch`` itself; without it maximum pooling takes another path, whose gradient differs at ties.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """The output for one graph, ``[1, C]``."""
        batch = torch.zeros(x.size(0), dtype=torch.long, device=x.device)
        output: Tensor = self.model(x, edge_index, batch=batch)
        return output
