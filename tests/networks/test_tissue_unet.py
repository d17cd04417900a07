"""The tissue network: any size in, the same size out, and nothing that only works on one machine."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from medcolor.networks import VARIANTS, TissueUNet

TINY = {"widths": (8, 12, 16), "reduction": 4, "refinement": 8, "summary": 5}


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def seen(network: TissueUNet, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What a network takes: images, and where it wants one a summary of their volume, always the same."""
    return (x, torch.linspace(0, 1, network.summary)[None]) if network.summary else (x,)


def randomized(network: TissueUNet) -> TissueUNet:
    """With statistics in the normalization layers as after training."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.uniform_(-0.5, 0.5)
    return network.eval()


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 47), (64, 32)])
def test_every_variant_takes_any_size(name: str, size: tuple[int, int]) -> None:
    network = TissueUNet(7, **VARIANTS[name]).eval()
    out = network(*seen(network, torch.randn(2, 1, *size)))
    assert out.logits.shape == (2, 7, *size)
    assert out.log_scale.shape == (2, 1, *size)
    assert out.logits.isfinite().all()
    assert out.log_scale.abs().max() <= 6


def test_there_are_enough_variants_to_rank_of_every_resolution_with_and_without_refinement() -> None:
    kinds = {(variant["reduction"], variant["refinement"] > 0) for variant in VARIANTS.values()}
    assert kinds == {(1, False), (2, False), (2, True), (4, False), (4, True)}


@pytest.mark.parametrize("name", VARIANTS)
def test_folding_the_normalization_changes_nothing(name: str) -> None:
    network = randomized(TissueUNet(5, **VARIANTS[name]))
    folded = network.folded()
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    x = torch.randn(1, 1, 64, 48)
    with torch.inference_mode():
        for expected, got in zip(network(*seen(network, x)), folded(*seen(network, x)), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(
                folded.to(memory_format=torch.channels_last)(*seen(network, x))[0],
                network(*seen(network, x))[0],
                rtol=1e-4,
                atol=1e-4,
            )
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules()), "a copy was folded"


@pytest.mark.parametrize("name", ["full", "half_refined", "quarter_bilinear", "quarter_refined"])
def test_the_estimate_of_the_error_does_not_bend_what_it_rates(name: str) -> None:
    network = TissueUNet(4, **VARIANTS[name])
    out = network(*seen(network, torch.randn(2, 1, 64, 64)))
    out.log_scale.sum().backward()
    touched = {
        key.split(".")[0] for key, p in network.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }
    assert touched <= {"scale", "edge_scale"}
    assert touched


def test_every_other_parameter_learns_from_the_logits() -> None:
    network = TissueUNet(4, **TINY)
    network(*seen(network, torch.randn(2, 1, 64, 64))).logits.square().sum().backward()
    still = {key for key, p in network.named_parameters() if p.grad is None or p.grad.abs().sum() == 0}
    assert all(key.startswith(("scale", "edge_scale")) for key in still), still


@pytest.mark.parametrize("refinement", [0, 8])
def test_only_refinement_knows_more_than_a_line_between_coarse_pixels(refinement: int) -> None:
    network = randomized(TissueUNet(3, widths=(8, 16), reduction=4, refinement=refinement))
    with torch.inference_mode():
        logits = network(torch.randn(1, 1, 64, 64)).logits[..., 8:56]
    bend = (logits[..., :-2] - 2 * logits[..., 1:-1] + logits[..., 2:]).abs()
    between = bend[..., 2::4].max(), bend[..., 3::4].max()  # columns whose neighbours lie between the same two centres
    assert (max(between) < 1e-4) == (refinement == 0)


def test_a_shift_by_the_multiple_shifts_the_answer() -> None:
    network = randomized(TissueUNet(3, **TINY))
    margin, shift = 90, network.multiple  # 16
    assert network.reach < margin
    x = torch.randn(1, 1, 224, 224)
    with torch.inference_mode():
        here, there = (network(*seen(network, each)).logits for each in (x, x.roll(shift, dims=3)))
    rows = slice(margin, 224 - margin)
    torch.testing.assert_close(
        there[..., rows, margin + shift : 224 - margin + shift],
        here[..., rows, margin : 224 - margin],
        rtol=1e-4,
        atol=1e-4,
    )


def test_hints_are_further_channels() -> None:
    network = TissueUNet(3, **TINY, hint_channels=4).eval()
    assert network(*seen(network, torch.randn(1, 5, 16, 16))).logits.shape == (1, 3, 16, 16)


@pytest.mark.parametrize(
    "options",
    [
        {"classes": 1},
        {"in_channels": 0},
        {"widths": (8,)},
        {"widths": (8, 0)},
        {"reduction": 3},
        {"refinement": -1},
        {"hint_channels": -1},
        {"summary": -1},
    ],
)
def test_what_cannot_be_built_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="TissueUNet takes"):
        TissueUNet(**{"classes": 3, **options})  # type: ignore[arg-type]


def test_one_exported_graph_serves_every_size() -> None:
    network = randomized(TissueUNet(4, **TINY)).folded()
    free = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    example = seen(network, torch.randn(2, 1, 65, 50))
    graph = torch.export.export(network, example, dynamic_shapes=(free, None)).module()
    with torch.inference_mode():
        for size in ((2, 1, 65, 50), (3, 1, 40, 90)):
            inputs = seen(network, torch.randn(size))
            torch.testing.assert_close(graph(*inputs)[0], network(*inputs).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter's own making
def test_onnx_runtime_gives_the_same_logits_for_every_size(tmp_path: Path) -> None:
    if not all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime")):
        pytest.skip('needs pip install "medcolor[onnx]"')
    import onnxruntime

    network = randomized(TissueUNet(4, **TINY)).folded()
    path = tmp_path / "network.onnx"
    free = {0: "n", 2: "height", 3: "width"}
    example = seen(network, torch.randn(2, 1, 65, 50))
    torch.onnx.export(network, example, path, dynamo=True, dynamic_shapes=(free, None), verbose=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for size in ((2, 1, 65, 50), (1, 1, 40, 96)):
        inputs = seen(network, torch.randn(size))
        names = (given.name for given in session.get_inputs())
        logits, log_scale = session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=True)})
        with torch.inference_mode():
            expected = network(*inputs)
        np.testing.assert_allclose(logits, expected.logits.numpy(), atol=1e-3)
        np.testing.assert_allclose(log_scale, expected.log_scale.numpy(), atol=1e-3)


@pytest.mark.parametrize("reduction", [2, 4])
def test_the_coarse_estimate_is_enlarged_to_single_pixels_not_to_squares(reduction: int) -> None:
    network = TissueUNet(3, widths=(4, 8), reduction=reduction, refinement=4).eval()
    torch.nn.init.zeros_(network.edge_scale[2].weight)
    torch.nn.init.zeros_(network.edge_scale[2].bias)
    x = torch.rand(1, 1, 32, 32) * 2 - 1
    with torch.inference_mode():
        coarse = network.scale(network._context_of(x, None, None))
        expected = torch.nn.functional.interpolate(coarse, scale_factor=reduction, mode="bilinear")
        torch.testing.assert_close(network(x).log_scale, expected)


def test_a_summary_is_needed_exactly_where_the_network_takes_one() -> None:
    x = torch.zeros(1, 1, 8, 8)
    with pytest.raises(ValueError, match="takes 5 numbers"):
        TissueUNet(3, **TINY)(x)
    with pytest.raises(ValueError, match="takes no numbers"):
        TissueUNet(3, widths=(4, 8))(x, torch.zeros(1, 5))


def test_what_the_volume_looks_like_changes_what_is_seen_in_a_slice() -> None:
    network, x = randomized(TissueUNet(3, **TINY)), torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        one, other = (network(x, volume).logits for volume in (torch.zeros(1, 5), torch.ones(1, 5)))
    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("name", VARIANTS)
def test_classes_are_the_same_when_nobody_asks_how_sure(name: str) -> None:
    network = randomized(TissueUNet(4, **VARIANTS[name])).folded()
    inputs = seen(network, torch.randn(1, 1, 40, 56))
    with torch.inference_mode():
        rated, bare = network(*inputs), network(*inputs, rated=False)
    torch.testing.assert_close(bare.logits, rated.logits, rtol=0, atol=0)
    assert bare.log_scale.shape == rated.log_scale.shape
    assert not bare.log_scale.any()
