"""Bayesian networks over the Markov blanket of a prediction, learned with pgmpy."""

from __future__ import annotations

import warnings

from torch import Tensor

from glassgraph.errors import MissingExtraError


def learn_edges(code: Tensor) -> list[tuple[int, int]]:
    """Pairs (parent, child) of a network that hill climbing with BIC finds.

    Args:
        code: ``[k, R]`` samples of k variables. Where both directions of an edge score the same,
            the order of the variables decides.

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
        # Names are numbers: pgmpy walks through sets of names, and those of words have any order.
        samples = pd.DataFrame({n: pd.Categorical(row) for n, row in enumerate(code.tolist())})
        search = HillClimbSearch(scoring_method="bic-d", return_type="dag", show_progress=False)
        found = search.fit(samples).causal_graph_.edges()
    return sorted((int(parent), int(child)) for parent, child in found)
