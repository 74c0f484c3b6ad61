"""Rules of relevance propagation, for `LRP` and `GNNLRP`: ``gg.rules.Gamma(0.25)``."""

from glassgraph.relevance.input_rules import InputRule, WSquare, ZBox
from glassgraph.relevance.operations import register
from glassgraph.relevance.rules import Epsilon, Rule, Zero
from glassgraph.relevance.signed_rules import AlphaBeta, Gamma, ZPlus

__all__ = [
    "AlphaBeta",
    "Epsilon",
    "Gamma",
    "InputRule",
    "Rule",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
    "register",
]
