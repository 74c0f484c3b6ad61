"""Is an explanation faithful? Experiments that any method has to stand.

An explanation can look convincing and say nothing of the model. Each function here makes a claim of
an explanation testable, with hard decisions: a message is retained, or it is shut.

* `drop_retained`: do the retained messages matter, and the shut ones not?
* `layer_knockout`: does the model use the layers that the method says it uses?
* `hindsight`: would the method explain the opposite answer just as happily?
* `gradient_signs`: does an edge gradient keep its sign on the way to a shut message?
* `seed_agreement` and `fleiss_kappa`: does another seed tell another story?
* `stability`: does the explanation stay under added edges, noise, seeds, other models?
* `ginx`: can a network that is trained again do without the best edges?

``docs/diagnostics.md`` says how to read them.
"""

from glassgraph.diagnose.agreement import SeedAgreement, fleiss_kappa, seed_agreement
from glassgraph.diagnose.drop_retained import drop_retained
from glassgraph.diagnose.effects import Replacement
from glassgraph.diagnose.ginx import ginx
from glassgraph.diagnose.gradient_signs import GradientPath, GradientSigns, gradient_signs
from glassgraph.diagnose.hindsight import HindsightResult, hindsight
from glassgraph.diagnose.layer_knockout import layer_knockout
from glassgraph.diagnose.metric import Metric
from glassgraph.diagnose.stability import stability

__all__ = [
    "GradientPath",
    "GradientSigns",
    "HindsightResult",
    "Metric",
    "Replacement",
    "SeedAgreement",
    "drop_retained",
    "fleiss_kappa",
    "ginx",
    "gradient_signs",
    "hindsight",
    "layer_knockout",
    "seed_agreement",
    "stability",
]
