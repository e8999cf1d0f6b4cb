"""Private and undocumented names of other packages: every one that the library uses, and that it is still as expected.

pyproject.toml pins the minor versions of Optuna, Ray and MLflow. An upgrade fails here first: each test says which
name has changed, and the table says what depends on it.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import logging
import mmap
import re
import subprocess
import textwrap
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import optuna
import pytest
import ray
from optuna.storages.journal._storage import JournalOperation
from optuna.study import Study
from optuna.trial import TrialState

from searchlab.cluster import connection, jobs, local_ray
from searchlab.engine.tuner import CHECKPOINT_PERIOD, TUNE_ENVIRONMENT
from searchlab.environment import RAYLET_VARIABLE
from searchlab.study import optuna_samplers, trial_proposer
from searchlab.study.storage import attributes, journal_format
from searchlab.study.storage.opening import open_owned

LIBRARY = Path(__file__).parents[1] / "searchlab"
PACKAGES = ("boto3", "botocore", "cmaes", "mlflow", "optuna", "psycopg", "pyarrow", "ray", "sqlalchemy", "tenacity")

PRIVATE_NAMES = {  # attributes and methods, with what the library does with them
    # Optuna
    "_get_trials": "Study, CmaEsSampler: trials without a copy; a view gives TPE and CMA-ES only some",
    "_random_sampler": "TPESampler: replaced by one that draws each argument from a stream of its own",
    "_rng": "RandomSampler, TPESampler: seeded for each argument",
    "_sample": "TPESampler: draws the arguments that always occur together, from arrays that are kept between draws",
    "_storage": "Study: one trial is read without reading all",
    "_study_id": "Study: the study's id in its storage",
    "_thread_local": "Study: its cache of trials is cleared for each new trial, as `Study.ask` does",
    "_trial_id": "FrozenTrial: an open trial of a killed process is opened again by its id",
    "_exit": "os, which documents it: ends a process whose main thread hangs in Ray's library",
    # Ray
    "_global_node": "ray._private.worker: the processes of this machine's Ray, to notice when one has died",
    "_private": "the package of `_global_node` and of the modules `grpc_utils`, `services`, `utils` and `worker`",
}
UNDOCUMENTED_MODULES = {
    "mlflow.store.tracking.sqlalchemy_store": "creates MLflow's tables in a file that is renamed when it is complete",
    "mlflow.tracking.request_header.registry": "takes the header of a user without a password, without an entry point",
    "ray._private": "`grpc_utils`, `services`, `utils`, `worker`, of which some names are replaced while Ray is used",
    "ray.air._internal": "`usage.tag_callbacks`, replaced because it imports MLflow to count callbacks for statistics",
    "ray.tune.error": "`TuneError`, which `Tuner.fit` raises",
    "ray.tune.execution": "`class_cache.ENV_VARS_TO_PROPAGATE`, from which the keys of a store are removed",
    "ray.tune.progress_reporter": "`TrialProgressCallback`, of which a silent subclass takes the place",
    "ray.tune.result": "`RESULT_DUPLICATE`, by which the last step of a worker ends its trial without a result",
}
DOCUMENTED_MODULES = {
    "boto3", "boto3.s3.transfer", "botocore.config", "botocore.exceptions", "mlflow", "mlflow.entities",
    "mlflow.entities.model_registry", "mlflow.exceptions", "mlflow.models", "mlflow.pyfunc", "mlflow.tracking",
    "mlflow.types", "mlflow.tracking.request_header.abstract_request_header_provider",
    "optuna", "optuna.distributions", "optuna.exceptions", "optuna.samplers", "optuna.storages",
    "optuna.storages.journal", "optuna.study", "optuna.trial", "optuna_dashboard", "ray", "ray.autoscaler.sdk",
    "ray.exceptions", "ray.job_submission", "ray.tune", "ray.tune.search", "ray.util.scheduling_strategies",
    "psycopg", "psycopg.conninfo", "sqlalchemy.exc", "tenacity",
}  # fmt: skip


def is_foreign(module):
    return module.split(".")[0] in PACKAGES


def imported_modules(tree):
    """The modules of other packages that a file imports."""
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {module for module in modules if is_foreign(module)}


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def own_private_names(tree):
    """The private names that a file defines itself, as functions, classes, variables or attributes of `self`."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = {node.name for node in ast.walk(tree) if isinstance(node, definitions)}
    stored = [node for node in ast.walk(tree) if isinstance(getattr(node, "ctx", None), ast.Store)]
    names |= {node.attr for node in stored if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self"}
    return names | {node.id for node in stored if isinstance(node, ast.Name)}


def private_attributes(tree):
    """The private attributes of other objects than `self` that a file reads and does not define itself."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_private(node.attr)]
    found = {node.attr for node in nodes if ast.unparse(node.value) not in ("self", "cls")}
    return found - own_private_names(tree) | {n.attr for n in nodes if ast.unparse(n.value) == "super()"}


def inherited_private_names(path, tree):
    """The private names of foreign base classes that a file's classes use or override."""
    found = set()
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or not node.bases:
            continue
        module = ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts)
        bases = [c for c in getattr(importlib.import_module(module), node.name).__mro__ if is_foreign(c.__module__)]
        of_bases = {name for base in bases for name in re.findall(r"\b_[a-z]\w*", inspect.getsource(base))}
        used = {inner.attr for inner in ast.walk(node) if isinstance(inner, ast.Attribute)}
        used |= {inner.name for inner in ast.walk(node) if isinstance(inner, ast.FunctionDef)}
        found |= {name for name in used & of_bases if is_private(name)}
    return found


