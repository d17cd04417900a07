"""A bundle's network as an ONNX file: what the file says of itself, checked, and ONNX Runtime in the network's place.

The file is made by ``medcolor export onnx``. It replaces the network and nothing else: palette, classes, normalization,
tiles and the colour law stay those of the bundle, whose weights it must come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from medcolor.errors import BundleError, SettingError

if TYPE_CHECKING:
    import torch

RECORD = "medcolor"
"""Key of the file's metadata that holds our record, as JSON."""
INPUTS = ("image", "volume")
"""What a file takes: slices, (N, C, H, W); and, of a network built with a summary of the volume, that, (1, n)."""
OUTPUTS = ("logits", "log_scale")


class OnnxOutput(NamedTuple):
    """What the network says of each pixel, as :class:`~medcolor.networks.tissue_unet.TissueOutput`."""

    logits: torch.Tensor
    log_scale: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class OnnxNetwork:
    """A network that ONNX Runtime computes, on the CPU.

    Attributes
    ----------
    sha256 : str
        Of the file.
    record : Mapping
        What the file says of itself: name, family, classes, weights_sha256, precision, parity ...
    reach, multiple, summary : int
        As of the network it was exported from: halo and grid of tiles, numbers that summarize the volume (0: none).
    corrects : bool
        Whether it corrects the tissue models, whose posteriors it is shown beside the gray.
    neighbours : bool
        Whether those of the slices before and after, too.
    smooths : bool
        Whether they are of the scan with its noise smoothed away.
    """

    sha256: str
    record: Mapping[str, Any]
    reach: int
    multiple: int
    summary: int
    corrects: bool
    neighbours: bool
    smooths: bool
    _session: Any

    def __call__(self, x: torch.Tensor, *volume: torch.Tensor) -> OnnxOutput:
        """Return the outputs for images (N, C, H, W) of any size."""
        import torch

        given = {name: value.numpy() for name, value in zip(INPUTS, (x, *volume), strict=False)}
        return OnnxOutput(*(torch.from_numpy(value) for value in self._session.run(OUTPUTS, given)))


def require(*packages: str) -> None:
    """Raise :class:`SettingError`, naming the extra, where a package of it is not installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise SettingError(f'{", ".join(missing)} is not installed; this needs: pip install "medcolor[onnx]".')


def open_onnx(path: str | Path, *, weights_sha256: str, threads: int = 0) -> OnnxNetwork:
    """Open an ONNX file made from the weights of a bundle.

    Parameters
    ----------
    path : str or Path
    weights_sha256 : str
        Of the bundle's weights; the file must say that it was made from them.
    threads : int
        0 leaves the number to ONNX Runtime.

    Raises
    ------
    SettingError
        ONNX Runtime is not installed.
    BundleError
        The file is missing, is no ONNX file of ours, or was made from other weights.
    """
    require("onnxruntime")
    import onnxruntime

    path = Path(path)
    if not path.is_file():
        raise BundleError(f'{path} is missing. "medcolor export onnx NAME -o {path.name}" makes it.')
    content = path.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # what goes wrong is raised; the rest is about its own optimizations
    try:  # from memory: no other file is opened on its behalf
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class for each kind of complaint, without a common base
        raise BundleError(f"{path} is no ONNX file that ONNX Runtime can run: {type(error).__name__}.") from error
    record = _record(path, session)
    if record["weights_sha256"] != weights_sha256:
        raise BundleError(
            f"{path} was made from other weights (sha256 {record['weights_sha256']}) than the bundle's "
            f"({weights_sha256}). Export it again from this bundle."
        )
    return OnnxNetwork(
        hashlib.sha256(content).hexdigest(),
        MappingProxyType(record),
        int(record["reach"]),
        int(record["multiple"]),
        int(record["summary"]),
        bool(record.get("corrects", False)),  # files made before there were such networks do not say it
        bool(record.get("neighbours", False)),
        bool(record.get("smooths", False)),
        session,
    )


def _record(path: Path, session: Any) -> dict[str, Any]:
    inputs, outputs = (tuple(value.name for value in side) for side in (session.get_inputs(), session.get_outputs()))
    try:
        record = json.loads(session.get_modelmeta().custom_metadata_map[RECORD])
        complete = {"weights_sha256", "reach", "multiple", "summary"} <= record.keys()
        if complete and inputs == INPUTS[: 2 if record["summary"] else 1] and outputs == OUTPUTS:
            return dict(record)
    except (KeyError, ValueError, AttributeError):
        pass
    raise BundleError(
        f'{path} was not made by "medcolor export onnx": expected the input "{INPUTS[0]}", the outputs '
        f'{", ".join(OUTPUTS)} and a record under "{RECORD}" in its metadata.'
    )


__all__ = ["INPUTS", "OUTPUTS", "RECORD", "OnnxNetwork", "OnnxOutput", "open_onnx", "require"]
