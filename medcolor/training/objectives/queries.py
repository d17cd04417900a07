"""Plain regression of the colour, for whatever gives (a*, b*): what the query decoder (DDColor) is trained by."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from medcolor.networks.chroma import ChromaOutput
from medcolor.training.losses import color_huber
from medcolor.training.objectives.bins import bin_entropy, bins_of
from medcolor.training.objectives.chroma import ChromaObjective, Lesson, picture


class ColorObjective(ChromaObjective):
    """Huber on (a*, b*), and cross-entropy where the network has bins.

    Parameters
    ----------
    color, cross_entropy, consistency : float
        Weights.
    colorfulness : float
        Weight of DDColor's fourth term, which asks for colourful pictures whatever is in them; off, because it is known
        to make red blocks (its authors advise to leave it out).
    """

    def __init__(
        self,
        *,
        color: float = 1.0,
        cross_entropy: float = 1.0,
        colorfulness: float = 0.0,
        consistency: float = 0.5,
    ) -> None:
        super().__init__(color=color, cross_entropy=cross_entropy, colorfulness=colorfulness, consistency=consistency)

    def terms(
        self, network: nn.Module, out: ChromaOutput, lesson: Lesson, conditions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the regression, and the terms that were asked for."""
        found = {"color": color_huber(out.ab, lesson.ab, lesson.pixels)}
        if out.logits is not None:
            found["cross_entropy"] = bin_entropy(bins_of(network), out, lesson, rebalance=False)
        if self.weights["colorfulness"]:
            found["colorfulness"] = (1 - colorfulness(picture(lesson.gray, out.ab))).mean()
        return found


def colorfulness(rgb: Tensor) -> Tensor:
    """Return Hasler and Süsstrunk's colourfulness (N,) of sRGB (N, 3, H, W), 0..1, of signed opponents.

    sigma + 0.3 mu of red - green and (red + green) / 2 - blue, on a scale of 0..1.
    """
    red, green, blue = rgb.flatten(2).unbind(dim=1)
    first, second = red - green, (red + green) / 2 - blue
    spread = (first.var(dim=1) + second.var(dim=1) + 1e-12).sqrt()
    center = (first.mean(dim=1).square() + second.mean(dim=1).square() + 1e-12).sqrt()
    return spread + 0.3 * center


__all__ = ["ColorObjective", "colorfulness"]
