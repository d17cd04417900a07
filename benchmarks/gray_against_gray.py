"""How often the instrument calls gray against gray a difference, on real trainings.

Run:  python benchmarks/gray_against_gray.py STUDY_FOLDER [--metric dice] [--most 4096]

STUDY_FOLDER is what ``medcolor compare`` wrote; it must hold the arms gray and gray_again of the learned tier. Both
were trained on the same labelled patients and differ in training seeds alone, so which of the two is called "gray" may
be exchanged seed by seed. Every way to exchange them (drawn at random where there are more than --most) is judged as if
the one were an arm and the other the baseline, without Holm, which is the strictest. By chance 5 % are expected.
Exit status 1: less than 95 % of all of them are "no evidence".
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcolor.comparison.plan import AGAIN, GRAY
from medcolor.comparison.statistics import LEVEL, estimate

Table = NDArray[np.float64]
BAR = 0.95


def tables(folder: Path, metric: str) -> Iterator[tuple[str, Table, Table]]:
    """Yield what is compared, and gray and gray again, (trainings, patients)."""
    found: dict[tuple[str, ...], dict[str, dict[tuple[str, str], float]]] = defaultdict(lambda: defaultdict(dict))
    with (folder / "patients.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            if (row["tier"], row["metric"]) == ("learned", metric) and row["arm"] in {GRAY, AGAIN} and row["value"]:
                kind = row["task"], row["segmenter"], row["budget"]
                found[kind][row["arm"]][row["seed"], row["patient"]] = float(row["value"])
    for kind, arms in found.items():
        places = arms[GRAY].keys() & arms[AGAIN].keys()
        seeds, patients = sorted({seed for seed, _ in places}), sorted({patient for _, patient in places})
        pair = (
            np.array([[arms[arm].get((seed, patient), np.nan) for patient in patients] for seed in seeds])
            for arm in (GRAY, AGAIN)
        )
        yield ", ".join(kind), *pair


def exchanges(count: int, most: int) -> Table:
    """Return 1 and -1 for each training: every way to exchange two arms, mirror images left out, or some of them."""
    if 2 ** (count - 1) <= most:
        return np.array([(1, *rest) for rest in itertools.product((1, -1), repeat=count - 1)], dtype=np.float64)
    return np.random.default_rng(0).choice([-1.0, 1.0], (most, count))


def main() -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--metric", default="dice")
    parser.add_argument("--most", type=int, default=4096)
    chosen = parser.parse_args()
    everything: list[bool] = []
    for name, gray, again in tables(chosen.study, chosen.metric):
        signs = exchanges(len(gray), chosen.most)
        called = [bool(estimate(sign[:, None] * (again - gray), draws=1).p < LEVEL) for sign in signs]
        everything += called
        print(f"{name}: {len(gray)} x {gray.shape[1]}, difference {np.nanmean(again - gray):+.4f}; "
              f"{sum(called)} of {len(called)} exchanges called a difference")  # fmt: skip
    if not everything:
        raise SystemExit(f"{chosen.study} holds no trainings of gray and gray again by {chosen.metric}.")
    none = 1 - sum(everything) / len(everything)
    print(f"no evidence in {100 * none:.1f} % of {len(everything)} (bar {100 * BAR:.0f} %)")
    sys.exit(none < BAR)


if __name__ == "__main__":
    main()
