"""Palettes: complete, apart for the eyes they are made for, and refused with reasons when they are not right."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, lab2rgb, rgb2lab

from medcolor import tissue
from medcolor.cielab import shrink_to_gamut
from medcolor.errors import MedcolorError, PaletteError, UnknownColorizerError
from medcolor.palettes import STYLES, Palette, TissueClass, legend, list_palettes, load_palette, palette_path, with_cvd
from medcolor.scan import MODALITIES
from medcolor.vision import Deficiency, separability

pytestmark = pytest.mark.filterwarnings("ignore:.*related API features are not available")  # colour-science

LEVELS = (30.0, 50.0, 70.0)
CLASSES = {
    "CT": "outside gas lung fat fluid soft_tissue enhanced spongy_bone cortical_bone metal",
    "MR": "outside dark low intermediate high bright",
    "PT": "outside background low moderate high intense",
    "NM": "outside background low moderate high intense",
    "US": "outside anechoic hypoechoic isoechoic hyperechoic bright",
    "XR": "outside air soft_tissue dense bone metal",
    "MG": "air skin fat fibroglandular pectoral calcification",
}
COLOUR_NAMES = {"protan": "Protanomaly", "deutan": "Deuteranomaly", "tritan": "Tritanomaly"}


def test_every_family_has_every_style() -> None:
    assert list_palettes() == [(family, style) for family in MODALITIES for style in STYLES]


@pytest.mark.parametrize(("family", "style"), list_palettes())
def test_a_palette_has_exactly_the_classes_of_its_family(family: str, style: str) -> None:
    palette = load_palette(family, style)
    assert palette.names == tuple(CLASSES[family].split()) == tissue.CLASSES[family]
    assert palette.ab.shape == (len(palette.names), 2)
    assert palette.ab.dtype == np.float32
    assert palette.ab[0].tolist() == [0, 0]  # outside, air: gray
    for entry in palette.classes:
        assert entry.meaning
        assert entry.label
        assert entry.source.startswith(("designed, not measured", "sampled: "))
        assert ("Visible Human" in entry.source) == entry.source.startswith("sampled")


def test_only_anatomical_colors_are_sampled() -> None:
    sampled = {
        (family, style, entry.name)
        for family, style in list_palettes()
        for entry in load_palette(family, style).classes
        if entry.source.startswith("sampled")
    }
    assert {style for _, style, _ in sampled} == {"anatomical"}
    assert {name for family, _, name in sampled if family == "CT"} == {
        "lung", "fat", "soft_tissue", "spongy_bone", "cortical_bone",
    }  # fmt: skip


# --- separability: through our own code, and through colour-science and scikit-image


@pytest.mark.parametrize("family", MODALITIES)
def test_neighbours_differ_by_12_in_contrast_style(family: str) -> None:
    ab = load_palette(family, "contrast").ab
    assert separability(ab, lightness=LEVELS).min() >= 12.5
    assert independent_separability(ab, None) >= 12


@pytest.mark.parametrize("model", ["machado", "brettel"])
@pytest.mark.parametrize("deficiency", list(Deficiency))
@pytest.mark.parametrize("family", MODALITIES)
def test_neighbours_differ_by_7_under_the_dichromacy_a_style_is_made_for(
    family: str, deficiency: Deficiency, model: str
) -> None:
    ab = load_palette(family, str(deficiency)).ab
    assert separability(ab, deficiency, 1.0, LEVELS, model=model).min() >= 7.5  # type: ignore[arg-type]


@pytest.mark.parametrize("deficiency", list(Deficiency))
@pytest.mark.parametrize("family", MODALITIES)
def test_an_independent_implementation_agrees_on_the_styles_for_deficiencies(
    family: str, deficiency: Deficiency
) -> None:
    ab = load_palette(family, str(deficiency)).ab
    assert independent_separability(ab, deficiency) >= 7
    assert independent_separability(ab, None) >= 10  # and others may look at it too
    ours = separability(ab, deficiency, 1.0, LEVELS).min()
    assert independent_separability(ab, deficiency) == pytest.approx(ours, abs=0.3)


def independent_separability(ab: NDArray[np.float32], deficiency: Deficiency | None) -> float:
    """Find the smallest CIEDE2000 between neighbours, without our colour code: gamut, simulation and difference."""
    import colour

    smallest = np.inf
    for level in LEVELS:
        lab = np.array([shrunk(level, pair) for pair in ab.astype(float)])
        if deficiency is not None:
            matrix = np.asarray(colour.blindness.CVD_MATRICES_MACHADO2010[COLOUR_NAMES[deficiency]][1.0])
            linear = colour.models.eotf_sRGB(np.clip(lab2rgb(lab), 0, 1))
            lab = rgb2lab(colour.models.eotf_inverse_sRGB(np.clip(linear @ matrix.T, 0, 1)))
        smallest = min(smallest, float(deltaE_ciede2000(lab[:-1], lab[1:]).min()))
    return smallest


def shrunk(level: float, pair: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest fraction of a colour that linear sRGB can show at this L*, by bisection."""
    import colour

    white = colour.CCS_ILLUMINANTS["CIE 1931 2 Degree Standard Observer"]["D65"]
    low, high = 0.0, 1.0
    for step in range(30):
        middle = 1.0 if step == 0 else (low + high) / 2
        xyz = colour.Lab_to_XYZ([level, *(middle * pair)], illuminant=white)
        linear = colour.XYZ_to_sRGB(xyz, apply_cctf_encoding=False)
        if linear.min() >= -1e-6 and linear.max() <= 1 + 1e-6:
            low = middle
            if step == 0:
                break
        else:
            high = middle
    return np.array([level, *(low * pair)])


