"""PET traps: when stored values become SUV, and when they must not.

Hand-computed from PS3.3 C.8.9 and QIBA's recipe. Stored 0, 1000, 2000, 4000 with slope 2 are 0, 2000, 4000, 8000 Bq/ml.
The half-life is one hour (a made-up nuclide), injection 09:15, series 10:15: 200 of 400 MBq are left. Weight 50 kg:
SUVbw = Bq/ml * 50 000 g / 200e6 Bq = Bq/ml / 4000, so 0, 0.5, 1, 2.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medcolor.phantom import modules
from medcolor.phantom.traps.table import Expect, Trap, ladder, save_all, setting, slices_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

STORED = np.array([[0, 1000], [2000, 4000]], np.int16)
BQML = np.array([[0.0, 2000.0], [4000.0, 8000.0]])
SUV = BQML / 4000


def pet(edit: Callable[[Dataset, int], None] = lambda dataset, k: None) -> Callable[[Path], Path]:
    """Return a builder: three PET slices as the module says, each changed by ``edit(dataset, k)``."""

    def build(folder: Path) -> Path:
        items = slices_of(ladder("PT", (2, 2, 3), start=0, step=1))
        for k, dataset in enumerate(items):
            modules.pixels(dataset, STORED)
            dataset.RescaleSlope, dataset.RescaleIntercept, dataset.PatientWeight = "2", "0", "50"
            dose = dataset.RadiopharmaceuticalInformationSequence[0]
            dose.RadionuclideTotalDose, dose.RadionuclideHalfLife = "400000000", "3600"
            edit(dataset, k)
        return save_all(items, folder)

    return build


def dose(**attributes: Any) -> Callable[[Dataset, int], None]:
    """Return an edit of the radiopharmaceutical item; None deletes."""

    def edit(dataset: Dataset, _: int) -> None:
        setting(**attributes)(dataset.RadiopharmaceuticalInformationSequence[0])

    return edit


def suv(values: Any = SUV, units: str = "SUVbw", **more: Any) -> Expect:
    """Return: the same (rows, columns) in all three slices, in these units."""
    block = np.broadcast_to(np.asarray(values, float).T[:, :, None], (2, 2, 3))
    return Expect(voxels=block, atol=1e-4, units=units, modality="PT", **more)


def without_suv(**more: Any) -> Expect:
    """Return: activity as stored, and the reason why it is no SUV."""
    return suv(BQML, "Bq/ml", findings=["suv-not-computed"], **more)


def philips(**factors: str) -> Callable[[Dataset, int], None]:
    """Return an edit: counts with Philips' private factors (7053,1000) SUV and (7053,1009) activity."""

    def edit(dataset: Dataset, _: int) -> None:
        dataset.Units, dataset.Manufacturer = "CNTS", "Philips Medical Systems"
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        if "suv" in factors:
            block.add_new(0x00, "DS", factors["suv"])
        if "activity" in factors:
            block.add_new(0x09, "DS", factors["activity"])

    return edit


def _slopes(dataset: Dataset, k: int) -> None:
    dataset.RescaleSlope = str(2 * (k + 1))


def _late_series(dataset: Dataset, _: int) -> None:
    """Make a series time of post-processing, one hour too late; frames say when they were acquired.

    The mean activity of a 120 s frame is met 59.8845 s after its start (half-life 3600 s), which is what Frame
    Reference Time says: so the decay correction refers to the acquisition time, 10:15.
    """
    dataset.SeriesTime, dataset.AcquisitionTime = "111500", "101500"
    dataset.FrameReferenceTime, dataset.ActualFrameDuration = "59884.5", "120000"


def _ge(dataset: Dataset, k: int) -> None:
    dataset.SeriesTime, dataset.Manufacturer = "111500", "GE MEDICAL SYSTEMS"
    dataset.AcquisitionTime, dataset.FrameReferenceTime = f"10{15 + 3 * k:02d}00", str(180000 * k)
    dataset.private_block(0x0009, "GEMS_PETD_01", create=True).add_new(0x0D, "DT", "20200102101500.00")


def _midnight(dataset: Dataset, _: int) -> None:
    dataset.SeriesTime = dataset.AcquisitionTime = "003000"
    dataset.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = "233000"


def _midnight_dates(dataset: Dataset, _: int) -> None:
    _midnight(dataset, 0)
    dataset.SeriesDate = dataset.AcquisitionDate = "20200103"
    item = dataset.RadiopharmaceuticalInformationSequence[0]
    item.RadiopharmaceuticalStartDateTime = "20200102233000"


