"""From a network to an ONNX graph: any number of slices of any size, and no trace of the machine it was made on."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from medcolor.onnx_files import INPUTS, OUTPUTS, RECORD

if TYPE_CHECKING:
    from torch import nn

OPSET = 20
_EXAMPLE = (2, 72, 104)  # slices, rows, columns: all different, none of them 1, so that none is taken for a constant


def onnx_graph(network: nn.Module) -> Any:
    """Return a network as an ONNX model (``onnx.ModelProto``) in single precision.

    Parameters
    ----------
    network : nn.Module
        Gives ``logits`` and ``log_scale``; is put into evaluation mode and, where it can, folded.

    Raises
    ------
    torch.onnx.OnnxExporterError
        The network does something that has no ONNX form.
    """
    import onnx
    import torch

    network = network.folded() if hasattr(network, "folded") else network
    slices, rows, columns = _EXAMPLE
    image = torch.zeros(slices, getattr(network, "in_channels", 1), rows, columns)
    free: list[dict[int, str]] = [{0: "slices", 2: "rows", 3: "columns"}]
    given = [image]
    if summary := getattr(network, "summary", 0):
        given.append(torch.zeros(1, summary))  # of the one volume that all slices are from
        free.append({})
    with _quiet():
        program = torch.onnx.export(
            _plain_outputs(network).eval(),
            tuple(given),
            input_names=list(INPUTS[: len(given)]),
            output_names=list(OUTPUTS),
            dynamic_shapes=(tuple(free),),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _forget_origin(model)
    onnx.checker.check_model(model)
    return model


def _plain_outputs(network: nn.Module) -> nn.Module:
    import torch

    class PlainOutputs(torch.nn.Module):
        """The network, with its outputs as a plain tuple: what they are called is for the file to say."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
            out = self.network(*given)
            return tuple(getattr(out, name) for name in OUTPUTS)

    return PlainOutputs()


def with_record(model: Any, record: Mapping[str, Any]) -> bytes:
    """Return the bytes of a model that carries a record in its metadata."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    onnx.helper.set_model_props(copy, {RECORD: json.dumps(record, sort_keys=True)})
    return bytes(copy.SerializeToString(deterministic=True))


def _forget_origin(model: Any) -> None:
    """Remove what the exporter notes of every node: source lines with the paths of this machine."""
    for function in (model, model.graph, *model.functions):
        _forget(function)
    for owner in (model.graph, *model.functions):
        for node in owner.node:
            _forget(node)
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        _forget(value)


def _forget(part: Any) -> None:
    part.doc_string = ""
    del part.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter: it warns of its own coming changes, and of torchvision, which nothing here needs."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


__all__ = ["OPSET", "onnx_graph", "with_record"]
