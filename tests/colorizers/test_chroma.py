"""Laws of a colorizer that learned colours without tissue, on bundles with random weights."""

from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from bundle_examples import random_bundle
from chroma_examples import Example, Plain, chroma_bundle

from medcolor import phantom
from medcolor.bundles import Bundle, bundles_of, load_bundle
from medcolor.color import apply_color, restore_gray
from medcolor.color_scan import ColorScan, Law
from medcolor.colorizers import load_colorizer
from medcolor.colorizers.chroma import ChromaColorizer
from medcolor.colorizers.network import NetworkColorizer
from medcolor.colorizers.point_hints import Hint
from medcolor.errors import BundleError, ModalityError, SettingError
from medcolor.exporting.export import export_onnx
from medcolor.geometry import Geometry, Space
from medcolor.io import write
from medcolor.palettes import load_palette, with_cvd
from medcolor.scan import GRAY_LEVEL, MODALITIES, Scan, from_slices, to_slices
from medcolor.voi import VoiLut, Window
from medcolor.windowing import display_gray

SHAPES = {"CT": (112, 96, 4), "MR": (96, 112, 4), "PT": (72, 128, 9), "NM": (96, 320, 2), "US": (200, 160, 1)}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    for family in MODALITIES:
        chroma_bundle(folder / f"{family.lower()}_plain", family=family)
    chroma_bundle(folder / "ct_example", kind=Example)
    chroma_bundle(folder / "ct_whole", reach=None)
    chroma_bundle(folder / "ct_silent", doubts=False)
    return folder


@cache
def _bundle(folder: Path) -> Bundle:
    return load_bundle(folder, trust=True)


def colorizer(root: Path, name: str = "ct_plain", **options: object) -> ChromaColorizer:
    return ChromaColorizer(_bundle(root / name), **{"check": False, "device": "cpu", **options})  # type: ignore[arg-type]


@cache
def scan_of(family: str) -> Scan:
    return phantom.scan(family, shape=SHAPES.get(family, (160, 200, 1)))


def ab_of(colorizer: ChromaColorizer, scan: Scan) -> np.ndarray:
    return np.concatenate([ab for _, ab, _, _ in colorizer.ab(scan)])


def assert_law(scan: Scan, colorizer: ChromaColorizer, window: object = None) -> ColorScan:
    colored = colorizer(scan, window=window)  # type: ignore[arg-type]
    keep = np.ones(scan.shape, bool) if scan.colored is None else ~scan.colored
    assert colored.law is colorizer.law is Law.LIGHTNESS
    assert np.count_nonzero(restore_gray(colored.rgb)[keep] != display_gray(scan, window)[keep]) == 0  # type: ignore[arg-type]
    return colored


@pytest.mark.parametrize("family", MODALITIES)
def test_the_gray_law_holds_on_every_modality_and_there_is_colour(root: Path, family: str) -> None:
    colored = assert_law(scan_of(family), colorizer(root, f"{family.lower()}_plain"))
    assert np.ptp(colored.rgb, axis=-1).max() > 5


@pytest.mark.parametrize(
    "options",
    [
        {"strength": 0.25},
        {"cvd": "protan"},
        {"fade": 1.0},
        {"fade": 0.5, "strength": 0.7, "cvd": "tritan:0.5"},
        {"hints": (Hint(50, 40, 1, ab=(80.0, -70.0)),)},
    ],
)
@pytest.mark.parametrize("window", ["bone", Window(40, 1), VoiLut(0, np.array([200, 3, 90], np.uint8))])
def test_the_gray_law_holds_for_every_option_and_window(root: Path, options: dict[str, object], window: object) -> None:
    assert_law(scan_of("CT"), colorizer(root, "ct_example", **options), window)


def test_strength_zero_is_the_displayed_gray(root: Path) -> None:
    scan = scan_of("CT")
    rgb = colorizer(root, strength=0.0, cvd="deutan")(scan).rgb
    np.testing.assert_array_equal(rgb, np.repeat(display_gray(scan)[..., None], 3, axis=-1))


