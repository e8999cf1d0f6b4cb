"""The saved view of an experiment: which columns and charts MLflow's page shows for a sweep, and in which order.

MLflow keeps the views that people share as tags of the experiment, which its page reads (*Views* in its list of runs).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient

from searchlab.space.metric_names import record_key
from searchlab.tracking.branches import joint_paths
from searchlab.tracking.links import VIEW_TAG
from searchlab.tracking.run_names import RATES
from searchlab.tracking.sweep_record import SweepRecord

MAX_COLUMNS, MAX_AXES = 12, 8  # of parameters
MAX_RUNS = 100  # in a chart
SECTION = "search"  # id of the section of charts
FIRST_COLUMNS, NAME_WIDTH = ("attributes.`Run Name`", "runDateAndNestInfo"), 360  # as MLflow's page calls them; pixels


def save_view(client: MlflowClient, experiment: str, sweep: SweepRecord, time: int) -> None:
    """Write the view of a sweep to its experiment, unless a person has changed it.

    Args:
        client: The client of the store.
        experiment: Id of the experiment.
        sweep: The sweep.
        time: Milliseconds since 1970.
    """
    stored = client.get_experiment(experiment).tags.get(VIEW_TAG)
    state = json.dumps(view_state(sweep))
    if stored:
        kept = _read(stored)
        if kept.get("state") == state or kept.get("createdAt") != kept.get("updatedAt"):
            return
    view = {"name": "Trials", "createdAt": time, "updatedAt": time, "state": state}
    client.set_experiment_tag(experiment, VIEW_TAG, json.dumps(view))


def view_state(sweep: SweepRecord) -> dict[str, Any]:
    """Return the state of MLflow's page: the runs best first, with the score and the parameters as columns."""
    best, paths = record_key(f"best_{sweep.metric}"), joint_paths(sweep.searched)
    parameters = [record_key(path) for path in paths]
    others = [f"metrics.`{record_key(f'best_{name}')}`" for name in sweep.others]
    tags = [f"tags.`{name}`" for name in ("state", "winner")]
    columns = [f"metrics.`{best}`", *others, *tags, *(f"params.`{path}`" for path in parameters[:MAX_COLUMNS])]
    return {
        "searchFilter": "",
        "orderByKey": f"metrics.`{best}`",
        "orderByAsc": sweep.goal == "min",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*columns, "attributes.`Duration`"],
        "columnOrder": [*FIRST_COLUMNS, *columns, "duration"],
        "columnWidths": {FIRST_COLUMNS[0]: NAME_WIDTH},
        "runsHiddenMode": "SHOW_ALL",
        "compareRunSections": [_section(SECTION, "Search"), _section("folds", "folds", display=False)],
        "compareRunCharts": _charts(sweep, best, paths),
    }


def _charts(sweep: SweepRecord, best: str, paths: Mapping[str, bool]) -> list[dict[str, Any]]:
    axes = [record_key(path) for path, is_always_there in paths.items() if is_always_there][:MAX_AXES]
    rates = [path for path in axes if path.rpartition(".")[2] in RATES]
    charts = [_chart("PARALLEL", "Parallel coordinates", selectedParams=axes, selectedMetrics=[best])] if axes else []
    charts += [_scatter(path, best) for path in (rates or axes)[:1]]
    return [*charts, _lines(record_key(sweep.metric)), _lines("loss")]


def _scatter(path: str, metric: str) -> dict[str, Any]:
    axes = {"xaxis": {"key": path, "type": "PARAM"}, "yaxis": {"key": metric, "type": "METRIC"}}
    return _chart("SCATTER", f"{metric} by {path}", **axes)


def _lines(metric: str) -> dict[str, Any]:
    scales = {"xAxisKey": "step", "xAxisScaleType": "linear", "scaleType": "linear", "lineSmoothness": 0, "range": {}}
    axes = {"yAxisKey": "metric", "yAxisExpressions": [], "selectedXAxisMetricKey": "", "ignoreOutliers": False}
    shared = {"useGlobalXaxisKey": True, "useGlobalLineSmoothing": True}
    shown = {"metricKey": metric, "selectedMetricKeys": [metric]}
    return _chart("LINE", f"{metric} by epoch", **shown, **scales, **axes, **shared)


def _chart(kind: str, title: str, **values: Any) -> dict[str, Any]:
    place = {"uuid": f"{kind}-{title}", "metricSectionId": SECTION, "deleted": False, "isGenerated": False}
    return {"type": kind, "displayName": title, "runsCountToCompare": MAX_RUNS, "showAllRuns": True} | place | values


def _section(id: str, name: str, *, display: bool = True) -> dict[str, Any]:
    """Return a section of charts; MLflow adds to that of a prefix, such as "folds", a chart for each of its metrics."""
    flags = {"display": display, "isReordered": False, "deleted": False, "isGenerated": id != SECTION}
    return {"uuid": id, "name": name, "columns": 2, "cardHeight": 400} | flags


def _read(tag: str) -> Mapping[str, Any]:
    try:
        value = json.loads(tag)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
