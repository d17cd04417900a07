"""Eight bits instead of 32 in the convolutions, with ranges learned from scans of training patients."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medcolor.onnx_files import INPUTS, require

if TYPE_CHECKING:
    from medcolor.networks.normalization import Normalization
    from medcolor.training.datasets import Case

SLICES = 32
_SIDE = 512  # pixels of the middle of a slice that are looked at

Given = Mapping[str, NDArray[np.float32]]
"""One slice with what the network is told of its volume, by the names of the graph's inputs."""


def calibration_slices(
    cases: Iterable[Case], normalization: Normalization, network: Any, *, count: int = SLICES
) -> list[Given]:
    """Return what a network is shown of slices of training patients, spread evenly over the cases.

    A case gives another one of its slices each time, so that all heights of the body are among them.
    """
    import torch

    from medcolor.colorizers.corrections import beside, told_to
    from medcolor.colorizers.prediction import network_input, volume_input

    train = [case for case in cases if case.split == "train"]
    chosen = dict.fromkeys(np.linspace(0, len(train) - 1, min(count, len(train))).round().astype(int).tolist())
    each = max(1, count // max(1, len(chosen)))
    out: list[Given] = []
    for n in chosen:
        scan, physics, _ = told_to(network, train[n].load().scan, normalization)
        fitted, depth = normalization.fit(scan), scan.shape[2]
        volume = [tensor.numpy() for tensor in volume_input(network, fitted, scan)]
        for m in range(each):
            k = int((n * 0.618 + m / each) % 1 * depth)
            values, _ = network_input(scan, fitted, slice(k, k + 1))
            image = torch.from_numpy(np.ascontiguousarray(_middle(values))[:, None])
            if physics is not None:
                image = beside(image, _middle(physics.posteriors(slice(k, k + 1))))
            out.append(dict(zip(INPUTS, (image.numpy(), *volume), strict=False)))
    return out


def _middle(values: NDArray[np.float32]) -> NDArray[np.float32]:
    top, left = (max(0, (length - _SIDE) // 2) for length in values.shape[-2:])
    return values[..., top : top + _SIDE, left : left + _SIDE]


def quantized(model: Any, inputs: Iterable[Given]) -> Any:
    """Return the model (``onnx.ModelProto``) with 8-bit convolutions: weights by channel, activations by range.

    Parameters
    ----------
    model : onnx.ModelProto
    inputs : iterable of Mapping
        What the network is shown of training patients; their ranges are those that 8 bits will cover.
    """
    require("onnx", "onnxruntime")
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Inputs(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            self._rest = iter(inputs)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            given = next(self._rest, None)
            return None if given is None else dict(given)

    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the quantizer's own making
        plain, prepared, out = (Path(scratch) / name for name in ("plain.onnx", "prepared.onnx", "int8.onnx"))
        onnx.save(model, plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)  # sizes are free: nothing to infer
        quantize_static(
            prepared,
            out,
            Inputs(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(out)


__all__ = ["SLICES", "calibration_slices", "quantized"]