def test_the_independent_gamut_agrees_with_ours() -> None:
    pair = np.array([-48.0, 40.0])
    np.testing.assert_allclose(shrunk(30.0, pair)[1:], shrink_to_gamut(30.0, pair), atol=0.05)


# --- the value


def test_the_hash_is_of_names_and_colors_alone() -> None:
    palette = load_palette("CT", "contrast")
    content = json.dumps([[c.name, float(c.ab[0]), float(c.ab[1])] for c in palette.classes], separators=(",", ":"))
    assert palette.sha256 == hashlib.sha256(content.encode()).hexdigest()
    renamed = Palette("CT", "mine", tuple(replace(c, meaning="", source="", label="") for c in palette.classes))
    assert renamed.sha256 == palette.sha256
    moved = Palette("CT", "contrast", (*palette.classes[:-1], replace(palette.classes[-1], ab=(-48.0, 41.0))))
    assert moved.sha256 != palette.sha256
    assert (
        Palette("CT", "x", (TissueClass("a", (-0.0, 0)),)).sha256
        == Palette("CT", "x", (TissueClass("a", (0, 0)),)).sha256
    )


def test_palettes_that_differ_have_different_hashes() -> None:
    hashes = {load_palette(*key).sha256 for key in list_palettes() if key[0] != "NM"}
    assert len(hashes) == len(MODALITIES[:-1]) * len(STYLES)
    for style in STYLES:  # nuclear medicine and PET share their ramp, and say so
        assert load_palette("NM", style).sha256 == load_palette("PT", style).sha256


def test_the_hash_is_the_same_in_another_process() -> None:
    code = "from medcolor.palettes import load_palette; print(load_palette('MG', 'tritan').sha256)"
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert out.stdout.strip() == load_palette("MG", "tritan").sha256


@pytest.mark.parametrize(("code", "family"), [("CR", "XR"), ("dx", "XR"), ("ct", "CT"), ("IVUS", "US")])
def test_dicom_modality_codes_find_their_family(code: str, family: str) -> None:
    assert load_palette(code, "contrast").modality == family


@pytest.mark.parametrize(
    ("family", "style", "word"),
    [
        ("XX", "contrast", "Modalities: CT"),
        ("CT", "contrst", 'Did you mean "contrast"'),
        ("CT", "Anatomical", 'Did you mean "anatomical"'),
        ("MR", "", "Styles: anatomical"),
    ],
)
def test_an_unknown_family_or_style_is_refused_with_what_exists(family: str, style: str, word: str) -> None:
    with pytest.raises(UnknownColorizerError, match=word):
        load_palette(family, style)


