"""The model card of an artifact, `README.md`: what the network is, how good it is, and how it is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from searchlab.artifact.format import MANIFEST
from searchlab.errors import WorldFault
from searchlab.reporting.formats import (
    count,
    interval_text,
    network_scores,
    parameter_value,
    score,
    times,
    winner_training,
)
from searchlab.reporting.winner_choice import search_choice
from searchlab.results.winner import Winner
from searchlab.runs.job import Job
from searchlab.runs.secrets import mask

MAX_NAMES = 20  # of columns or classes
TEXT_CALLS = {
    "sequence to sequence": ('network.translate("...")', "the target sequence of a source"),
    "language model": ('network.generate("...")', "the text with which it continues a prompt"),
    "word vectors": ('network.most_similar("...")', "the words with the nearest vectors; network.analogy(a, b, c)"),
}


def write_model_card(job: Job, winner: Winner, trials: int) -> None:
    """Write the model card of a winner into the folder of its artifact, without the secrets of the environment.

    Raises WorldFault when it cannot be written.
    """
    manifest = json.loads((winner.artifact / MANIFEST).read_text(encoding="utf-8"))
    path = winner.artifact / "README.md"
    try:
        path.write_text(mask(model_card(job, winner, trials, manifest)), encoding="utf-8")
    except OSError as error:
        raise WorldFault(
            f"{path} could not be written ({error}); `searchlab resume {job.name}` tries again."
        ) from error


def model_card(job: Job, winner: Winner, trials: int, manifest: Mapping[str, Any]) -> str:
    """Return the text of a model card, in Markdown.

    Args:
        job: The sweep.
        winner: Its winner.
        trials: Number of trials of the sweep.
        manifest: The manifest of the artifact.
    """
    parts = (
        _about(job, winner, trials, manifest),
        "## Scores\n\n" + _table(("", winner_metric(job)), list(_scores(job, winner, manifest))),
        "## Hyperparameters\n\n" + _table(("", ""), [(f"`{k}`", v) for k, v in _parameters(manifest)]),
        "## How to load it\n\n" + _how_to_load(job, manifest),
        "## Where it comes from\n\n" + _table(("", ""), list(_origin(job, manifest))),
    )
    return "\n\n".join(parts) + "\n"


def winner_metric(job: Job) -> str:
    """Return the name of the primary metric, and which way is better."""
    metric = job.sweep.primary_metric
    return f"{metric.name} ({'higher' if metric.goal == 'max' else 'lower'} is better)"


def _about(job: Job, winner: Winner, trials: int, manifest: Mapping[str, Any]) -> str:
    weights, kept = manifest["weights"], manifest["weights"]["kept_float32"]
    exact = f", {count(len(kept), 'tensor')} of them in float32" if kept else ""
    name = manifest["model"]["class"].partition(":")[2]
    return (
        f"# {job.name}\n\n"
        f"{name} with {weights['parameters']:,} weights in float16{exact}. It is trial {winner.trial.number} of "
        f"{count(trials, 'trial')}, {winner_training(winner.networks, winner.trial.epoch or 0)}."
    )


def _scores(job: Job, winner: Winner, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    trial, finalist = winner.trial, winner.finalist
    spread = f" ± {score(trial.std)} over {len(trial.folds)} folds" if len(trial.folds) > 1 else ""
    searched = [each.search_score for each in winner.finalists]
    choice = search_choice(trial.value or 0.0, searched, job.sweep.primary_metric.goal)
    yield f"in the search, {choice}", f"{score(trial.value)}{spread}"
    if finalist:
        interval = interval_text(finalist.low, finalist.high)
        shown = f"{score(finalist.mean)} ({interval})" if interval else score(finalist.mean)
        yield f"with {count(len(finalist.scores), 'fresh seed')}, on the same folds", shown
    if winner.test_score is not None:
        rows = count(manifest["test"]["rows"], "test row")
        yield f"on {rows}, opened {times(winner.test_look or 1)}", score(winner.test_score)
        yield "the same, of this artifact", score(winner.artifact_score)
    if winner.network_scores:
        yield "each network alone, on the same rows", network_scores(winner.network_scores)
    if "threshold" in manifest:
        threshold = manifest["threshold"]
        yield f"probability of {threshold['class']!r} from which on it is predicted", score(threshold["probability"])
    if winner.baseline:
        yield f"baseline: {winner.baseline.name}, whatever the inputs", score(winner.baseline.score)


def _parameters(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(path, parameter_value(value)) for path, value in manifest["parameters"].items()]


def _how_to_load(job: Job, manifest: Mapping[str, Any]) -> str:
    call, comment = _call(manifest)
    source = " The folder `source` has it: `PYTHONPATH=source`." if "source" in manifest else ""
    return (
        f"It needs NumPy, searchlab and the source of its model.{source}\n\n"
        "```python\n"
        "from searchlab import artifact\n\n"
        'network = artifact.load(".")\n'
        f"{call}  # {comment}\n"
        "```"
        + _names("It takes these columns", (manifest.get("inputs") or {}).get("features"))
        + _names("Its outputs are", (manifest.get("targets") or {}).get("names"))
    )


def _call(manifest: Mapping[str, Any]) -> tuple[str, str]:
    """Return the call that uses the network, and what it returns."""
    if manifest["task"] in TEXT_CALLS:
        return TEXT_CALLS[manifest["task"]]
    columns = (manifest.get("table") or {}).get("columns")  # of raw cells, which become more or fewer inputs
    shape = f"(rows, {len(columns)}) of raw cells" if columns else f"(rows, {manifest['model']['sizes'][0]})"
    if (manifest.get("targets") or {}).get("kind") == "classes":
        return "network.classify(x)", f"the class of each row of x, {shape}; network.probabilities(x)"
    return "network.predict(x)", f"the outputs for each row of x, {shape}"


def _names(text: str, names: Sequence[str] | None) -> str:
    if not names:
        return ""
    shown = ", ".join(f"`{name}`" for name in names[:MAX_NAMES])
    return f"\n\n{text}: {shown}{f' and {len(names) - MAX_NAMES} more' if len(names) > MAX_NAMES else ''}."


def _origin(job: Job, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "data", f"`{job.sweep.data!r}`"
    yield "validation", f"`{job.sweep.validation!r}`"
    yield "SHA-256 of the training rows", f"`{manifest['checksum']}`"
    yield "seed", str(manifest["seed"])
    for name, version in (manifest.get("versions") or {}).items():
        yield name.removeprefix("version."), f"`{version}`"


def _table(header: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    lines = [header, ("---", "---"), *((left, right.replace("|", "\\|")) for left, right in rows)]
    return "\n".join(f"| {left} | {right} |" for left, right in lines)
