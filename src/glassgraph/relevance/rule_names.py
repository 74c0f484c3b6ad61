"""Rules by the names that methods and the command line take."""

from __future__ import annotations

from glassgraph.errors import HyperParameterError
from glassgraph.relevance.input_rules import WSquare, ZBox
from glassgraph.relevance.rules import AlphaBeta, Epsilon, Gamma, Rule, Zero, ZPlus

RULES: dict[str, type[Rule]] = {
    "zero": Zero,
    "epsilon": Epsilon,
    "gamma": Gamma,
    "alpha_beta": AlphaBeta,
    "z_plus": ZPlus,
    "w_square": WSquare,
    "z_box": ZBox,
}


def as_rule(value: Rule | str) -> Rule:
    """A rule, or the rule of that name with its default settings.

    Raises:
        HyperParameterError: if there is none of that name.
    """
    if isinstance(value, Rule):
        return value
    if not isinstance(value, str) or value not in RULES:
        raise HyperParameterError(
            f"a rule is one of {', '.join(RULES)} or an object of glassgraph.rules; got {value!r}"
        )
    return RULES[value]()
