"""What a method is, in the survey's terms."""

from __future__ import annotations

from dataclasses import dataclass

#: What can get a score.
SCORES = ("edge", "layer edge", "node", "feature")


@dataclass(frozen=True)
class Traits:
    """What a method is, in the survey's terms.

    Yuan, Yu, Gui and Ji, "Explainability in Graph Neural Networks: A Taxonomic Survey" (TPAMI 2022,
    https://arxiv.org/abs/2012.15445).

    Attributes:
        family: ``"baseline"``, ``"gradient"``, ``"perturbation"``, ``"surrogate"``,
            ``"decomposition"`` or ``"generation"``.
        scores: what gets a score: of ``"edge"``, ``"layer edge"``, ``"node"``, ``"feature"``.
        is_learned: whether something is optimized.
        is_amortized: whether it is fitted over many instances first.
        is_black_box: whether outputs are all that it reads of a model. (Methods that derive from
            `BlackBoxExplainer` change nothing but its input either.)
        is_signed: whether scores can speak against the prediction.
        is_random: whether results depend on the seed.
        source: the paper.

    Example:
        >>> import glassgraph as gg
        >>> gg.Saliency.traits.scores
        ('edge', 'node', 'feature')
    """

    family: str
    scores: tuple[str, ...]
    is_learned: bool = False
    is_amortized: bool = False
    is_black_box: bool = False
    is_signed: bool = False
    is_random: bool = False
    source: str = ""
