"""What every system of the review gives: colours, and with them the bins, the lightness or the doubt that it has."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class ChromaOutput(NamedTuple):
    """Colours of a batch of gray slices.

    A system is an ``nn.Module`` with ``method`` (its name), ``style_free`` (False: it learned the colours of one
    palette), ``needs`` (which of "posteriors", "hints" and "histogram" it can use), and

        forward(gray, *, posteriors=None, hints=None, histogram=None) -> ChromaOutput

    where gray is (N, 1, H, W) in -1..1, the scan through a :class:`~medcolor.networks.normalization.Normalization`;
    posteriors (N, K, H, W) are tissue posteriors; hints (N, 3, H, W) are a/110, b/110 and 1 where a colour is given;
    histogram (N, 3, B, B) is a log-chroma histogram. Without any of them it colours by itself.

    Attributes
    ----------
    ab : Tensor, (N, 2, H, W)
        a*, b* in CIELAB steps, at the input's size.
    logits : Tensor, (N, Q, h, w), or None
        Over bins of the (a*, b*) plane, at the network's own resolution.
    lightness : Tensor, (N, 1, H, W), or None
        L*, 0 to 100, of networks that predict it too; only its drift is measured, the scan's own is kept.
    doubt : Tensor, (N, 1, H, W), or None
        0 (sure) to 1: entropy of the bins where there are bins.
    """

    ab: Tensor
    logits: Tensor | None = None
    lightness: Tensor | None = None
    doubt: Tensor | None = None
