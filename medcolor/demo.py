"""The demo: images of all seven modalities on one page, real ones from packages that are installed.

No package with an openly licensed PET was found, so its image is a phantom and says "simulated".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from medcolor.errors import MedcolorError, OutputExistsError
from medcolor.scan import Scan


@dataclass(frozen=True)
class Sample:
    """One image of the demo: where it is and what to say about it."""

    slug: str
    modality: str
    title: str
    about: str
    package: str | None = None
    member: str = ""

    def path(self) -> Path:
        """Return the file inside its package; a missing package says what to install."""
        if self.package is None or find_spec(self.package) is None:
            raise MedcolorError(
                f"The demo's {self.modality} image is in a package that is not installed ({self.package}). "
                'Install the samples: pip install "medcolor[samples]".'
            )
        module = import_module(self.package)
        return Path(str(module.__file__)).parent / self.member

    def read(self) -> Scan:
        """Read the image, or make it where there is none."""
        from medcolor import io, phantom

        if self.package is None:
            return phantom.scan(self.modality)
        return io.read(self.path(), modality=self.modality)


_PYDICOM = "data/test_files"
SAMPLES = (
    Sample(
        "ct",
        "CT",
        "CT, skull base",
        "pydicom: J2K_pixelrep_mismatch.dcm",
        "pydicom",
        f"{_PYDICOM}/J2K_pixelrep_mismatch.dcm",
    ),
    Sample(
        "mr",
        "MR",
        "MR, upper abdomen",
        "pydicom-data: MR-SIEMENS-DICOM-WithOverlays.dcm",
        "data_store",
        "data/MR-SIEMENS-DICOM-WithOverlays.dcm",
    ),
    Sample(
        "mr-brain",
        "MR",
        "MR T1, brain template",
        "nilearn: ICBM 152 (2009a), McConnell Brain Imaging Centre; an average of 152 people, not one patient",
        "nilearn",
        "datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    ),
    Sample("pt", "PT", "PET, whole body", "simulated: a phantom, no patient"),
    Sample("nm", "NM", "Bone scan", "pydicom-data: JPEG-LL.dcm", "data_store", "data/JPEG-LL.dcm"),
    Sample(
        "us",
        "US",
        "Ultrasound, B-mode",
        "pydicom-data: gdcm-US-ALOKA-16.dcm",
        "data_store",
        "data/gdcm-US-ALOKA-16.dcm",
    ),
    Sample(
        "us-doppler", "US", "Ultrasound, power Doppler", "pydicom-data: US1_UNCR.dcm", "data_store", "data/US1_UNCR.dcm"
    ),
    Sample("xr", "XR", "Chest radiograph", "pydicom-data: RG1_UNCR.dcm", "data_store", "data/RG1_UNCR.dcm"),
    Sample(
        "mg",
        "MG",
        "Mammogram",
        "package mammograms: CBIS-DDSM (TCIA), CC BY 3.0",
        "mammograms",
        "cases/sfm-benign-0/1-130.dcm",
    ),
)


def run_demo(
    output: Path,
    *,
    colorizer: str = "auto",
    palette: str | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Colour every sample, write the images under ``output`` and the page ``output/demo.html``.

    Parameters
    ----------
    output : Path
        Folder; created.
    colorizer, palette : str
        As for :func:`medcolor.load_colorizer`.
    force : bool
        Replace an earlier demo.
    progress : callable, optional
        Called with (samples done, samples in all).

    Returns
    -------
    Path
        The page.

    Raises
    ------
    MedcolorError
        A sample's package is not installed.
    OutputExistsError
        A demo is already there.
    """
    from medcolor.colorizers import load_colorizer
    from medcolor.colorizers.auto import choice_for
    from medcolor.colorizers.showing import entry_for
    from medcolor.io import write
    from medcolor.report import write_page

    page = output / "demo.html"
    if page.exists() and not force:
        raise OutputExistsError(f"{page} exists. Pass force=True (--force) to replace it.")
    paint = load_colorizer(colorizer, palette=palette)
    entries = []
    for number, sample in enumerate(SAMPLES, start=1):
        scan = sample.read()
        choice = choice_for(paint, scan)
        colored = choice.colorizer(scan)
        write(colored, output / sample.slug, format="png", force=force)
        entries.append(entry_for(choice, scan, colored, title=sample.title, about=sample.about))
        if progress is not None:
            progress(number, len(SAMPLES))
    return write_page(entries, page, title="medcolor: seven modalities", force=force)
