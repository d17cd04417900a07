"""What the document says whatever the figures are: definitions, and what they do not show."""

from __future__ import annotations

TITLE = "# Khan's columns: SSIM, PSNR and segmentation, on gray and on colour"

BEGINNING = """\
Khan, Gotoh and Nida (*Medical image colorization for better visualization and segmentation*, MIUA 2017, pp. 571-580)
judge colour by three columns: SSIM and PSNR of the coloured picture against the original, and segmentation on the gray
and on the coloured picture. Here are these columns for the same number of modalities, seven, with everything defined
that a reader needs to make them again. It is no replication of that paper: neither its method nor its images are here,
and no figure of it is known to us (last section). Numbers only; the CSV beside this page has them all."""

PICTURES = """\
The display gray *g* is the scan's 8-bit gray under its default window; the coloured picture is 8-bit sRGB. Whole
slices as they are (no resizing, background included), spread evenly over the scans of a patient; test patients of the
packs that shipped bundles may learn from, or simulated ones. Three readings of "coloured against original", because a
paper that says no more than that could mean any:

- **RGB**: the three channels against (*g*, *g*, *g*), all channels alike.
- **luma**: 0.299 R + 0.587 G + 0.114 B of the encoded values, rounded (Rec. 601, what `rgb2gray` usually returns),
  against *g*.
- **luminance**: the gray that `restore_gray` reads from the colour (relative luminance, encoded with the sRGB curve,
  rounded) against *g*.

SSIM is the mean over a channel's pixels (valid part), channels and slices: Gaussian window of 11 pixels, sigma 1.5, K1
= 0.01, K2 = 0.03, data range 255, population covariance. PSNR is 10 log10(255² / MSE), the MSE being the mean over a
patient's slices; ∞ where nothing differs. A patient's slices make one figure; intervals are 95 %, patients drawn
again. Arms: `gray` is *g* in three channels; `lut` the best colour table; `physics`, `tissue` (the shipped bundle) in
the palette `contrast`, under the colour law; `shuffled` is the colour of `tissue` with each slice's chroma exchanged
among its pixels at random, under the law again: the same colours, about nothing.

The best table is the one with the largest mean Dice of the segmentation below on at most 8 validation patients of each
task; where nothing is labelled, the one with the largest SSIM of RGB on validation patients. The gray ramp is not
among them."""

SEGMENTATION = """\
K-means with 6 groups on CIELAB / 100 of what is displayed (gray: on its lightness alone), slice by slice, slices
brought to at most 128 x 128. The groups are joined into the labels by an oracle, the same for every arm: the union of
groups with the largest Dice. It looks at the reference, so these are no segmentations that anybody could have had;
they say how well groups of alike pixels follow an outline. Dice by MONAI, all slices of a patient together, mean over
the task's labels; a label that nobody drew counts 0 where it is found, else not at all. Differences are paired by
patient, with the t interval over patients (95 %, one comparison); the verdict, against gray, is after Holm over the
arms of a task. *Smallest seen* is the true difference that one such comparison would have called one in 80 % of
studies. No patient here took part in the training of a bundle or in the choice of a table. Shuffled chroma is not
shrunk to what a display can show here: a control that gave way to the gamut would know the gray again. One control more
than for the pictures: `blurred` is the gray alone after a Gaussian, of the 4 widths the one with the largest Dice on
the same validation patients. These are cells of [`medcolor compare`](../study.md), whose study has four further
segmenters and other controls."""

NOT_SHOWN = """\
## What these columns do not show

They do not show that colour helps, and could not.

- **SSIM and PSNR of the luminance** are perfect by construction: the colour law picks, for every pixel, a colour whose
  luminance *is* the gray. The figure says that the law holds. Shuffled colours score the same, and so would any
  colours at all. A table does not keep the law, so its figure says how far its own lightness is from the gray's.
- **SSIM and PSNR of luma** differ from that because Rec. 601 weighs encoded values and the law linear light. What is
  below perfect there is the difference of two definitions of gray, larger for more saturated colours.
- **SSIM and PSNR of RGB against gray** fall with every colour, right or wrong, and the more the stronger it is. The
  best score belongs to the picture without colour; a colorizer improves it by doing less. Chroma shuffled onto black
  or white cannot be shown and vanishes, so noise can have a higher PSNR than the colours it was made of. Shuffling
  costs SSIM, because chroma that changes from pixel to pixel adds variance in the channels; a smooth wrong colour
  would not be punished.
- **Segmentation** is the only column that could speak for colour, and this one speaks for k-means on these tasks. The
  colours are computed from the gray and add no measurement. Where tissue colour beats gray, the knowledge is the
  tissue model's, and the honest competitor is that model's own output without any colour: `posterior` and
  `colorizer_as_segmenter` in the study. To be ahead of shuffled colours is a low hurdle: noise in two of three
  channels harms k-means. The table is a higher one: it knows nothing but the gray of the pixel and only bends its
  scale. So is blurred gray: tissue models look at the neighbourhood of a pixel, k-means does not, and any smoothing
  can help it. A gain over gray that either of them has as well is no gain of tissue colour.
- None of the three asks a reader. Whether colour helps an eye is not measured anywhere here."""

NOT_KNOWN = """\
## What is not publicly known of Khan's evaluation

What we know is second-hand: the bibliographic entry and the number of modalities as the review that this project grew
from gives them, and an account of the abstract that we could not check against a copy. By it, pictures are denoised,
edges enhanced, and every pixel is given a colour; coloured pictures are compared with the originals by SSIM and PSNR;
and segmentation of coloured pictures is said to be better than of gray ones. The public pages, documentation and
repositories that we could search (November 2026) hold neither the text nor a value from it: **no SSIM, no PSNR, no
figure of a segmentation was found**. Nor did we find what SSIM and PSNR compared (RGB, or a gray made of it; before or
after denoising and edge enhancement, which alone move both), with which window and data range, on how many pictures of
how many patients from where, which segmenter, who drew the reference, whether the difference was tested, or whether
any control had three channels without meaning. So no figure here stands beside one of theirs, and this page neither
confirms nor refutes what they report. It says what the columns mean once they are defined: the first two, with
controls beside them, nothing about the worth of a colour; the third what its verdicts say, and no more."""

__all__ = ["BEGINNING", "NOT_KNOWN", "NOT_SHOWN", "PICTURES", "SEGMENTATION", "TITLE"]
