"""Laws that every colorizer obeys, whatever it is. A new colorizer is picked up from the registry."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

from medcolor import phantom
from medcolor.bundle_files import TISSUE
from medcolor.color import restore_gray
from medcolor.color_scan import Law
from medcolor.colorizers import list_colorizers, load_colorizer
from medcolor.errors import ModalityError, UnknownColorizerError
from medcolor.geometry import Geometry, Space
from medcolor.scan import MODALITIES, Scan
from medcolor.voi import VoiLut, Window
from medcolor.windowing import display_gray

LISTED = [info for info in list_colorizers() if not info.pattern]  # a pattern needs a file: test_segmentation.py
COLORIZERS = [info.name for info in LISTED]
LIGHTNESS = [info.name for info in LISTED if info.law is Law.LIGHTNESS]
TABLES = [info.name for info in LISTED if info.law is Law.LUT]
FAMILIES = {info.name: MODALITIES if info.modalities == ("any",) else info.modalities for info in LISTED}
FIRST = {name: "CT" if "CT" in families else families[0] for name, families in FAMILIES.items()}
# systems of the review: each bundle keeps its law (PAIRS); what else holds is tried on one bundle of each method, and
# on all there is to try of them in test_chroma.py
LEARNED = {info.name: info.method for info in LISTED if info.method not in {None, TISSUE}}
EVERY = [spec for spec in LIGHTNESS if spec not in LEARNED]
ONE_OF_EACH = [*EVERY, *{method: spec for spec, method in reversed(LEARNED.items())}.values()]
LAWFUL_PAIRS = [(spec, family) for spec in ONE_OF_EACH for family in FAMILIES[spec]]


SHAPES = {"CT": (112, 96, 4), "MR": (96, 112, 4), "PT": (72, 128, 9), "NM": (96, 320, 2), "US": (200, 160, 1)}


@cache
def phantom_scan(family: str) -> Scan:
    """Small: what is tried here is a law, over many colorizers and options."""
    return phantom.scan(family, shape=SHAPES.get(family, (160, 200, 1)))


def assert_law(scan: Scan, spec: str, **options: object) -> None:
    window = options.pop("window", None)
    colored = load_colorizer(spec, **options)(scan, window=window)  # type: ignore[arg-type]
    gray = display_gray(scan, window)  # type: ignore[arg-type]
    keep = np.ones(scan.shape, bool) if scan.colored is None else ~scan.colored
    assert colored.law is load_colorizer(spec).law
    if colored.law is Law.LIGHTNESS:
        assert np.count_nonzero(restore_gray(colored.rgb)[keep] != gray[keep]) == 0
    else:
        pairs = np.unique(np.column_stack([gray[keep], colored.rgb[keep]]), axis=0)
        assert len(pairs) == len(np.unique(pairs[:, 0])), "one gray level has two colours"


# tables are one implementation: the first is tried on every modality, the rest on CT
PAIRS = [(spec, family) for spec in COLORIZERS for family in FAMILIES[spec] if spec not in TABLES[1:] or family == "CT"]


@pytest.mark.parametrize(("spec", "family"), PAIRS)
def test_every_colorizer_keeps_its_law_on_every_modality(spec: str, family: str) -> None:
    assert_law(phantom_scan(family), spec)


@pytest.mark.parametrize("spec", ONE_OF_EACH)
@pytest.mark.parametrize("cvd", ["protan", "tritan:0.5"])
def test_the_gray_law_holds_for_every_eye(spec: str, cvd: str) -> None:
    assert_law(phantom_scan(FIRST[spec]), spec, strength=0.7, cvd=cvd)


@pytest.mark.parametrize("spec", EVERY)
@pytest.mark.parametrize("strength", [0.25, 0.7])
@pytest.mark.parametrize("palette", ["contrast", "deutan"])
@pytest.mark.parametrize("cvd", [None, "protan", "tritan:0.5"])
def test_the_gray_law_holds_for_every_option(spec: str, strength: float, palette: str, cvd: str | None) -> None:
    window = "bone" if FIRST[spec] == "CT" else None
    assert_law(phantom_scan(FIRST[spec]), spec, strength=strength, palette=palette, cvd=cvd, window=window)


@pytest.mark.parametrize("spec", ONE_OF_EACH)
@pytest.mark.parametrize(
    "window",
    [Window(40, 1), Window(0, 1e6), Window(-500, 1400, "SIGMOID"), VoiLut(0, np.array([200, 3, 90], np.uint8))],
)
def test_the_gray_law_holds_for_odd_windows(spec: str, window: Window | VoiLut) -> None:
    assert_law(phantom_scan(FIRST[spec]), spec, window=window)


@pytest.mark.parametrize("spec", [spec for spec in COLORIZERS if spec not in LEARNED or spec in ONE_OF_EACH])
def test_strength_zero_is_the_displayed_gray(spec: str) -> None:
    scan = phantom_scan(FIRST[spec])
    rgb = load_colorizer(spec, strength=0.0)(scan).rgb
    np.testing.assert_array_equal(rgb, np.repeat(display_gray(scan)[..., None], 3, axis=-1))


@pytest.mark.parametrize("spec", [*ONE_OF_EACH, TABLES[0]])
def test_the_same_input_gives_the_same_bytes_and_the_grid_is_kept(spec: str) -> None:
    scan = phantom_scan("MR" if "MR" in FAMILIES[spec] else FIRST[spec])
    first, second = load_colorizer(spec)(scan), load_colorizer(spec)(scan)
    np.testing.assert_array_equal(first.rgb, second.rgb)
    assert first.provenance.dumps() == second.provenance.dumps()
    assert first.geometry is scan.geometry
    assert not first.rgb.flags.writeable


@pytest.mark.parametrize(("spec", "family"), [*LAWFUL_PAIRS, *((TABLES[0], family) for family in MODALITIES)])
def test_colour_does_not_depend_on_how_the_volume_is_cut(
    spec: str, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, colorizer = phantom_scan(family), load_colorizer(spec)
    whole = colorizer(scan).rgb
    monkeypatch.setattr("medcolor.colorizers.painting._BLOCK_VOXELS", 1)  # one slice at a time
    np.testing.assert_array_equal(colorizer(scan).rgb, whole)


@pytest.mark.parametrize("spec", [*ONE_OF_EACH, TABLES[0]])
def test_progress_counts_slices_up_to_all_of_them_and_can_cancel(spec: str) -> None:
    scan, seen = phantom_scan(FIRST[spec]), []
    load_colorizer(spec)(scan, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (scan.shape[2], scan.shape[2])

    def cancel(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_colorizer(spec)(scan, progress=cancel)


@pytest.mark.filterwarnings("ignore:This looks like none of the seven:medcolor.errors.MedcolorWarning")  # it is noise
@pytest.mark.parametrize("spec", [*(spec for spec, family in LAWFUL_PAIRS if family == "US"), TABLES[0]])
def test_pixels_that_are_colour_already_pass_through_byte_identical(spec: str) -> None:
    generator = np.random.default_rng(3)
    rgb = np.repeat(generator.integers(0, 256, (64, 48, 1, 1), dtype=np.uint8), 3, axis=-1)
    rgb[10:20, 5:15] = generator.integers(0, 256, (10, 10, 1, 3))
    colored = (rgb != rgb[..., :1]).any(axis=-1)
    geometry = Geometry.from_spacing((64, 48, 1), (1, 1, 1), Space.PIXEL)
    scan = Scan(restore_gray(rgb), geometry, modality="US", units="gray level", rgb=rgb, colored=colored)
    out = load_colorizer(spec)(scan)
    np.testing.assert_array_equal(out.rgb[colored], rgb[colored])
    assert out.provenance.passed_through == np.count_nonzero(colored) > 0
    assert_law(scan, spec)


@pytest.mark.parametrize(("spec", "family"), LAWFUL_PAIRS)
@pytest.mark.parametrize("fill", ["constant", "one pixel", "one row", "padding everywhere", "nan"])
def test_degenerate_scans_are_coloured_without_breaking_the_law(spec: str, family: str, fill: str) -> None:
    units = phantom_scan(family).units
    shape = {"one pixel": (1, 1, 1), "one row": (17, 1, 1)}.get(fill, (16, 12, 2))
    values = np.full(shape, 40, np.float32)
    if fill == "nan":
        values[::2] = np.nan
    padding = np.ones(shape, bool) if fill == "padding everywhere" else None
    geometry = Geometry(shape, np.eye(4))
    assert_law(Scan(values, geometry, modality=family, units=units, padding=padding), spec)


@pytest.mark.parametrize("spec", ONE_OF_EACH)
def test_an_unknown_modality_is_refused_and_the_way_out_is_said(spec: str) -> None:
    scan = dataclasses.replace(phantom_scan("CT"), modality="OT")
    with pytest.raises(ModalityError, match="--modality"):
        load_colorizer(spec)(scan)


@pytest.mark.parametrize("spec", ["ct_tisue", "physic", "lut:", "lut:hot_irom", "physics:x", ""])
def test_an_unknown_colorizer_is_an_error_that_lists_what_exists(spec: str) -> None:
    with pytest.raises(UnknownColorizerError, match=r"physics|hot_iron"):
        load_colorizer(spec)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("physics", {"strength": 1.5}),
        ("physics", {"strength": -0.1}),
        ("physics", {"strength": float("nan")}),
        (TABLES[0], {"palette": "contrast"}),
        (TABLES[0], {"cvd": "deutan"}),
    ],
)
def test_an_option_that_cannot_be_honoured_is_refused(spec: str, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"strength|fixed table"):
        load_colorizer(spec, **options)  # type: ignore[arg-type]


def test_provenance_says_what_was_done() -> None:
    colored = load_colorizer("physics", palette="contrast", strength=0.5, cvd="deutan")(
        phantom_scan("CT"), window="lung"
    )
    record = colored.provenance.to_json()
    assert record["colorizer"] == "physics"
    assert record["window"] == "lung C -500 W 1400"
    assert record["options"] == {"palette": "contrast", "strength": 0.5, "cvd": "deutan"}
    assert len(record["palette_sha256"]) == 64
    assert type(colored.provenance).from_json(record).digest == colored.provenance.digest