@cache
def foreign_files():
    """The files that import modules of other packages; not read before a test needs them, as every process collects."""
    sources = {path: ast.parse(path.read_text()) for path in sorted(LIBRARY.rglob("*.py"))}
    return {path: tree for path, tree in sources.items() if imported_modules(tree)}


def test_no_other_private_name_is_used():
    found = set().union(*map(private_attributes, foreign_files().values()))
    found |= set().union(*(inherited_private_names(path, tree) for path, tree in foreign_files().items()))
    assert found == set(PRIVATE_NAMES)


def test_no_other_undocumented_module_is_imported():
    found = set().union(*map(imported_modules, foreign_files().values()))
    assert found - DOCUMENTED_MODULES == set(UNDOCUMENTED_MODULES)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import optuna\nstudy._storage.get_trial(0)", {"_storage"}),
        ("import ray\nray._private.worker._global_node", {"_private", "_global_node"}),
        ("class A(B):\n    def f(self):\n        self._own = super()._theirs()", {"_theirs"}),
        ("class A:\n    def f(self, other):\n        self._own = 1\n        return other._own", set()),
    ],
)
def test_the_scan_finds_private_names(source, names):
    assert private_attributes(ast.parse(source)) == names


def parameters_of(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


# Optuna: the study


def test_optunas_study_has_its_storage_its_id_and_its_cache():
    study = optuna.create_study()
    assert study._storage.get_all_trials(study._study_id) == []
    assert study._thread_local.cached_all_trials is None
    assert parameters_of(Study._get_trials) == ["deepcopy", "states", "use_cache"]
    trial = study.ask()
    assert study.trials[0]._trial_id == trial._trial_id
    assert [t.number for t in study._get_trials(deepcopy=False, use_cache=True)] == [0]
    assert study._get_trials(deepcopy=False, states=(TrialState.COMPLETE,)) == []


def test_optuna_still_creates_a_trial_as_we_do():
    """`trial_proposer._create_trial` is `Study.ask` without fixed distributions, heartbeats and the queue."""
    body = inspect.getsource(Study.ask)
    steps = body[body.index("# Sync storage once every trial.") : body.index("for name, param in")]
    expected = """
        # Sync storage once every trial.
        self._thread_local.cached_all_trials = None

        trial_id = self._pop_waiting_trial_id()
        if trial_id is None:
            trial_id = self._storage.create_new_trial(self._study_id)
        trial = optuna.Trial(self, trial_id)
    """
    assert textwrap.dedent(steps).split() == textwrap.dedent(expected).split()
    study = optuna.create_study()
    study._thread_local.cached_all_trials = []
    trial = trial_proposer._create_trial(study, None)
    assert study._thread_local.cached_all_trials is None
    assert (trial.number, study.trials[0].state) == (0, TrialState.RUNNING)
    assert optuna.trial.Trial(study, study.trials[0]._trial_id).number == 0, "an open trial can be opened again"


# Optuna: the journal


def test_the_op_codes_of_the_journal():
    for operation in journal_format.Operation:
        assert JournalOperation[operation.name] == operation
    for number, name in journal_format.FINISHED_STATES.items():
        assert TrialState(number).name == name
    assert {state.name for state in TrialState if state.is_finished()} == set(journal_format.FINISHED_STATES.values())


def write_trials(storage):
    """A study with a prior trial, and one of every end; all kinds of parameters."""
    study = optuna.create_study(study_name="s", storage=storage)
    distribution = optuna.distributions.FloatDistribution(0.001, 1.0, log=True)
    study.add_trial(optuna.create_trial(params={"rate": 0.5}, distributions={"rate": distribution}, value=0.25))
    for number in range(5):
        trial = study.ask()
        trial.suggest_float("rate", 0.001, 1.0, log=True)
        trial.suggest_int("size", 1, 100)
        trial.suggest_categorical("kind", [None, "a", True, 3])
        trial.report(0.5, 1)
        trial.set_constraint("constraint", 1.0)
        if number == 2:
            trial.set_user_attr(attributes.INFEASIBLE, "too large")
        trial.set_user_attr(attributes.END, {"reason": "a {brace}", "number": number})
        if number < 4:
            state = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED, TrialState.FAIL)[number]
            study.tell(trial, 0.75 if state is TrialState.COMPLETE else None, state=state)
    return study


