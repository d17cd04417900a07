"""PNG, JPEG and TIFF: every depth and layout, sizes that lie, and what is said about them."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image
from pydicom.data import get_testdata_file

from medcolor.color import restore_gray
from medcolor.errors import AmbiguousSeriesError, MedcolorWarning, ReadCode, ReadError
from medcolor.geometry import Space
from medcolor.io import list_series, read
from medcolor.scan import KAxis, Scan

RNG = np.random.default_rng(0)
GRAY8 = RNG.integers(0, 256, (7, 9), dtype=np.uint8)
GRAY16 = RNG.integers(0, 65536, (7, 9), dtype=np.uint16)
RGB8 = RNG.integers(0, 256, (7, 9, 3), dtype=np.uint8)
RGB16 = RNG.integers(0, 65536, (7, 9, 3), dtype=np.uint16)


def image(scan: Scan) -> np.ndarray:
    pixels = scan.voxels if scan.rgb is None else scan.rgb
    return pixels[:, :, 0].swapaxes(0, 1)


def png(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.parametrize("pixels", [GRAY8, GRAY16, RGB8], ids=["gray8", "gray16", "rgb8"])
def test_png_pixels_come_back(pixels: np.ndarray, tmp_path: Path) -> None:
    scan = read(png(tmp_path / "a.png", pixels), modality="CR")
    np.testing.assert_array_equal(image(scan), pixels)
    assert scan.shape == (9, 7, 1)
    assert scan.geometry.space is Space.PIXEL
    assert "no-pose" in [f.code for f in scan.audit]


def test_a_file_without_a_modality_says_so(tmp_path: Path) -> None:
    with pytest.warns(MedcolorWarning, match="--modality"):
        assert read(png(tmp_path / "a.png", GRAY8)).modality == "OT"


def test_colour_is_marked_and_its_gray_is_the_luminance(tmp_path: Path) -> None:
    pixels = np.repeat(GRAY8[..., None], 3, axis=-1)
    pixels[2:4, 3:6] = RGB8[2:4, 3:6]
    scan = read(png(tmp_path / "a.png", pixels), modality="US")
    colored = np.ptp(pixels, axis=-1) > 0
    assert scan.colored is not None
    np.testing.assert_array_equal(scan.colored[:, :, 0].T, colored)
    np.testing.assert_array_equal(scan.voxels[:, :, 0].T, restore_gray(pixels))


def test_gray_stored_as_rgb_palette_or_bits_is_gray(tmp_path: Path) -> None:
    rgb = png(tmp_path / "a.png", np.repeat(GRAY8[..., None], 3, axis=-1))
    np.testing.assert_array_equal(image(read(rgb, modality="US")), GRAY8)
    Image.fromarray(GRAY8).convert("P").save(tmp_path / "p.png")
    np.testing.assert_array_equal(image(read(tmp_path / "p.png", modality="US")), GRAY8)
    Image.fromarray(GRAY8 > 99).save(tmp_path / "b.png")
    np.testing.assert_array_equal(image(read(tmp_path / "b.png", modality="US")), (GRAY8 > 99) * np.uint8(255))


def test_a_colour_palette_is_applied(tmp_path: Path) -> None:
    indexed = Image.fromarray(RGB8).quantize(16)
    indexed.save(tmp_path / "a.png")
    np.testing.assert_array_equal(image(read(tmp_path / "a.png", modality="US")), np.array(indexed.convert("RGB")))


def test_transparency_is_said_and_empty_pixels_are_no_image(tmp_path: Path) -> None:
    alpha = np.full((7, 9), 255, np.uint8)
    opaque = read(png(tmp_path / "a.png", np.dstack([RGB8, alpha])), modality="US")
    np.testing.assert_array_equal(image(opaque), RGB8)
    assert opaque.padding is None
    alpha[0, 3], alpha[1, 1] = 0, 100
    holes = read(png(tmp_path / "b.png", np.dstack([RGB8, alpha])), modality="US")
    assert {"alpha", "transparent"} <= {f.code for f in holes.audit}
    assert holes.padding is not None
    np.testing.assert_array_equal(np.argwhere(holes.padding), [[3, 0, 0]])


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(path: Path, width: int, height: int, bits: int, kind: int, rows: bytes) -> Path:
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def deep_png(path: Path, pixels: np.ndarray, kind: int) -> Path:
    rows = b"".join(b"\x00" + row.astype(">u2").tobytes() for row in pixels)
    return raw_png(path, pixels.shape[1], pixels.shape[0], 16, kind, rows)


def test_deep_colour_png_is_not_cut_without_a_word(tmp_path: Path) -> None:
    color = read(deep_png(tmp_path / "a.png", RGB16, 2), modality="US")
    np.testing.assert_array_equal(image(color), np.floor(RGB16 * (255 / 65535) + 0.5).astype(np.uint8))
    assert "deep-color" in {f.code for f in color.audit}
    gray = read(deep_png(tmp_path / "b.png", np.repeat(GRAY16[..., None], 3, axis=-1), 2), modality="US")
    np.testing.assert_array_equal(image(gray), GRAY16)
    opaque = np.full((7, 9), 65535, np.uint16)
    np.testing.assert_array_equal(
        image(read(deep_png(tmp_path / "c.png", np.dstack([GRAY16, opaque]), 4), modality="US")), GRAY16
    )
    np.testing.assert_array_equal(
        image(read(deep_png(tmp_path / "d.png", np.dstack([RGB16, opaque]), 6), modality="US")), image(color)
    )


@pytest.mark.parametrize("kind", [0, 2])
@pytest.mark.parametrize("size", [(60_000, 60_000), (70_000, 1), (15_000, 15_000)])
def test_giant_pngs_are_refused_before_decoding(size: tuple[int, int], kind: int, tmp_path: Path) -> None:
    path = raw_png(tmp_path / "a.png", *size, 8, kind, b"\x00" * 100)
    for call in (read, list_series):
        with pytest.raises(ReadError) as refused:
            call(path)
        assert refused.value.code is ReadCode.TOO_LARGE


def cut(path: Path, keep: int) -> Path:
    path.write_bytes(path.read_bytes()[:keep])
    return path


def noise(path: Path, **options: Any) -> Path:
    return png(path, RNG.integers(0, 256, (200, 200), dtype=np.uint8), **options)


BAD: list[tuple[str, Callable[[Path], Path], set[ReadCode]]] = [
    ("cut png", lambda p: cut(noise(p / "a.png"), 20_000), {ReadCode.TRUNCATED, ReadCode.CORRUPT}),
    ("png header only", lambda p: cut(noise(p / "a.png"), 20), {ReadCode.TRUNCATED}),
    ("empty png", lambda p: raw_png(p / "a.png", 0, 5, 8, 0, b""), {ReadCode.CORRUPT}),
    ("cut jpeg", lambda p: cut(noise(p / "a.jpg"), 9_000), {ReadCode.TRUNCATED}),
    ("jpeg header only", lambda p: cut(noise(p / "a.jpg"), 30), {ReadCode.TRUNCATED}),
    ("cut tiff", lambda p: cut(noise(p / "a.tif"), 9_000), {ReadCode.CORRUPT, ReadCode.TRUNCATED}),
    ("tiff header only", lambda p: cut(noise(p / "a.tif"), 8), {ReadCode.CORRUPT, ReadCode.EMPTY}),
    ("unknown codec", lambda p: tiff_tag(p / "a.tif", 259, 4711), {ReadCode.UNDECODABLE}),
    ("unknown kind of pixels", lambda p: tiff_tag(p / "a.tif", 262, 4711), {ReadCode.UNSUPPORTED_PIXEL}),
    ("gif", lambda p: noise(p / "a.gif"), {ReadCode.UNSUPPORTED_FORMAT}),
    ("bmp", lambda p: noise(p / "a.bmp"), {ReadCode.UNSUPPORTED_FORMAT}),
    ("webp", lambda p: noise(p / "a.webp"), {ReadCode.UNSUPPORTED_FORMAT}),
    ("jpeg 2000", lambda p: noise(p / "a.jp2"), {ReadCode.UNSUPPORTED_FORMAT}),
    ("cmyk", lambda p: cmyk(p / "a.jpg"), {ReadCode.UNSUPPORTED_PIXEL}),
]


def cmyk(path: Path) -> Path:
    Image.fromarray(RGB8).convert("CMYK").save(path)
    return path


def tiff_tag(path: Path, tag: int, value: int) -> Path:
    """Write a TIFF and change one 16-bit tag of it."""
    raw = bytearray(noise(path).read_bytes())
    at = raw.index(struct.pack("<HHI", tag, 3, 1))
    raw[at + 8 : at + 10] = struct.pack("<H", value)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(("make", "codes"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_files_are_refused_with_their_reason(
    make: Callable[[Path], Path], codes: set[ReadCode], tmp_path: Path
) -> None:
    with pytest.raises(ReadError) as refused:
        read(make(tmp_path), modality="CR")
    assert refused.value.code in codes


def test_jpeg_gray_and_colour(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    np.testing.assert_array_equal(
        image(read(png(tmp_path / "a.jpg", smooth, quality=95), modality="CR")),
        np.array(Image.open(tmp_path / "a.jpg")),
    )
    gray_rgb = read(png(tmp_path / "b.jpg", np.repeat(smooth[..., None], 3, axis=-1), quality=90), modality="US")
    assert gray_rgb.rgb is None
    color = np.dstack([smooth, smooth[::-1], np.full_like(smooth, 30)])
    scan = read(png(tmp_path / "c.jpg", color, quality=90), modality="US")
    np.testing.assert_array_equal(scan.rgb[:, :, 0].swapaxes(0, 1), np.array(Image.open(tmp_path / "c.jpg")))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation_is_followed_and_said(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    scan = read(png(tmp_path / "a.png", GRAY8, exif=exif), modality="US")
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}[orientation]  # Image.Transpose, as EXIF 2.32 draws it
    expected = np.array(Image.fromarray(GRAY8).transpose(Image.Transpose(turn)))
    np.testing.assert_array_equal(image(scan), expected)
    assert "turned" in {f.code for f in scan.audit}


def frame(name: str) -> bytes:
    from pydicom.encaps import generate_frames

    dataset = pydicom.dcmread(get_testdata_file(name))
    return next(generate_frames(dataset.PixelData, number_of_frames=1))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["JPEG-LL.dcm", "JPGExtended.dcm", "JPEGLSNearLossless_16.dcm"])
def test_deep_and_lossless_jpeg_files_decode_as_in_dicom(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(frame(name))
    scan = read(tmp_path / "a.jpg", modality="NM")
    dataset = pydicom.dcmread(get_testdata_file(name))
    stored = read(get_testdata_file(name), modality="NM").voxels[:, :, 0].T
    assert scan.voxels.dtype == np.uint16
    low = np.int64(2) ** dataset.BitsStored - 1
    np.testing.assert_array_equal(image(scan) & low, stored.astype(np.int64) & low)


TIFFS: list[tuple[str, np.ndarray, dict[str, Any]]] = [
    ("gray8", GRAY8, {}),
    ("gray16", GRAY16, {}),
    ("gray16 big endian", GRAY16, {"byteorder": ">"}),
    ("bigtiff", GRAY16, {"bigtiff": True}),
    ("int16", GRAY16.view(np.int16), {}),
    ("float32", GRAY16.astype(np.float32) / 7, {}),
    ("rgb8", RGB8, {"photometric": "rgb"}),
    ("rgb8 planar", RGB8.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
    ("tiled", RNG.integers(0, 65536, (70, 90), dtype=np.uint16), {"tile": (32, 32)}),
    ("deflate", GRAY16, {"compression": "zlib", "predictor": True}),
    ("lzw", GRAY8, {"compression": "lzw"}),
    ("lzw rgb", RGB8, {"compression": "lzw", "photometric": "rgb"}),
    ("lzw 16", GRAY16, {"compression": "lzw"}),
    ("packbits", GRAY8, {"compression": "packbits"}),
]


@pytest.mark.parametrize(("pixels", "options"), [t[1:] for t in TIFFS], ids=[t[0] for t in TIFFS])
def test_tiff_layouts_come_back(pixels: np.ndarray, options: dict[str, Any], tmp_path: Path) -> None:
    outer = {key: options[key] for key in options.keys() & {"byteorder", "bigtiff"}}
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    if outer:
        assert (tmp_path / "a.tif").read_bytes()[:2] == (b"MM" if outer.get("byteorder") == ">" else b"II")
    scan = read(tmp_path / "a.tif", modality="CR")
    expected = pixels.transpose(1, 2, 0) if options.get("planarconfig") == "separate" else pixels
    np.testing.assert_array_equal(image(scan), expected)
    assert list_series(tmp_path / "a.tif")[0].shape == scan.shape


@pytest.mark.parametrize("compression", [None, "lzw"])
@pytest.mark.parametrize("pixels", [GRAY8, GRAY16], ids=["8 bit", "16 bit"])
def test_white_is_zero_is_turned(pixels: np.ndarray, compression: str | None, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite", compression=compression)
    scan = read(tmp_path / "a.tif", modality="CR")
    np.testing.assert_array_equal(image(scan), np.iinfo(pixels.dtype).max - pixels)
    assert "white-is-zero" in {f.code for f in scan.audit}


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "group4", "tiff_adobe_deflate"])
def test_pillow_written_tiffs_read_without_optional_codecs(
    compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoders of the package imagecodecs, which the default install lacks, are taken away from tifffile."""
    for name in ("lzw_decode", "jpeg_decode", "jpeg8_decode", "ccittfax4_decode"):
        if hasattr(tifffile.tifffile.imagecodecs, name):
            monkeypatch.setattr(tifffile.tifffile.imagecodecs, name, _missing)
    picture = Image.fromarray(GRAY8 > 99) if compression == "group4" else Image.fromarray(GRAY8)
    picture.save(tmp_path / "a.tif", compression=compression)
    scan = read(tmp_path / "a.tif", modality="CR")
    expected = np.array(Image.open(tmp_path / "a.tif"))
    np.testing.assert_array_equal(image(scan), expected * np.uint8(255) if expected.dtype == bool else expected)


