"""Modified backward passes: rules of LRP and guided backpropagation, attached and removed again.

Every rule is written as a *modified gradient*: the forward pass keeps its values to the last bit,
the backward pass is another one, and the relevance of any tensor ``a`` on the way is ``a * da``
where ``da`` is what autograd finds for it. Input features, messages (through their gates) and
hidden states then have their relevance from one ordinary call of ``torch.autograd.grad``.

Rules attach to tensor *operations* (a `torch.overrides.TorchFunctionMode` sees them), not to layer
types. Functional ``relu``, layers nobody has written yet, and custom message functions are reached
alike; nothing is registered on the model but two hooks that tell which module runs.

| file | one sentence |
| --- | --- |
| `rules.py` | the rules, each as an algebra of *parts* of a linear map |
| `input_rules.py` | rules for the first weights, which features meet |
| `names.py` | rules by name |
| `operations.py` | what kind of operation each function of torch is |
| `places.py` | where in the model an operation runs |
| `stretches.py` | values within linear stretches, and the parts carried beside them |
| `handlers.py` | what is done with each kind of operation |
| `tape.py` | the mode that applies rules while the model runs |
| `modified.py`, `guided.py` | what such modes have in common; the mode of guided backpropagation |
"""

from glassgraph.core.rules.input_rules import InputRule, WSquare, ZBox
from glassgraph.core.rules.operations import register
from glassgraph.core.rules.rules import AlphaBeta, Epsilon, Gamma, Rule, Zero, ZPlus

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