@pytest.mark.parametrize(
    "classes", [(), (TissueClass("a", (0, 0)), TissueClass("a", (1, 1)))], ids=["none", "one name twice"]
)
def test_a_palette_without_different_classes_cannot_be_made(classes: tuple[TissueClass, ...]) -> None:
    with pytest.raises(PaletteError, match="different names"):
        Palette("CT", "mine", classes)


@pytest.mark.parametrize("ab", [(float("nan"), 0.0), (0.0, float("inf")), (200.0, 0.0)])
def test_a_color_outside_the_scale_cannot_be_made(ab: tuple[float, float]) -> None:
    with pytest.raises(PaletteError, match="within"):
        TissueClass("fat", ab)


def test_a_legend_shows_each_class_at_one_lightness() -> None:
    from medcolor.color import restore_gray

    palette = load_palette("CT", "contrast")
    entries = legend(palette, lightness=50)
    assert [entry.name for entry in entries] == list(palette.names)
    assert entries[5].label == "soft tissue"
    grays = restore_gray(np.array([entry.swatch for entry in entries], dtype=np.uint8))
    assert set(grays.tolist()) == {119}


# --- colour-vision deficiency on request


@pytest.mark.parametrize("spec", ["protan", "deutan", "tritan", "deutan:0.6"])
@pytest.mark.parametrize("family", ["CT", "PT"])
def test_compensation_separates_neighbours_and_keeps_gray_gray(family: str, spec: str) -> None:
    palette = load_palette(family, "anatomical")
    kind, _, degree = spec.partition(":")
    view = (Deficiency(kind), float(degree or 1))
    helped = with_cvd(palette, spec)
    assert separability(helped.ab, *view).min() > max(7.0, separability(palette.ab, *view).min())
    assert (helped.names, helped.style, helped.modality) == (palette.names, palette.style, palette.modality)
    assert helped.ab[0].tolist() == [0, 0]
    assert helped.sha256 != palette.sha256
    assert helped.sha256 == with_cvd(palette, spec).sha256


def test_no_deficiency_changes_nothing() -> None:
    palette = load_palette("CT")
    assert with_cvd(palette, "protan:0") is palette


@pytest.mark.parametrize(
    ("spec", "error", "word"),
    [
        ("monochromat", UnknownColorizerError, "protan, deutan, tritan"),
        ("deuton", UnknownColorizerError, 'Did you mean "deutan"'),
        ("", UnknownColorizerError, "protan, deutan, tritan"),
        ("deutan:", PaletteError, "0 .normal. to 1"),
        ("deutan:much", PaletteError, "0 .normal. to 1"),
        ("deutan:1.2", PaletteError, "0 .normal. to 1"),
        ("deutan:-0.1", PaletteError, "0 .normal. to 1"),
        ("deutan:nan", PaletteError, "0 .normal. to 1"),
    ],
)
def test_a_wrong_deficiency_is_refused(spec: str, error: type[MedcolorError], word: str) -> None:
    with pytest.raises(error, match=word):
        with_cvd(load_palette("CT"), spec)


# --- a palette of one's own

OWN = """\
classes:
  outside: [0, 0]
  dark: [1, 2.5]
  low: [3, 4]
  intermediate: [5, 6]
  high: [7, 8]
  bright: [9, -10]
"""