def _beds(dataset: Dataset, k: int) -> None:
    dataset.AcquisitionTime = f"10{15 + 3 * k:02d}00"  # each bed position later; decay correction is to the series


_SLOPED = np.stack([SUV * n for n in (1, 2, 3)]).transpose(2, 1, 0)
TRAPS = (
    Trap("pt-bqml-start", pet(), suv(clean=True), "SUV = Bq/ml * weight / decayed dose"),
    Trap(
        "pt-bqml-admin", pet(setting(DecayCorrection="ADMIN")), suv(BQML / 8000),
        "already corrected to the injection: 50 000 / 400e6",
    ),
    Trap("pt-gml", pet(setting(Units="GML", RescaleSlope="0.001")), suv([[0, 1], [2, 4]]), "is SUV already"),
    Trap(
        "pt-gml-lean-body-mass", pet(setting(Units="GML", RescaleSlope="0.001", SUVType="LBM")),
        suv([[0, 1], [2, 4]], "SUVlbm"), "g/ml of lean body mass is not SUVbw",
    ),
    Trap("pt-philips-suv-factor", pet(philips(suv="0.0005")), suv([[0, 1], [2, 4]]), "counts * (7053,1000)"),
    Trap(
        "pt-philips-activity-factor", pet(philips(activity="1.5")), suv(SUV * 1.5),
        "counts * (7053,1009) are Bq/ml, then as usual",
    ),
    Trap(
        "pt-philips-suv-factor-0", pet(philips(suv="0", activity="1.5")), suv(SUV * 1.5),
        "a factor of 0 says there is none",
    ),
    Trap(
        "pt-counts-without-factor", pet(philips()), suv(BQML, "counts", findings=["suv-not-computed"]),
        "nothing to be done",
    ),
    Trap(
        "pt-slope-per-slice", pet(_slopes), Expect(voxels=_SLOPED, atol=1e-4, units="SUVbw", clean=True),
        "the first slice's slope would be wrong for all others",
    ),
    Trap("pt-missing-weight", pet(setting(PatientWeight=None)), without_suv()),
    Trap("pt-weight-0", pet(setting(PatientWeight="0")), without_suv(), "0 is how scanners say unknown"),
    Trap("pt-missing-dose", pet(dose(RadionuclideTotalDose=None)), without_suv()),
    Trap("pt-missing-half-life", pet(dose(RadionuclideHalfLife=None)), without_suv()),
    Trap("pt-missing-injection-time", pet(dose(RadiopharmaceuticalStartTime=None)), without_suv()),
    Trap("pt-missing-sequence", pet(setting(RadiopharmaceuticalInformationSequence=None)), without_suv()),
    Trap(
        # mean activity of the 120 s frame is met 59.8845 s after its start, where 2^(-59.8845/3600) of the dose is left
        "pt-not-decay-corrected", pet(setting(DecayCorrection="NONE", CorrectedImage=["ATTN"])), suv(SUV * 1.0115970),
        "activity and dose are compared at the time of the frame",
    ),
    Trap("pt-not-attenuation-corrected", pet(setting(CorrectedImage=["DECY"])), without_suv(), "QIBA asks for both"),
    Trap(
        "pt-past-midnight", pet(_midnight), suv(),
        "injection 23:30, series 00:30 with one date: 1 h, not -23 h",
    ),
    Trap("pt-past-midnight-dated", pet(_midnight_dates), suv(), "the date and time of injection is given"),
    Trap(
        "pt-injection-date-time",
        pet(dose(RadiopharmaceuticalStartTime="031500", RadiopharmaceuticalStartDateTime="20200102091500")),
        suv(), "the date-time wins over the time alone",
    ),
    Trap(
        "pt-injected-after-the-scan",
        pet(dose(RadiopharmaceuticalStartTime=None, RadiopharmaceuticalStartDateTime="20200102141500")),
        without_suv(), "a dated injection four hours after the scan is an error",
    ),
    Trap("pt-beds", pet(_beds), suv(clean=True), "acquisition times differ by bed: the series' time rules"),
    Trap("pt-series-time-later", pet(_late_series), suv(), "a series made later: its frames say when it was"),
    Trap("pt-ge-scan-time", pet(_ge), suv(), "(0009,100D) says when the scan began"),
    Trap(
        "pt-dose-in-megabecquerel", pet(dose(RadionuclideTotalDose="400")), without_suv(),
        "SUV of 10^6: the unit of the dose is wrong, and guessing is not reading",
    ),
)  # fmt: skip
