"""The recognizer's card: what it was shown, what was measured, and what it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medcolor.scan import MODALITIES
from medcolor.training.recognition_figures import Figures

_SHARE = 0.02  # what is mistaken more often than this is listed

_HEAD = """# recognizer: does a scan look like what it claims to be?

A network of about 104 000 weights that looks at thumbnails (96 x 96) of up to five slices and says CT, MR, PT, NM, US,
XR, MG or other. A learned colorizer asks it once for each scan; where the scan looks like something else, it warns,
names what it seems to be, and colours as asked. Blank scans, white noise and pictures in colour are found by rule. It
is no colorizer, it finds no disease, and it has seen images from **few sites**: silence is no proof that a scan is what
it claims to be.

Made by `python -m medcolor.training.recognition --data DIR -o configs/recognizer --force`, seeded.
"""

_DATA = """
## Data

Train patients of the image packs whose licences allow it: TCIA Soft-tissue-Sarcoma (CT, MR, PET of one collection; CC
BY 3.0, doi:10.7937/K9/TCIA.2015.7GO2GSKS), Colorectal-Liver-Metastases (CT, CC BY 4.0, doi:10.7937/QXK2-QG03),
QIN-HEADNECK (PET, CC BY 3.0), Breast-MRI-NACT-Pilot (CC BY 3.0), studyforrest (MR head, PDDL), HC18 (fetal heads, CC BY
4.0, doi:10.5281/zenodo.1327317), NIH ChestX-ray8 (CVPR 2017; "the NIH Clinical Center is the data provider"), one CT of
a head of the Visible Human Project (courtesy of the U.S. National Library of Medicine). Packs under share-alike
licences were not used.

NM and MG have no open training set: **simulated scans only**. XR beyond the chest: radiographs computed from CT, and
limbs drawn by rule. US beyond the fetal head: drawn by rule. The package's phantoms count as what they imitate.
"Other": scikit-image's bundled pictures (some kept for the test), drawings by rule (four kinds kept for the test), and
scans whose parts were shuffled.

Each slice is varied: field of view, turn, window, gamma, inversion where usual, contrast (MR), noise, blur, shading,
margins, letters.
"""

_LIMITS = """
## What it cannot tell

- Look-alikes share their physics: a PET projection and a bone scan, a breast in an X-ray and a mammogram, a CT scout
  and a radiograph, a CT in a narrow window and an MR. The tables above say how often they are mistaken in the test.
- Small 8-bit pictures of CT in narrow windows and of breast MR are often taken for MR or ultrasound ("other sites").
- Ultrasound other than of the fetal head, X-rays of limbs, MR of other regions and contrasts, PET with other tracers:
  hardly or never seen. Alarms may be false there; thresholds are low (at most 0.2) for that reason.
- Real NM and MG were never seen, and their figures above are for simulated scans of the same simulator.
- It sees neither units nor file headers, on purpose: these are what it checks. A scan of the right kind in wrong units
  passes. So does the wrong body part.
- A picture made to fool it will.
"""


def card(about: Mapping[str, Any], figures: Figures) -> str:
    """Return the card as Markdown."""
    training = about["training"]
    shown = [f"| {name} | {count} |" for name, count in training["slices"].items()]
    parts = [
        _HEAD,
        _DATA,
        f"{training['steps']} steps of {training['batch']} slices, seed {training['seed']}.",
        "",
        "| shown in training | slices |",
        "|---|---|",
        *shown,
        "",
        *_measured(about, figures),
        *_other_sites(figures),
        _LIMITS,
    ]
    return "\n".join(parts)


def _measured(about: Mapping[str, Any], figures: Figures) -> list[str]:
    known = [f"{kind} {scans} scans ({owners})" for kind, (scans, owners) in figures.counts.items()]
    lines = [
        "## Measured",
        "",
        "On test patients and foreign pictures; in brackets the number of patients or pictures they are of:",
        "",
        ", ".join(known) + ".",
        "",
        "AUROC: the chance that something foreign looks less like the family than a scan of its own patients does;",
        "foreign is everything else in the list. 95 % intervals over patients and pictures; of eight patients they are",
        "too narrow.",
        "",
        "| family | AUROC | single slices | lowest against one kind | false alarms, clean | degraded | threshold |",
        "|---|---|---|---|---|---|---|",
    ]
    for family in MODALITIES:
        hardest, least = min(figures.against[family].items(), key=lambda pair: pair[1])
        alarms = dict(figures.alarms[family])
        clean = alarms.pop("clean")
        worst = max(alarms, key=lambda name: alarms[name])
        mean = sum(alarms.values()) / len(alarms)
        lines.append(
            f"| {family} | {figures.auroc[family]:.3f} | {figures.slices[family]:.3f} | {least:.3f} ({hardest}) | "
            f"{100 * clean:.1f} % | {100 * mean:.1f} % (worst: {worst}, {100 * alarms[worst]:.1f} %) | "
            f"{about['thresholds'][family]:.3f} |"
        )
    lines += [
        "",
        "Degraded: the middle level of each line of the evaluation table. An alarm: probability of the claimed family",
        "below its threshold (which all but 1 % of single slices and degraded scans of validation patients reach; at",
        "most 0.2) and something else likelier. Share of foreign scans that raise one when they claim to be of the",
        "family:",
        "",
        "| claimed | " + " | ".join(figures.counts) + " |",
        "|---" * (1 + len(figures.counts)) + "|",
    ]
    for family in MODALITIES:
        row = ("-" if kind == family else f"{100 * figures.caught[family][kind]:.0f} %" for kind in figures.counts)
        lines.append(f"| {family} | " + " | ".join(row) + " |")
    lines += [
        "",
        "Taken for something else, of what is a scan; taken for a scan, of what is none (likeliest class):",
        "",
    ]
    return [*lines, *(_mistakes(figures) or ["- none in this test."])]


def _other_sites(figures: Figures) -> list[str]:
    rows = [
        f"| {name} | {row['family']} | {row['images']} | {100 * row['false_alarms']:.0f} % | "
        + ", ".join(
            f"{seen} {100 * share:.0f} %" for seen, share in sorted(row["seen_as"].items(), key=lambda p: -p[1])
        )
        + " |"
        for name, row in figures.elsewhere.items()
    ]
    return [
        "",
        "## Other sites",
        "",
        "Single images that trained nothing (share-alike packs, files of installed packages): what to expect",
        "elsewhere. Many are 64 x 64 pixels.",
        "",
        "| images | are | number | false alarms | likeliest class |",
        "|---|---|---|---|---|",
        *rows,
    ]


def _mistakes(figures: Figures) -> list[str]:
    out = []
    for kind, shares in figures.seen_as.items():
        right = {kind} if kind in MODALITIES else {"other", "blank", "colour picture"}
        wrong = {name: share for name, share in shares.items() if name not in right and share > _SHARE}
        if wrong:
            told = ", ".join(
                f"{name} {100 * share:.0f} %" for name, share in sorted(wrong.items(), key=lambda p: -p[1])
            )
            out.append(f"- {kind}: {told}")
    return out
