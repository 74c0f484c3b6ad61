"""Bayesian networks over the Markov blanket of a prediction, learned with pgmpy."""

from __future__ import annotations

import warnings

from torch import Tensor

from glassgraph.errors import MissingExtraError


def learn_edges(code: Tensor) -> list[tuple[int, int]]:
    """Pairs (parent, child) of a network that hill climbing with BIC finds.

    Args:
        code: ``[k, R]`` samples of k variables; where both directions of an edge score the same,
            the earlier variable is the parent.

    Raises:
        MissingExtraError: if pgmpy is not installed.
    """
    if code.size(0) < 2:
        return []
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the names that pgmpy is about to drop
        try:
            from pgmpy.causal_discovery import HillClimbSearch
        except ImportError as error:
            raise MissingExtraError(
                "networks are learned with pgmpy: pip install glassgraph[bayes]"
            ) from error
        names = [f"v{number:04d}" for number in range(code.size(0))]
        samples = pd.DataFrame(
            {name: pd.Categorical(row) for name, row in zip(names, code.tolist(), strict=True)}
        )
        search = HillClimbSearch(scoring_method="bic-d", return_type="dag", show_progress=False)
        found = search.fit(samples).causal_graph_.edges()
    return sorted((names.index(parent), names.index(child)) for parent, child in found)
