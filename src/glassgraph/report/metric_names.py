"""What a column of metrics is called, and which group it stands in.

A column is a key of `glassgraph.evaluate` (``fidelity_plus@0.7``), of the command line
(``seconds_per_instance``) or the user's own, which keeps its name with spaces for underscores.
"""

from __future__ import annotations

__all__ = ["readable"]

_RUN, _TRUTH, _FIDELITY, _SIZE, _STABILITY = (
    "Run",
    "Ground truth",
    "Fidelity",
    "Size",
    "Stability",
)
#: By key: name, group, what it says.
_NAMES = {
    "method": ("Method", _RUN, ""),
    "instances": ("Instances", _RUN, "explained predictions"),
    "n": ("Instances", _RUN, "explained predictions"),
    "complete": ("Complete", _RUN, "whether all instances were explained"),
    "seconds": ("Seconds", _RUN, "in all"),
    "seconds_per_instance": ("Seconds each", _RUN, "for one instance"),
    "fit_seconds": ("Seconds to fit", _RUN, "before the first explanation"),
    "model_accuracy": ("Accuracy of the model", _RUN, ""),
    "removal": ("Removal", _RUN, "what removing an edge means"),
    "without_edges": ("Without edges", _RUN, "instances that have none"),
    "scored": ("Scored", _TRUTH, "instances with a truth that can be ranked"),
    "auc": ("AUC", _TRUTH, "area under the ROC curve, all edges together"),
    "auc_absolute": ("AUC of magnitudes", _TRUTH, "signs left out"),
    "auc_mean": ("AUC, mean", _TRUTH, "mean over instances"),
    "average_precision": ("Average precision", _TRUTH, "all edges together"),
    "average_precision_mean": ("Average precision, mean", _TRUTH, "mean over instances"),
    "precision_at_k": ("Precision at k", _TRUTH, "of the k best, mean over instances"),
    "recall_at_k": ("Recall at k", _TRUTH, "of the k best, mean over instances"),
    "node_auc": ("AUC of nodes", _TRUTH, "area under the ROC curve, nodes instead of edges"),
    "gea": ("Overlap with truth", _TRUTH, "graph explanation accuracy (GEA)"),
    "fidelity_plus": ("Fidelity+", _FIDELITY, "loss without what is kept; higher is better"),
    "fidelity_minus": ("Fidelity−", _FIDELITY, "loss with what is kept alone; lower is better"),
    "fidelity_plus_acc": ("Fidelity+, classes", _FIDELITY, "share of changed predictions"),
    "fidelity_minus_acc": ("Fidelity−, classes", _FIDELITY, "share of changed predictions"),
    "robust_fidelity_plus": ("Robust Fidelity+", _FIDELITY, "over random parts of what is kept"),
    "robust_fidelity_minus": ("Robust Fidelity−", _FIDELITY, "over random parts of the others"),
    "robust_fidelity_delta": ("Robust Fidelity, difference", _FIDELITY, "of the two"),
    "deletion_area": ("Deletion area", _FIDELITY, "under the prediction while edges go"),
    "characterization": ("Characterization", _FIDELITY, "of Fidelity+ and Fidelity− at once"),
    "sufficiency": ("Sufficiency", _FIDELITY, "the prediction from what is kept alone"),
    "necessity": ("Necessity", _FIDELITY, "the prediction without what is kept"),
    "unfaithfulness": ("Unfaithfulness", _FIDELITY, "lower is better"),
    "gef": ("Unfaithfulness (GEF)", _FIDELITY, "lower is better"),
    "sparsity": ("Sparsity", _SIZE, "share of edges that are not kept"),
    "mask_entropy": ("Mask entropy", _SIZE, "how spread the scores are"),
}


def readable(column: str) -> dict[str, str]:
    """The name, the group (empty for none that is known) and what it says.

    Example:
        >>> readable("fidelity_plus@0.7")["name"], readable("my_metric")["name"]
        ('Fidelity+ at 0.7', 'my metric')
    """
    key, _, level = column.partition("@")
    name, group, about = _NAMES.get(key) or (_name(key), _group(key), "")
    return {"name": f"{name} at {level}" if level else name, "group": group, "about": about}


def _name(key: str) -> str:
    if key.startswith("stability_"):
        what, _, kind = key.removeprefix("stability_").partition("_")
        return f"Stability over {what}" + (f", {kind}" if kind else "")
    return key.replace("_", " ")


def _group(key: str) -> str:
    parts = ((_FIDELITY, "fidelity"), (_STABILITY, "stability"))
    return next((group for group, word in parts if word in key), "Others")