def test_the_lines_of_the_journal(tmp_path):
    """What is read without Optuna is what Optuna stores."""
    storage = open_owned(tmp_path / "study.journal", "s")
    study = write_trials(storage)
    storage.close()
    with (tmp_path / "study.journal").open("rb") as file:
        lines = [line for line in map(journal_format.read_trial_line, journal_format.complete_lines(file)) if line]
    starts = [line for line in lines if isinstance(line, journal_format.TrialStart)]
    assert [start.is_prior for start in starts] == [True, *[False] * 5]
    assert starts[1].started_at == study.trials[1].datetime_start.timestamp()
    ends = {line.trial_id: line for line in lines if isinstance(line, journal_format.TrialEnd)}
    assert set(ends) == {1, 2, 3, 4}
    for number, end in ends.items():
        trial = study.trials[number]
        assert (end.state, end.value) == (trial.state.name, trial.value)
        assert end.ended_at == trial.datetime_complete.timestamp()
    assert [line.trial_id for line in lines if isinstance(line, journal_format.TrialInfeasible)] == [3]
    for trial in study.trials[1:]:
        details = [line.line for line in lines if isinstance(line, journal_format.TrialDetail)
                   and line.trial_id == trial.number]  # fmt: skip
        parameters, end = journal_format.read_details(details)
        assert parameters == trial.params
        assert [type(value) for value in parameters.values()] == [type(value) for value in trial.params.values()]
        assert end == trial.user_attrs[attributes.END]


def test_a_damaged_line_is_an_error():
    with pytest.raises(ValueError, match="line 1"):
        journal_format.read_trial_line(b'{"op_code":6,"trial_id":0,"sta\n')


# Optuna: the samplers


def test_the_parts_of_optunas_tpe_sampler():
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        sampler = optuna.samplers.TPESampler(multivariate=True, group=True, n_startup_trials=2, seed=0)
    assert isinstance(sampler._rng.rng, np.random.RandomState)
    assert isinstance(sampler._random_sampler, optuna.samplers.RandomSampler)
    assert isinstance(sampler._random_sampler._rng.rng, np.random.RandomState)
    assert parameters_of(sampler._sample_relative) == ["study", "trial", "search_space"]
    study = optuna.create_study(sampler=sampler)
    for number in range(4):
        trial = study.ask()
        trial.suggest_float("x", 0.0, 1.0)
        if number % 2:
            trial.suggest_float("y", 0.0, 1.0)
        study.tell(trial, 0.5)
    sampler.infer_relative_search_space(study, study.trials[-1])
    assert sorted(map(sorted, sampler._search_space_group.search_spaces)) == [["x"], ["y"]]


def test_optunas_cma_es_reads_its_trials_by_one_method(monkeypatch):
    assert parameters_of(optuna.samplers.CmaEsSampler._get_trials) == ["study"]
    reads = []
    monkeypatch.setattr(optuna_samplers.ResumableCmaEsSampler, "_get_trials", lambda self, study: reads.append(1) or [])
    distribution = optuna.distributions.FloatDistribution(0.0, 1.0)
    sampler = optuna_samplers.ResumableCmaEsSampler(0, {"x": distribution, "y": distribution}, startup_trials=1)
    trial = optuna.trial.FrozenTrial(
        0, TrialState.RUNNING, None, datetime.now(UTC), None, {}, {}, {}, {}, {}, 0, values=None
    )
    sampler.sample_relative(optuna.create_study(), trial, {"x": distribution, "y": distribution})
    assert reads


# Ray


def test_rays_node_knows_its_dead_processes():
    from ray._private import ray_constants
    from ray._private.node import Node

    assert ray._private.worker._global_node is None, "no Ray is started in this process"
    assert parameters_of(Node.dead_processes) == []
    assert "result.append((process_type, process_info.process))" in inspect.getsource(Node.dead_processes)
    names = (ray_constants.PROCESS_TYPE_GCS_SERVER, ray_constants.PROCESS_TYPE_RAYLET)
    assert names == local_ray.ESSENTIAL_PROCESSES


