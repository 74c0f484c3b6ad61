"""From scores to colors: one scale for all that a figure shows, and its color bar.

A scale without negative scores is a ramp from yellow to dark red, that prints in gray as light to
dark; one with negative scores runs from blue over gray to red, and what is negative is dashed as
well, since prints and some eyes do not tell the two ends apart by color.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["NEGATIVE_DASHES", "ScoreScale", "add_color_bar", "ink"]

#: Line style of what has a negative score.
NEGATIVE_DASHES = (0, (3.2, 1.3))
#: Where the ramp begins: its first quarter cannot be told from paper.
_RAMP_START = 0.25


@dataclass(frozen=True)
class ScoreScale:
    """Colors of scores up to a largest magnitude.

    Attributes:
        largest: the largest magnitude; 0 if there is none, and nothing to color.
        is_signed: whether some score is negative.
        label: what the scores are.
    """

    largest: float
    is_signed: bool
    label: str

    @staticmethod
    def of(scores: Iterable[Tensor | None], label: str) -> ScoreScale | None:
        """The scale of all these; None if there are no scores. What is not finite counts as 0."""
        found = [score.nan_to_num(0.0, 0.0, 0.0).flatten() for score in scores if score is not None]
        if not found:
            return None
        largest = max((float(score.abs().max()) for score in found if score.numel()), default=0.0)
        return ScoreScale(largest, any(bool((score < 0).any()) for score in found), label)

    @property
    def colormap(self) -> Any:
        """Of matplotlib, from the least score of the scale to the largest."""
        import numpy as np
        from matplotlib import colormaps
        from matplotlib.colors import ListedColormap

        if self.is_signed:
            return colormaps["coolwarm"]
        return ListedColormap(colormaps["YlOrRd"](np.linspace(_RAMP_START, 1.0, 256)))

    @property
    def norm(self) -> Any:
        """From scores to the colormap."""
        from matplotlib.colors import Normalize

        return Normalize(-self.largest if self.is_signed else 0.0, self.largest or 1.0)

    def color(self, score: float) -> tuple[float, ...]:
        """Red, green, blue and opacity of a score."""
        return tuple(map(float, self.colormap(self.norm(score))))

    def share(self, score: float) -> float:
        """Magnitude of a score as a share of the largest."""
        return abs(score) / self.largest if self.largest else 0.0


def add_color_bar(axes: Any, scale: ScoreScale | None, location: str = "right") -> Any:
    """Draw a scale beside axes, or a list of them; None where there is nothing to color."""
    from matplotlib.cm import ScalarMappable

    if scale is None or not scale.largest:
        return None
    first = axes[0] if isinstance(axes, list) else axes
    bar = first.figure.colorbar(
        ScalarMappable(scale.norm, scale.colormap),
        ax=axes,
        location=location,
        shrink=0.7,
        aspect=28,
        pad=0.02,
    )
    bar.set_label(scale.label, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    return bar


def ink(color: Any) -> str:
    """Black or white, whichever is read more easily on a color."""
    from matplotlib.colors import to_rgb

    red, green, blue = to_rgb(color)
    return "#14171f" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#ffffff"