def test_the_colours_are_those_that_the_network_says(root: Path) -> None:
    scan = scan_of("CT")
    by = colorizer(root, strength=0.6)
    gray = np.ascontiguousarray(to_slices(display_gray(scan)))
    expected = apply_color(gray, ab_of(by, scan), strength=0.6)
    np.testing.assert_array_equal(to_slices(by(scan).rgb), expected)
    np.testing.assert_array_equal(np.concatenate([rgb for _, rgb in by.stream(scan)]), expected)


def test_the_blocks_of_colours_cover_the_scan_with_all_that_is_said(root: Path) -> None:
    scan = scan_of("PT")
    ni, nj, nk = scan.shape
    met = 0
    for block, ab, doubt, lightness in colorizer(root, "pt_plain").ab(scan):
        assert block.start == met
        met = block.stop
        n = block.stop - block.start
        assert ab.shape == (n, nj, ni, 2)
        assert ab.dtype == np.float32
        assert doubt is not None
        assert lightness is not None
        assert doubt.shape == lightness.shape == (n, nj, ni)
        assert doubt.min() >= 0
        assert doubt.max() <= 1
    assert met == nk
    assert next(colorizer(root, "ct_silent").ab(scan_of("CT")))[2] is None


@pytest.mark.parametrize("family", ["CT", "PT", "XR"])
def test_colour_does_not_depend_on_how_the_volume_is_cut(
    root: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, name = scan_of(family), f"{family.lower()}_plain"
    whole = colorizer(root, name, cvd="deutan", fade=0.5)(scan).rgb
    monkeypatch.setattr("medcolor.colorizers.painting._BLOCK_VOXELS", 1)
    np.testing.assert_array_equal(colorizer(root, name, cvd="deutan", fade=0.5, batch=3)(scan).rgb, whole)


def test_slices_computed_together_say_what_they_say_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hints = (Hint(30, 40, 2, ab=(50.0, 10.0)),)
    alone = ab_of(colorizer(root, "ct_example", hints=hints), scan_of("CT"))
    monkeypatch.setattr(ChromaColorizer, "at_once", property(lambda colorizer: colorizer.batch))
    for batch in (3, 8):
        together = ab_of(colorizer(root, "ct_example", hints=hints, batch=batch), scan_of("CT"))
        np.testing.assert_allclose(together, alone, atol=1e-4)


def test_a_network_that_says_how_far_it_sees_is_cut_into_tiles_without_a_seam(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hints = (Hint(31, 33, 1, tissue="fat"), Hint(80, 64, 3, ab=(-20.0, 4.0)))
    options = {"name": "ct_example", "hints": hints}
    whole = ab_of(colorizer(root, **options), scan_of("CT"))  # type: ignore[arg-type]
    monkeypatch.setattr("medcolor.colorizers.tiles._WHOLE", 1)
    monkeypatch.setattr("medcolor.colorizers.tiles._SIDE", 32)
    np.testing.assert_allclose(ab_of(colorizer(root, **options), scan_of("CT")), whole, atol=1e-4)  # type: ignore[arg-type]


def test_one_that_does_not_sees_too_large_slices_reduced(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, by = scan_of("CT"), colorizer(root, "ct_whole")
    shown: list[torch.Size] = []
    by.network.register_forward_pre_hook(lambda _, given: shown.append(given[0].shape))
    fine = ab_of(by, scan)
    monkeypatch.setattr("medcolor.colorizers.tiles._WHOLE", 112 * 96 // 4)
    reduced = ab_of(by, scan)
    assert shown[0][-2:] == (96, 112)
    assert shown[-1][-2:] == (48, 56)
    assert reduced.shape == fine.shape
    assert np.corrcoef(reduced.ravel(), fine.ravel())[0, 1] > 0.5
    assert_law(scan, by)


@pytest.mark.parametrize("family", ["CT", "MR", "MG"])
@pytest.mark.parametrize("fill", ["constant", "one pixel", "one row", "padding everywhere", "nan"])
def test_degenerate_scans_are_coloured_without_breaking_the_law(root: Path, family: str, fill: str) -> None:
    shape = {"one pixel": (1, 1, 1), "one row": (17, 1, 1)}.get(fill, (16, 12, 2))
    values = np.full(shape, 40, np.float32)
    if fill == "nan":
        values[::2] = np.nan
    padding = np.ones(shape, bool) if fill == "padding everywhere" else None
    scan = Scan(values, Geometry(shape, np.eye(4)), modality=family, units=scan_of(family).units, padding=padding)
    by = colorizer(root, f"{family.lower()}_plain", fade=1.0)
    colored = assert_law(scan, by)
    if padding is not None:
        assert np.ptp(colored.rgb, axis=-1).max() == 0


def test_pixels_that_are_colour_already_pass_through_byte_identical(root: Path) -> None:
    generator = np.random.default_rng(3)
    rgb = np.repeat(generator.integers(0, 256, (64, 48, 1, 1), dtype=np.uint8), 3, axis=-1)
    rgb[10:20, 5:15] = generator.integers(0, 256, (10, 10, 1, 3))
    colored = (rgb != rgb[..., :1]).any(axis=-1)
    geometry = Geometry.from_spacing((64, 48, 1), (1, 1, 1), Space.PIXEL)
    scan = Scan(restore_gray(rgb), geometry, modality="US", units=GRAY_LEVEL, rgb=rgb, colored=colored)
    out = assert_law(scan, colorizer(root, "us_plain"))
    np.testing.assert_array_equal(out.rgb[colored], rgb[colored])


def test_progress_counts_slices_and_can_cancel(root: Path) -> None:
    seen: list[tuple[int, int]] = []
    colorizer(root)(scan_of("CT"), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (4, 4)

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        colorizer(root)(scan_of("CT"), progress=cancel)


def test_the_record_says_method_palette_hints_and_reference(root: Path) -> None:
    scan = scan_of("CT")
    reference = load_colorizer("physics")(scan)
    options = {"hints": (Hint(5, 6, 1, tissue="fat"),), "reference": reference}
    by = colorizer(root, "ct_example", **options)
    record = by(scan).provenance.to_json()
    assert record["options"]["method"] == "example"
    assert record["options"]["palette"] == "contrast"
    assert record["palette_sha256"] == load_palette("CT", "contrast").sha256
    assert record["options"]["hints"] == [{"voxel": [5, 6, 1], "size": 5, "tissue": "fat"}]
    assert len(record["options"]["reference_sha256"]) == 64
    assert record["weights_sha256"] == by.bundle.card.weights_sha256


def test_a_hint_colours_its_place_in_its_slice_and_no_other(root: Path) -> None:
    scan, palette = scan_of("CT"), load_palette("CT", "contrast")
    plain = ab_of(colorizer(root, "ct_example"), scan)
    hinted = ab_of(colorizer(root, "ct_example", hints=(Hint(60, 40, 2, tissue="fat", size=3),)), scan)
    changed = np.argwhere((plain != hinted).any(axis=-1))
    assert set(changed[:, 0].tolist()) == {2}
    assert set(map(tuple, changed[:, 1:].tolist())) <= {(j, i) for j in (39, 40, 41) for i in (59, 60, 61)}
    fat = palette.ab[palette.names.index("fat")]
    np.testing.assert_allclose(hinted[2, 40, 60], fat, atol=1e-3)


@pytest.mark.parametrize(
    ("hint", "word"),
    [(Hint(200, 1, 1, tissue="fat"), "outside the scan"), (Hint(1, 1, 1, tissue="cheese"), "no class here")],
)
def test_hints_that_cannot_be_meant_are_refused(root: Path, hint: Hint, word: str) -> None:
    with pytest.raises(SettingError, match=word):
        colorizer(root, "ct_example", hints=(hint,))(scan_of("CT"))


def test_options_that_a_method_does_not_take_are_refused_with_who_does(root: Path) -> None:
    with pytest.raises(SettingError, match="zhang2017"):
        colorizer(root, hints=(Hint(1, 1, 1, tissue="fat"),))
    with pytest.raises(SettingError, match="histogan and welsh"):
        colorizer(root, reference="anything.png")
    with pytest.raises(SettingError, match="fade"):
        colorizer(root, "ct_silent", fade=0.5)
    with pytest.raises(SettingError, match='learned the colours of "contrast"'):
        load_colorizer(str(root / "ct_plain"), trust=True, palette="anatomical")
    with pytest.raises(SettingError, match="tissue"):
        load_colorizer(str(root / "ct_plain"), trust=True, onnx="x.onnx")
    for spec in ("physics", "auto", "lut:pet"):
        with pytest.raises(SettingError, match="no hints and no reference"):
            load_colorizer(spec, reference="x.png")


def test_a_reference_gives_its_histogram_and_must_be_in_colour(root: Path, tmp_path: Path) -> None:
    scan = scan_of("CT")
    red = np.zeros((1, 40, 40, 3), np.uint8)
    red[..., 0] = 200
    geometry = Geometry.from_spacing((40, 40, 1), (1, 1, 1), Space.PIXEL)
    picture = Scan(restore_gray(from_slices(red)), geometry, units=GRAY_LEVEL, rgb=from_slices(red))
    by = colorizer(root, "ct_example", reference=picture)
    assert by.palette_for(scan) is None
    alone, told = ab_of(colorizer(root, "ct_example"), scan), ab_of(by, scan)
    ratio = np.abs(told).sum() / np.abs(alone).sum()
    assert 0 < ratio < 0.9  # the example takes the largest entry of the histogram as a factor
    write(load_colorizer("physics")(scan), tmp_path / "colored")
    from_file = colorizer(root, "ct_example", reference=tmp_path / "colored")
    in_hand = colorizer(root, "ct_example", reference=load_colorizer("physics")(scan))
    assert from_file.reference.sha256 == in_hand.reference.sha256  # type: ignore[union-attr]
    write(load_colorizer("physics", strength=0.0)(scan), tmp_path / "gray")
    with pytest.raises(SettingError, match="gray"):
        colorizer(root, "ct_example", reference=tmp_path / "gray")
    with pytest.raises(SettingError, match="table"):
        colorizer(root, "ct_example", reference=load_colorizer("lut:pet")(scan))


def test_the_tissue_model_s_posteriors_reach_the_network_and_its_refusal_is_heard(root: Path) -> None:
    from medcolor import tissue

    scan, by = scan_of("CT"), colorizer(root, "ct_example")
    outside = tissue.fit(scan).posteriors(slice(None))[0]
    ab = ab_of(by, scan)
    assert outside.max() == 1
    assert np.abs(ab[outside == 1]).max() == 0  # the example lets no colour be there
    lost = dataclasses.replace(scan, voxels=display_gray(scan), units=GRAY_LEVEL, windows=())
    with pytest.raises(ModalityError):
        by(lost)
    assert_law(lost, colorizer(root))


def test_doubt_fades_chroma_as_far_as_asked(root: Path) -> None:
    scan = scan_of("CT")
    by = colorizer(root, fade=0.6)
    gray = np.ascontiguousarray(to_slices(display_gray(scan)))
    blocks = list(by.ab(scan))
    ab = np.concatenate([b[1] * (1 - np.float32(0.6) * b[2])[..., None] for b in blocks])  # type: ignore[operator]
    np.testing.assert_array_equal(to_slices(by(scan).rgb), apply_color(gray, ab))


@pytest.mark.parametrize("cvd", ["protan", "deutan:0.6", "tritan"])
def test_an_eye_gets_the_palette_moved_as_the_palette_itself_moves(root: Path, cvd: str) -> None:
    by = colorizer(root, cvd=cvd)
    palette = load_palette("CT", "contrast")
    assert by.recoloring is not None
    moved, expected = by.recoloring(palette.ab), with_cvd(palette, cvd).ab
    assert np.abs(moved - expected).max() < 1.5  # to the nearest node, and others pull a little
    np.testing.assert_array_equal(by.recoloring(np.zeros((3, 2))), 0)
    assert_law(scan_of("CT"), by)


def test_severity_zero_changes_nothing(root: Path) -> None:
    scan = scan_of("CT")
    np.testing.assert_array_equal(colorizer(root, cvd="deutan:0")(scan).rgb, colorizer(root)(scan).rgb)


def test_the_legend_shows_the_colours_it_learned_and_says_so(root: Path) -> None:
    scan, by = scan_of("CT"), colorizer(root)
    found = by.legend_for(scan)
    assert [row.entry.name for row in found.rows] == list(load_palette("CT").names)
    assert abs(sum(row.share for row in found.rows) - 1) < 1e-6
    assert '"contrast", which it learned' in found.measure
    assert by.palette_for(scan) == load_palette("CT", "contrast")


def test_nobody_takes_it_for_a_bundle_that_knows_tissue(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="which tissue"):
        NetworkColorizer(_bundle(root / "ct_plain"))
    random_bundle(tmp_path / "tissue")
    with pytest.raises(SettingError, match="NetworkColorizer"):
        ChromaColorizer(load_bundle(tmp_path / "tissue", trust=True))


def test_it_is_not_exported_as_one(root: Path, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason='needs pip install "medcolor[onnx]"')
    with pytest.raises(SettingError, match="only bundles of method"):
        export_onnx(str(root / "ct_plain"), tmp_path / "x.onnx", trust=True)


def test_lists_of_bundles_keep_the_methods_apart(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random_bundle(root / "ct_random")
    monkeypatch.setattr("medcolor.bundles.config_dir", lambda: root)
    assert [card.name for card in bundles_of("CT")] == ["ct_random"]
    assert [card.name for card in bundles_of("CT", "example")] == ["ct_example"]
    assert {card.method for card in bundles_of("CT", None)} == {"tissue", "plain", "example"}


def test_a_bundle_without_tissue_is_no_default_and_its_network_must_be_of_its_method(tmp_path: Path) -> None:
    import json

    folder = chroma_bundle(tmp_path / "ct_plain").folder
    path = folder / "metadata.json"
    record = json.loads(path.read_text())
    for change, word in (({"default": True}, "can be a default"), ({"method": "Zhang 2016"}, "is a name such as")):
        path.write_text(json.dumps(record | {"medcolor": record["medcolor"] | change}))
        with pytest.raises(BundleError, match=word):
            load_bundle(folder, trust=True)
    path.write_text(json.dumps(record | {"medcolor": record["medcolor"] | {"method": "example"}}))
    with pytest.raises(BundleError, match="network_def is plain"):
        load_bundle(folder, trust=True)


def test_what_is_written_fits_the_schema(root: Path) -> None:
    import json

    from medcolor.resources import config_dir

    jsonschema = pytest.importorskip("jsonschema", reason='needs pip install "medcolor[test]"')
    schema = json.loads((config_dir() / "bundle_schema.json").read_text(encoding="utf-8"))
    metadata = json.loads((root / "ct_plain" / "metadata.json").read_text(encoding="utf-8"))
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(metadata)) == []
    assert metadata["network_data_format"]["outputs"]["pred"]["num_channels"] == 2


def test_another_modality_is_refused(root: Path) -> None:
    for act in (colorizer(root), colorizer(root).palette_for, lambda scan: next(colorizer(root).ab(scan))):
        with pytest.raises(ModalityError, match="--modality"):
            act(scan_of("MR"))
    assert Plain.needs == frozenset()
