"""What experts drew, in the words of our classes: most masks name no tissue of ours, and those are not made to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from medcolor.tissue.model import CLASSES, Posteriors
from medcolor.tissue_map import Segmentation

TRUST = 0.95  # an outline drawn by hand is about a voxel wide

_ORGAN = ("soft_tissue", "enhanced")
_BONE = ("spongy_bone", "cortical_bone")
_NAMED: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "CT": {
            "lungs": ("lung", "gas", "soft_tissue", "enhanced"),  # outlines of lungs hold their vessels
            "left_lung": ("lung", "gas", "soft_tissue", "enhanced"),
            "right_lung": ("lung", "gas", "soft_tissue", "enhanced"),
            "air": ("gas",),
            "subcutaneous_fat": ("fat",),
            "visceral_fat": ("fat",),
            "adipose": ("fat",),
            "muscle": ("soft_tissue",),
            "skeletal_muscle": ("soft_tissue",),
            **dict.fromkeys(("liver", "spleen", "kidney", "left_kidney", "right_kidney", "pancreas", "heart"), _ORGAN),
            "brain": ("soft_tissue", "enhanced", "fluid"),
            **dict.fromkeys(("ascites", "effusion", "pleural_effusion", "cyst", "bladder"), ("fluid", "soft_tissue")),
            **dict.fromkeys(("bone", "bones", "vertebra", "femur", "rib", "ribs"), (*_BONE, "soft_tissue", "fat")),
            "implant": ("metal",),
        },
        "XR": {
            "lungs": ("air", "bone"),  # ribs cross the lung
            "lung": ("air", "bone"),
            "left_lung": ("air", "bone"),
            "right_lung": ("air", "bone"),
            "clavicle": ("bone",),
            "clavicles": ("bone",),
            "heart": ("dense", "bone"),
            "implant": ("metal",),
        },
        "MG": {
            "pectoral_muscle": ("pectoral",),
            "calcifications": ("calcification",),
            "dense_tissue": ("fibroglandular",),
            "glandular_tissue": ("fibroglandular",),
        },
    }
)
# Anatomy or disease that is no class of ours, but is certainly patient and not air.
_PATIENT = frozenset(
    {
        "sarcoma", "tumour", "tumor", "gtv", "lesion", "mass", "metastasis", "breast", "breast_tissue", "hippocampus",
        "anterior_hippocampus", "posterior_hippocampus", "anterior", "posterior", "liver", "spleen", "heart",
        "prostate", "brain", "body",
    }
)  # fmt: skip


def mask_classes(name: str, family: str) -> tuple[str, ...] | None:
    """Return the classes an expert's mask allows inside it, or None where it says nothing about our classes.

    Parameters
    ----------
    name : str
        What the mask is called: a class of ours, a tissue or organ of which ours are known, or a part of the patient
        ("sarcoma"), which only rules out *outside*. MR, PET, NM and US classes are signal levels: an organ names
        none of them.
    family : str
        One of :data:`medcolor.scan.MODALITIES`.
    """
    word = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    classes = CLASSES[family]
    named = _NAMED.get(family, {})
    if word in named:
        return named[word]
    if word in classes[1:]:
        return (word,)
    return classes[1:] if word in _PATIENT else None


def known_masks(masks: Segmentation, family: str) -> dict[int, tuple[str, ...]]:
    """Return label -> classes allowed for the labels that say something."""
    found = {label: mask_classes(name, family) for label, name in masks.names.items() if label}
    return {label: classes for label, classes in found.items() if classes is not None}


def joined(
    p: Posteriors,
    labels: NDArray[np.uint16],
    meanings: Mapping[int, tuple[str, ...]],
    classes: tuple[str, ...],
    *,
    no_image: NDArray[np.bool_],
) -> Posteriors:
    """Rule out what the masks contradict; a single allowed class is taken at the expert's word.

    Parameters
    ----------
    p : ndarray of float32, (K, n, nj, ni)
        Physics.
    labels : ndarray, (n, nj, ni)
    meanings : Mapping of int to tuple of str
        Label -> classes allowed.
    classes : tuple of str
    no_image : ndarray of bool, (n, nj, ni)
        Padding, which stays outside whatever was drawn there.

    Returns
    -------
    ndarray of float32, (K, n, nj, ni)
        Where physics gives an allowed set of several classes no chance at all, its own answer stays.
    """
    out = p.copy()
    for label, allowed in meanings.items():
        inside = (labels == label) & ~no_image
        if not inside.any():
            continue
        keep = np.array([name in allowed for name in classes], dtype=np.float32)
        old = p[:, inside]
        new = old * keep[:, None]
        total = new.sum(axis=0)
        likely = total > 1e-3
        new[:, likely] /= total[likely]
        new[:, ~likely] = keep[:, None] if len(allowed) == 1 else old[:, ~likely]
        out[:, inside] = np.float32(TRUST) * new + np.float32(1 - TRUST) * old
    return out
