"""Rules by the names that methods and the command line take."""

from __future__ import annotations

from typing import Literal

from glassgraph.errors import HyperParameterError
from glassgraph.relevance.input_rules import InputRule, WSquare, ZBox
from glassgraph.relevance.rules import Epsilon, Rule, Zero
from glassgraph.relevance.signed_rules import AlphaBeta, Gamma, ZPlus

RuleName = Literal["zero", "epsilon", "gamma", "alpha_beta", "z_plus"]
InputRuleName = Literal["w_square", "z_box"]

RULES: dict[str, type[Rule]] = {
    "zero": Zero,
    "epsilon": Epsilon,
    "gamma": Gamma,
    "alpha_beta": AlphaBeta,
    "z_plus": ZPlus,
}
INPUT_RULES: dict[str, type[InputRule]] = {"w_square": WSquare, "z_box": ZBox}


def as_rule(value: Rule | str) -> Rule:
    """A rule for all weights, or the rule of that name with its default settings.

    Raises:
        HyperParameterError: if there is none of that name, or it is one for features.
    """
    name = value if isinstance(value, str) else None
    if isinstance(value, InputRule) or name in INPUT_RULES:
        raise HyperParameterError(f"{value} is a rule for features; pass it as input_rule")
    if isinstance(value, Rule):
        return value
    if name not in RULES:
        raise HyperParameterError(
            f"a rule is one of {', '.join(RULES)} or an object of glassgraph.rules; got {value!r}"
        )
    return RULES[name]()


def as_input_rule(value: InputRule | str) -> InputRule:
    """A rule for the first weights, or the rule of that name with its default settings."""
    return value if isinstance(value, InputRule) else INPUT_RULES[value]()
