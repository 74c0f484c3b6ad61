"""Rules that generated graphs have to keep, for `XGNN`: ``gg.graph_rules.Valence()``."""

from glassgraph.explainers.graph_generation.graph_rules import (
    VALENCES,
    Connected,
    MaxDegree,
    Rule,
    Sanitizable,
    Valence,
)

__all__ = ["VALENCES", "Connected", "MaxDegree", "Rule", "Sanitizable", "Valence"]
