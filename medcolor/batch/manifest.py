"""What was done to a study, for machines: settings, versions, weights, times, outcome; no name, ID, date or path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medcolor.batch.journal import Row
from medcolor.batch.publishing import write_text

_SETTINGS = (
    "colorizer",
    "to",
    "palette",
    "strength",
    "cvd",
    "fade",
    "window",
    "burn_in",
    "device",
    "modality",
    "deidentify",
)


def series_record(row: Row) -> dict[str, Any]:
    """Return the lines of one series."""
    outcome = row.outcome
    facts = {name: value for name, value in outcome.facts.items() if name != "seconds"}
    return {
        "id": row.key,
        "outcome": str(outcome.state),
        "error": {"code": outcome.code, "reason": outcome.reason} if outcome.code else None,
        "files": row.files,
        "files_left_out": row.left_out,
        "inputs_sha256": outcome.inputs,
        "settings_sha256": row.settings,
        "outputs": outcome.outputs,
        "finished": row.finished,
        "seconds": outcome.facts.get("seconds"),
        **facts,
    }


def write_manifest(
    out: Path, study: str, rows: Sequence[Row], fingerprint: dict[str, Any], versions: dict[str, str]
) -> None:
    """Write OUT/STUDY/manifest.json, whole or not at all; one that says the same already is left alone."""
    # of a source whoever has that source can compute it, too
    unlinked = {"inputs_sha256": None} if fingerprint["deidentify"] else {}
    record = {
        "medcolor": versions.get("medcolor", ""),
        "notice": "Colour is synthetic; not for diagnostic use.",
        "study": study,
        "settings": {name: fingerprint[name] for name in _SETTINGS},
        "weights_sha256": fingerprint["weights_sha256"],
        "palettes_sha256": fingerprint["palettes_sha256"],
        "versions": versions,
        "series": [series_record(row) | unlinked for row in sorted(rows, key=lambda row: row.key)],
    }
    target, text = out / study / "manifest.json", json.dumps(record, indent=1, sort_keys=True) + "\n"
    if not target.is_file() or target.read_text("utf-8") != text:
        write_text(target, text, out)
