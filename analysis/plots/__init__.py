"""Figures of studies. Each kind is a function of a `Study` (analysis.load) that returns a matplotlib Figure,
or a table; `python -m analysis.plot` is the command. docs/analysis.md shows them.

Figures take the ambient settings: draw under `matplotlib.rc_context(pantheon.report.album.SETTINGS)`.
"""

from analysis.plots.ablation import AblationTable, ablation
from analysis.plots.actions import actions
from analysis.plots.curves import curves
from analysis.plots.frontier import frontier
from analysis.plots.heatmap import heatmap
from analysis.plots.reward import reward
from analysis.plots.sensitivity import importance, slices

__all__ = [
    "AblationTable",
    "ablation",
    "actions",
    "curves",
    "frontier",
    "heatmap",
    "importance",
    "reward",
    "slices",
]