def _missing(*_: Any, **__: Any) -> None:
    raise tifffile.tifffile.DelayedImportError("codec")


def test_pages_of_one_size_are_slices_and_others_are_further_images(tmp_path: Path) -> None:
    stack = RNG.integers(0, 65536, (4, 7, 9), dtype=np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in stack:
            writer.write(page, metadata=None, contiguous=False)
    scan = read(tmp_path / "a.tif", modality="CT")
    np.testing.assert_array_equal(scan.voxels, stack.transpose(2, 1, 0))
    assert "pages" in {f.code for f in scan.audit}
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(GRAY8, metadata=None)
        writer.write(GRAY16[:5, :5], metadata=None)
    assert [info.shape for info in list_series(tmp_path / "b.tif")] == [(9, 7, 1), (5, 5, 1)]
    with pytest.warns(MedcolorWarning, match="2 images"):
        np.testing.assert_array_equal(image(read(tmp_path / "b.tif", modality="CR")), GRAY8)
    np.testing.assert_array_equal(image(read(tmp_path / "b.tif", series=2, modality="CR")), GRAY16[:5, :5])


def test_a_time_axis_is_time(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GRAY8] * 3), imagej=True, metadata={"axes": "TYX"})
    assert read(tmp_path / "a.tif", modality="US").k_axis is KAxis.TIME


