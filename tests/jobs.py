"""Jobs for tests: an engine's input with a configuration of one worker."""

from __future__ import annotations

from dataclasses import fields

from searchlab.runner.run import run as run_config
from searchlab.runs.config import RunConfig
from searchlab.runs.job import Job
from searchlab.runs.manifest import SweepManifest

OF_JOB = {field.name for field in fields(Job)}
OF_MANIFEST = {field.name for field in fields(SweepManifest)}


def make_job(sweep, name, storage, checkpoints, trials, **changes):
    """A job; the changes are fields of Job, or else options of RunConfig. One worker, unless they say otherwise."""
    of_job = {key: value for key, value in changes.items() if key in OF_JOB}
    options = {"workers": 1} | {key: value for key, value in changes.items() if key not in OF_JOB}
    return Job(sweep, name, storage, checkpoints, trials, config=RunConfig(**options), **of_job)


def run(sweep, *, spec=None, display=None, **options):
    """Run a sweep with options by name, and without a record unless `tracking="mlflow"` is among them."""
    return run_config(sweep, RunConfig.of({"tracking": None} | options), spec=spec, display=display)


def make_manifest(sweep, trials=7, **changes):
    """A manifest of this sweep; the changes are fields of SweepManifest, or else options of RunConfig."""
    of_manifest = {key: value for key, value in changes.items() if key in OF_MANIFEST}
    options = {"workers": 1} | {key: value for key, value in changes.items() if key not in OF_MANIFEST}
    fields_ = {"name": sweep.name, "created": 1000.0} | of_manifest
    return SweepManifest.of(sweep, trials=trials, config=RunConfig(**options), **fields_)
