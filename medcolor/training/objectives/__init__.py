"""What trainings pull toward, a file for each system: what happens at a step of the one loop."""

from __future__ import annotations

from medcolor.training.objectives.adversarial import LabObjective
from medcolor.training.objectives.bins import BinObjective
from medcolor.training.objectives.chroma import ChromaObjective
from medcolor.training.objectives.hints import HintObjective
from medcolor.training.objectives.histogram import HistogramObjective
from medcolor.training.objectives.nogan import NoGanObjective
from medcolor.training.objectives.objective import Objective, Step
from medcolor.training.objectives.queries import ColorObjective
from medcolor.training.objectives.tissue import TissueObjective

__all__ = [
    "BinObjective",
    "ChromaObjective",
    "ColorObjective",
    "HintObjective",
    "HistogramObjective",
    "LabObjective",
    "NoGanObjective",
    "Objective",
    "Step",
    "TissueObjective",
]