@pytest.mark.parametrize("orientation", range(2, 9))
def test_tiff_orientation_is_followed_as_pillow_follows_it(orientation: int, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB8, photometric="rgb", metadata=None,
                     extratags=[(274, 3, 1, orientation, True)])  # fmt: skip
    scan = read(tmp_path / "a.tif", modality="US")
    from PIL import ImageOps

    with Image.open(tmp_path / "a.tif") as opened:
        np.testing.assert_array_equal(image(scan), np.array(ImageOps.exif_transpose(opened)))


def test_a_tiff_that_claims_a_giant_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GRAY8, metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["ImageWidth"].overwrite(60_000)
        file.pages[0].tags["ImageLength"].overwrite(60_000)
    with pytest.raises(ReadError) as refused:
        read(tmp_path / "a.tif", modality="CR")
    assert refused.value.code is ReadCode.TOO_LARGE


def test_a_folder_of_loose_images_is_no_stack(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        png(tmp_path / f"slice{n}.png", GRAY8 + np.uint8(n))
    assert [info.key for info in list_series(tmp_path)] == ["slice1.png", "slice2.png", "slice3.png"]
    with pytest.raises(AmbiguousSeriesError, match=r"slice1\.png"):
        read(tmp_path, modality="CR")
    for key in ("slice2.png", 2, "2"):
        np.testing.assert_array_equal(image(read(tmp_path, series=key, modality="CR")), GRAY8 + np.uint8(2))
    with pytest.raises(AmbiguousSeriesError, match="no series"):
        read(tmp_path, series="slice9.png")


def test_an_empty_folder_and_a_text_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as refused:
        read(tmp_path)
    assert refused.value.code is ReadCode.EMPTY
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(ReadError) as refused:
        list_series(tmp_path)
    assert refused.value.code is ReadCode.EMPTY
    with pytest.raises(ReadError) as refused:
        read(tmp_path / "notes.txt")
    assert refused.value.code is ReadCode.NOT_AN_IMAGE_FILE
    (tmp_path / "empty.png").touch()
    with pytest.raises(ReadError) as refused:
        read(tmp_path / "empty.png")
    assert refused.value.code is ReadCode.EMPTY


def test_reading_is_quiet_when_the_modality_is_given(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(png(tmp_path / "a.png", GRAY8), modality="CR")