def test_ray_uses_the_names_that_are_replaced():
    from ray._private import services, utils, worker
    from ray._private.node import Node

    assert issubclass(services.ConsolePopen, subprocess.Popen)
    source = inspect.getsource(services.start_ray_process)
    assert "process = ConsolePopen(\n        command,\n        env=modified_env," in source
    source = inspect.getsource(Node.__init__)
    call = "node_info = ray._private.services.get_node("
    assert call in source[source.index("self.start_ray_processes()") :], "called until the raylet is ready"
    assert "except RuntimeError as e:" in source, "another error ends the start"
    assert "ray._private.utils.set_sigterm_handler(sigterm_handler)" in inspect.getsource(worker.init)
    assert parameters_of(utils.set_sigterm_handler) == ["sigterm_handler"]
    assert "target=listen_error_messages," in inspect.getsource(worker.connect)
    assert parameters_of(worker.listen_error_messages) == ["worker", "threads_stopped"]


def test_rays_library_reads_the_raylets_id():
    with (RAY / "_raylet.so").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        assert content.find(RAYLET_VARIABLE.encode()) > 0


def test_tune_passes_the_variables_of_one_set_on():
    from ray.tune.execution import class_cache

    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= class_cache.ENV_VARS_TO_PROPAGATE
    assert "for env_var_to_propagate in ENV_VARS_TO_PROPAGATE:" in inspect.getsource(class_cache)


def test_tune_counts_callbacks_by_a_function_that_can_be_replaced():
    assert "air_usage.tag_callbacks(callbacks)" in (RAY / "tune/tune.py").read_text()


def test_tune_calls_no_callback_for_a_duplicate_of_the_last_result():
    source = (RAY / "tune/execution/tune_controller.py").read_text()
    assert "is_duplicate = RESULT_DUPLICATE in result" in source
    assert "if not is_duplicate:" in source


def test_tunes_error_is_the_one_of_its_interface():
    from ray.tune.error import TuneError

    assert TuneError is ray.tune.TuneError


RAY = Path(ray.__file__).parent
VARIABLES = {  # the file of Ray's that reads each variable
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "_private/accelerators/__init__.py",
    "RAY_AIR_NEW_OUTPUT": "tune/experimental/output.py",
    "RAY_CHDIR_TO_TRIAL_DIR": "tune/tune.py",
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "_private/worker.py",
    "RAY_USAGE_STATS_ENABLED": "_common/usage/usage_constants.py",
    "RAY_JOB_STOP_WAIT_TIME_S": "dashboard/modules/job/job_supervisor.py",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "tune/utils/callback.py",
    "TUNE_DISABLE_SIGINT_HANDLER": "tune/tune.py",
    "TUNE_GLOBAL_CHECKPOINT_S": "tune/execution/tune_controller.py",
    "TUNE_MAX_PENDING_TRIALS_PG": "tune/execution/tune_controller.py",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "tune/execution/experiment_state.py",
}


@pytest.mark.parametrize(
    "name", [*connection.DRIVER_ENVIRONMENT, *TUNE_ENVIRONMENT, CHECKPOINT_PERIOD, "RAY_JOB_STOP_WAIT_TIME_S"]
)
def test_ray_reads_the_variable(name):
    assert name in (RAY / VARIABLES[name]).read_text()


def test_rays_processes_read_the_reconnection_timeout():
    """The variable RAY_x sets the option x of Ray's own programs."""
    (name,) = connection.LOCAL_ENVIRONMENT
    with (RAY / "core/src/ray/raylet/raylet").open("rb") as file, mmap.mmap(
        file.fileno(), 0, access=mmap.ACCESS_READ
    ) as content:  # fmt: skip
        assert content.find(name.removeprefix("RAY_").encode()) > 0


@pytest.mark.parametrize(
    ("text", "file"),
    [
        (connection.CLIENT_FAILURE, "util/client/worker.py"),
        (jobs.ENTRYPOINT_LINE, "dashboard/modules/job/job_supervisor.py"),
        ("failed with exit code {return_code}", "dashboard/modules/job/job_supervisor.py"),
        ("already exists", "dashboard/modules/job/job_manager.py"),
    ],
)
def test_ray_prints_the_text(text, file):
    assert text in (RAY / file).read_text()


def test_the_loggers_of_rays_job_client():
    importlib.import_module("ray.dashboard.modules.job.sdk")
    for name in ("job.sdk", "dashboard_sdk"):
        assert f"ray.dashboard.modules.{name}" in logging.root.manager.loggerDict


# MLflow


def test_mlflows_store_creates_its_tables_in_an_sqlite_file():
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    assert parameters_of(SqlAlchemyStore.__init__)[:2] == ["db_uri", "default_artifact_root"]
    assert "self.engine" in inspect.getsource(SqlAlchemyStore.__init__)