def test_a_personal_file_needs_only_colors(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(OWN)
    palette = load_palette("MR", file)
    assert palette.style == "mine"
    assert palette.ab.tolist() == [[0, 0], [1, 2.5], [3, 4], [5, 6], [7, 8], [9, -10]]
    assert palette.names == load_palette("MR").names
    assert palette.classes[5].meaning == load_palette("MR").classes[5].meaning
    assert palette.classes[5].source == "personal palette mine.yaml"
    assert load_palette("MR", str(file)).sha256 == palette.sha256
    file.write_text("modality: MR\n" + OWN.replace("[1, 2.5]", "[11, 2.5]"))
    assert load_palette("MR", file).ab[1].tolist() == [11, 2.5]  # read anew, not remembered


@pytest.mark.parametrize(
    ("text", "word"),
    [
        pytest.param("", "the file: got nothing", id="empty"),
        pytest.param("- 1\n- 2\n", "a mapping", id="a list"),
        pytest.param("classes: [", "not valid YAML", id="no YAML"),
        pytest.param("\x00\x01", "not valid YAML", id="binary"),
        pytest.param("classes: !!python/object/apply:os.getcwd []", "not valid YAML", id="code"),
        pytest.param(OWN + "colors: 1\n", "unknown key 'colors'. Accepted: modality, classes", id="unknown key"),
        pytest.param(OWN.replace("  low: [3, 4]\n", ""), "classes: low missing", id="missing class"),
        pytest.param(OWN + "  fat: [1, 2]\n", "unknown key 'fat'. Accepted: outside, dark", id="unknown class"),
        pytest.param(OWN + "  low: [1, 2]\n", "key 'low' is there twice", id="class twice"),
        pytest.param(OWN.replace("[3, 4]", "[3]"), r"classes.low: got \[3\], accepted is \[a, b\]", id="one number"),
        pytest.param(OWN.replace("[3, 4]", "[3, 4, 5]"), "classes.low", id="three numbers"),
        pytest.param(OWN.replace("[3, 4]", "red"), "classes.low: got 'red'", id="a word"),
        pytest.param(OWN.replace("[3, 4]", "[3, x]"), "classes.low", id="no number"),
        pytest.param(OWN.replace("[3, 4]", "[true, 4]"), "classes.low", id="a boolean"),
        pytest.param(OWN.replace("[3, 4]", "[.nan, 4]"), "two finite numbers", id="NaN"),
        pytest.param(OWN.replace("[3, 4]", "[.inf, 4]"), "two finite numbers", id="infinity"),
        pytest.param(OWN.replace("[3, 4]", "[3, 400]"), "within ±128", id="too large"),
        pytest.param(OWN.replace("[3, 4]", f"[3, {10**400}]"), "within ±128", id="far too large"),
        pytest.param("modality: CT\n" + OWN, "modality: got 'CT', accepted is MR", id="other modality"),
        pytest.param("classes: {}\n", "classes: got {}, accepted is a mapping", id="no classes"),
        pytest.param("# " + "x" * 300_000 + "\n" + OWN, "larger than 256 kB", id="huge"),
        pytest.param("classes: " + "[" * 5000, "not valid YAML", id="deep"),
        pytest.param("? [1, 2]\n: 3\n", "not valid YAML", id="odd key"),
    ],
)
def test_a_wrong_personal_file_is_refused_with_file_and_key(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(PaletteError, match=word) as caught:
        load_palette("MR", file)
    assert str(file) in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PaletteError, match="no such file"):
        load_palette("MR", tmp_path / "none.yaml")
    with pytest.raises(PaletteError, match="palette is a YAML file"):
        load_palette("MR", tmp_path)


# --- the files that travel with medcolor follow the same rules


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("modality: MR", "modality: CT", "modality: got 'CT'"),
        ("title:", "titel:", "unknown key 'titel'"),
        ("    label: dark\n", "", r"classes\[1\].label: got nothing, accepted is a text"),
        ("name: dark", "name: outside", "class outside is there twice"),
        ("      contrast: {ab: [0, 0]", "      contrasts: {ab: [0, 0]", "unknown key 'contrasts'"),
        ("ab: [36, -60]", "ab: [36]", r"classes\[1\].colors.protan.ab"),
        ("ab: [36, -60], source:", "ab: [36, -60], sauce:", "unknown key 'sauce'"),
    ],
)
def test_a_wrong_file_of_ours_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, word: str) -> None:
    from medcolor.palette_files import read_styles

    text = palette_path("MR").read_text()
    assert old in text
    file = tmp_path / "mr.yaml"
    file.write_text(text)
    assert list(read_styles(file, "MR")) == list(STYLES)
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(PaletteError, match=word) as caught:
        read_styles(file, "MR")
    assert str(file) in str(caught.value)


# --- where the colours come from

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "derive_palettes.py"


@pytest.mark.data
def test_sampled_colors_come_from_the_photograph(data_folder: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--data", str(data_folder), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_optimized_colors_come_out_of_the_optimization() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--optimize", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_table_in_the_documentation_is_current() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--table"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in (SCRIPT.parent.parent / "docs" / "palettes.md").read_text()
