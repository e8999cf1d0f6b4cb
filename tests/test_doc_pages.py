"""The pages of the documentation agree with the code: names, options, defaults, keys, numbers, and code that runs."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields

import click
import pytest

import searchlab
from models.cooccurrence import Cooccurrence
from models.mlp import MLP
from models.rnn_lm import RnnLM
from models.seq2seq import Seq2Seq
from models.transformer import Transformer
from models.transformer_lm import TransformerLM
from models.word2vec import Cbow
from searchlab import artifact, nn
from searchlab.cli import searchlab as program
from searchlab.cli.machine_check import Finding
from searchlab.environment import worker_environment
from searchlab.estimate import estimate
from searchlab.estimate.estimate import Estimate
from searchlab.estimate.memory_range import MemoryRange
from searchlab.monitor.reasons import ReasonCount
from searchlab.monitor.snapshot import Snapshot, TopTrial
from searchlab.monitor.status import SweepStatus
from searchlab.optim import schedules
from searchlab.results import result_json
from searchlab.results.pruner_replay import OrderReplay, SweepReplay
from searchlab.results.result import Result
from searchlab.runs.config import RunConfig
from searchlab.runs.trials import LearningCurve, TrialRecord
from tests.conftest import ROOT
from tests.pages import CODE, blocks_of, code_names, page, run_shell, section, write_files

MODELS = {"PYTHONPATH": str(ROOT)}  # models/ of this project
COMMANDS = {  # by name
    name: command
    for name, command in (
        *((name, program.get_command(None, name)) for name in program.list_commands(None) if name != "cluster"),
        ("cluster init", program.get_command(None, "cluster").commands["init"]),
    )
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_section_of_its_command(name):
    arguments = [p.name.upper() for p in COMMANDS[name].params if isinstance(p, click.Argument)]
    text = section(page("commands.md"), f"## `{' '.join(['searchlab', name, *arguments])}`")
    flags = {flag for p in COMMANDS[name].params if isinstance(p, click.Option) for flag in p.opts if flag[:2] == "--"}
    named = set(re.findall(r"--[a-z-]+", text))
    assert flags <= named, f"missing: {sorted(flags - named)}"
    others = {flag for command in COMMANDS.values() for p in command.params for flag in p.opts}
    mentioned = {"--epochs"} if name == "run" else set()  # in a text about another option
    assert named - flags - mentioned <= {"--help"} | (named - others), f"no such options: {sorted(named - flags)}"


def test_every_command_is_in_the_table():
    table = page("commands.md").partition("## ")[0]
    assert all(f"[`{name}" in table for name in COMMANDS)


def test_every_environment_variable_is_named():
    variables = {p.envvar for command in COMMANDS.values() for p in command.params if getattr(p, "envvar", None)}
    assert {"SEARCHLAB_HOME", "RAY_ADDRESS"} <= variables
    sources = "\n".join(path.read_text() for path in (ROOT / "searchlab").rglob("*.py"))
    variables |= set(re.findall(r"""environ(?:\.get\(|\[)\s*["']((?:SEARCHLAB|MLFLOW|RAY)_\w+)""", sources))
    assert "SEARCHLAB_DATA" in variables
    named = code_names(section(page("commands.md"), "## Environment variables"))
    assert variables | set(worker_environment()) <= named


def test_every_variable_of_the_compose_file_is_in_the_table_with_its_default():
    compose = re.sub("^#.*$", "", (ROOT / "docker-compose.yml").read_text(), flags=re.MULTILINE)
    expected = dict.fromkeys(re.findall(r"^  (AWS_\w+):", compose, re.MULTILINE), "none")
    for name, kind, value in re.findall(r"\$\{([A-Z_]+)(:[-?])([^}]*)\}", compose):
        expected[name] = "required" if kind == ":?" else value or "none"
    assert len(expected) > 30
    table = section(page("cluster.md"), "## Variables of docker-compose.yml")
    written = {}
    for cell, default in re.findall(r"^\| (`.*?) \| (.*?) \|", table, re.MULTILINE):
        names, defaults = CODE.findall(cell), default.split(", ")
        written |= zip(names, defaults * len(names) if len(defaults) == 1 else defaults, strict=True)
    assert written == {"COMPOSE_PROFILES": "none", **expected}


def test_every_key_of_a_json_object_is_named():
    named = code_names(section(page("commands.md"), "## JSON objects"))
    status = SweepStatus("a", "running", 1, 0, 0, 0, 0, None, None, 0.0)
    objects = [status.to_json(), Snapshot("a", "running").to_json()]
    objects.append(
        Result(
            sweep="a",
            state="FAILED",
            trials=(TrialRecord(0, "COMPLETE", {}, 0.5, None, None, LearningCurve(), 0.0, 1.0, (0.5, 1.0)),),
            requested=1,
            winner=None,
            metric="accuracy",
            goal="max",
            others={"parameters": "min"},
        ).to_json()
    )
    kinds = (TopTrial, ReasonCount, Finding, SweepReplay, OrderReplay)
    keys = {key for values in objects for key in values} | {field.name for kind in kinds for field in fields(kind)}
    functions = (Estimate.to_json, estimate._structure_json, MemoryRange.to_json, result_json._plain_winner)
    keys |= {key for function in functions for key in re.findall(r'"(\w+)":', inspect.getsource(function))}
    assert {"slowdown", "epochs_share", "max_trials", "test_float16", "asked", "needed"} <= named
    assert keys <= named, sorted(keys - named)


def test_exit_codes_are_those_of_the_errors():
    table = section(page("commands.md"), "## Exit codes")
    codes = [0, searchlab.WorldFault.exit_code, searchlab.UserMistake.exit_code, 130]
    assert sorted(map(int, re.findall(r"^\| (\d+) ", table, re.MULTILINE))) == sorted(codes)


def test_every_name_of_a_sweep_file_is_named():
    elsewhere = {"Result", "SearchFailed", "UserMistake", "WorldFault", "artifact", "open", "resume", "use_project"}
    assert set(searchlab.__all__) - elsewhere <= code_names(page("sweep_files.md"))
    assert elsewhere <= code_names(page("python.md"))


@pytest.mark.parametrize("thing", [searchlab.Sweep, searchlab.Trainer, MLP, RnnLM, TransformerLM])
def test_every_argument_is_in_a_table(thing):
    parameters = inspect.signature(thing).parameters.values()
    arguments = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert len(arguments) > 5
    first_cells = re.findall(r"^\| ([^|]*) \|", page("sweep_files.md"), re.MULTILINE)
    assert arguments <= {name for cell in first_cells for name in CODE.findall(cell)}


@pytest.mark.parametrize("name", ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam", "AdamW"])
def test_defaults_of_optimizers_are_those_of_the_code(name):
    row = re.search(rf"^\| `{name}` \| (.*?) \|", page("sweep_files.md"), re.MULTILINE)[1]
    written = {key: ast.literal_eval(value) for key, value in re.findall(r"`(\w+)=([^`]+)`", row)}
    parameters = inspect.signature(getattr(searchlab, name)).parameters.values()
    actual = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    expected = {key: actual[key] for key in written} if "`Adam`" in row else actual
    assert written == expected


@pytest.mark.parametrize(
    "name",
    [
        *("KFold", "StratifiedKFold", "GroupKFold", "Blocked", "Holdout", "Spiral", "Mnist", "FashionMnist"),
        *("PennTreebank", "Text", "Halving", "Race", "Median", "EarlyStopping", "Resources"),
    ],
)
def test_a_call_with_defaults_has_those_of_the_code(name):
    """The call of this name on the page that gives the most arguments gives them as the constructor does."""
    call = max(calls_on(page("sweep_files.md"), name), key=lambda call: len(call.keywords))
    parameters = inspect.signature(getattr(searchlab, name)).parameters
    assert len(call.args) + len(call.keywords) == len(parameters)
    for keyword in call.keywords:
        if not isinstance(keyword.value, ast.Call):  # Race() within Halving(...)
            assert ast.literal_eval(keyword.value) == parameters[keyword.arg].default, f"{name}({keyword.arg}=...)"


def calls_on(text, name):
    """Return the calls of a name in the code spans of a page, such as `pruner=Race(alpha=0.01)`."""
    calls = []
    for code in CODE.findall(text):
        try:
            tree = ast.parse(f"call({code})")
        except SyntaxError:
            continue
        calls += [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == name]
    return calls


def test_the_first_sweep_is_its_file():
    file = (ROOT / "search_spaces" / "digits_mlp.py").read_text()
    code = next(block.text for block in blocks_of("sweep_files.md") if block.language == "python")
    assert file.endswith(code)


def test_every_sweep_file_of_the_project_is_listed():
    table = section(page("sweep_files.md"), "## Sweeps that come with the project")
    files = {path.name for path in (ROOT / "search_spaces").glob("*.py")} - {"__init__.py"}
    assert set(re.findall(r"^\| `(\w+\.py)` ", table, re.MULTILINE)) == files
    assert f"{len(files)} sweeps" in (ROOT / "README.md").read_text().replace("Fifteen", "15")


def test_every_option_of_a_run_is_in_the_table():
    rows = re.findall(r"^\| `(\w+)` ", section(page("python.md"), "## Options"), re.MULTILINE)
    assert sorted(rows) == sorted(field.name for field in fields(RunConfig))


def test_every_argument_of_resume_is_in_the_table():
    rows = re.findall(r"^\| `(\w+)` ", section(page("python.md"), "## Open and resume"), re.MULTILINE)
    parameters = inspect.signature(searchlab.resume).parameters.values()
    assert sorted(rows) == sorted(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    assert set(rows) - set(inspect.signature(Result.resume).parameters) == {"home", "spec", "display"}


def test_results_and_artifacts_have_what_the_page_names():
    text = section(page("python.md"), "## The result")
    names = re.findall(r"`(\w+)(?:\(\w*\))?`", " ".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)))
    assert len(names) > 10
    known = {field.name for field in fields(Result)} | set(dir(Result))
    assert set(names) <= known
    rows = re.findall(r"^\| `(\w+)", section(page("python.md"), "## The winner"), re.MULTILINE)
    assert set(rows) <= {field.name for field in fields(artifact.Artifact)} | set(dir(artifact.Artifact))


def test_schedules_on_the_page_are_those_of_the_code():
    kinds = [kind for kind in vars(schedules).values() if inspect.isclass(kind)]
    names = {kind.__name__ for kind in kinds if issubclass(kind, schedules.Schedule)} - {"Schedule"}
    assert "Plateau" in names
    table = re.findall(r"^\| `(\w+)` \| ", section(page("sweep_files.md"), "## Training"), re.MULTILINE)
    assert names <= set(table)


@pytest.fixture
def project(tmp_path):
    """A function that writes the files of a page into a project of their own."""

    def write(name):
        (tmp_path / "pyproject.toml").touch()  # marks the root
        write_files(blocks_of(name), tmp_path)
        return tmp_path

    return write


def shell_and_output(name):
    """Return the pairs of a shell block and the output below it; None where there is none."""
    blocks = blocks_of(name)
    after = [*blocks[1:], None]
    pairs = zip(blocks, after, strict=True)
    return [(b.text, n.text if n and not n.language else None) for b, n in pairs if b.language == "sh"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["own_metric.md", "own_optimizer.md", "own_sampler.md"])
def test_the_code_of_a_page_runs(project, name):
    """The contracts pass as on the page, and the sweep is run, in one process and without a record."""
    folder = project(name)
    for command, output in shell_and_output(name):
        if command.startswith("searchlab run"):
            printed = run_shell(f"{command.strip()} --engine local --trials 4 --no-tracking", folder, variables=MODELS)
            assert "4 trials" in printed
        else:
            printed = run_shell(command, folder, variables=MODELS)
            passed = re.compile(r"\d+ passed")
            assert passed.search(printed)[0] == passed.search(output)[0]


@pytest.mark.parametrize("name", ["own_metric.md", "own_optimizer.md"])
def test_the_sweep_of_a_page_can_be_read(project, name):
    folder = project(name)
    (file,) = (folder / "search_spaces").glob("*.py")
    assert "structure" in run_shell(f"searchlab show {file}", folder, variables=MODELS)


@pytest.mark.slow
def test_the_script_of_python_prints_what_the_page_says(project):
    """In this process and without a record, which takes a third of the time."""
    folder = project("python.md")
    script = folder / "search_digits.py"
    text, call = script.read_text(), "sweep.run(seed=1)"
    assert call in text
    script.write_text(text.replace(call, 'sweep.run(seed=1, engine="local", tracking=None)'))
    command, output = shell_and_output("python.md")[0]
    assert run_shell(command, folder, variables=MODELS) == output


@pytest.mark.slow
def test_the_loop_of_ones_own_prints_what_the_page_says(project):
    folder = project("python.md")
    _, (command, output) = shell_and_output("python.md")
    assert run_shell(command, folder, variables=MODELS) == output
    assert "sklearn-digits" in run_shell("searchlab list", folder, variables=MODELS)


def test_spaces_on_the_page_of_the_books_can_be_built():
    names = {name: getattr(searchlab, name) for name in searchlab.__all__}
    names |= {model.__name__: model for model in (MLP, RnnLM, Seq2Seq, Transformer, TransformerLM, Cbow, Cooccurrence)}
    call = re.compile(r"(Space|Choice|Random|Mnist|Spiral)\(.*\)")
    spaces = [text for text in CODE.findall(page("book.md")) if call.fullmatch(text)]
    assert len(spaces) > 15
    for text in spaces:
        eval(text, names)  # noqa: S307, this project's own pages; a wrong argument raises UserMistake


def test_files_on_the_page_of_the_books_exist():
    named = set(CODE.findall(page("book.md")))
    files = {name for name in named if re.fullmatch(r"[\w/]+\.py", name)}
    assert len(files) > 5
    assert all((ROOT / "search_spaces" / name).exists() for name in files)
    layers = {name.rpartition(".")[2] for name in named if re.fullmatch(r"searchlab\.nn\.\w+", name)}
    assert layers
    assert all(hasattr(nn, name) for name in layers)


def test_what_the_page_of_the_books_says_is_missing_is_missing():
    sources = "\n".join(path.read_text().lower() for path in (ROOT / "models").glob("*.py")) + " ".join(dir(nn)).lower()
    assert not [word for word in ("conv",) if word in sources]


NUMBER = re.compile(r"\d+\.\d+|\d{1,3}(?:,\d{3})+")


def test_measurements_on_pages_are_those_of_the_protocol():
    """A number with a decimal point is printed in bench/RESULTS.md; the README may round it."""
    results = set(NUMBER.findall((ROOT / "bench" / "RESULTS.md").read_text()))
    measured = NUMBER.findall(page("measured.md"))
    assert len(measured) > 60
    assert not [number for number in measured if number not in results]
    values = [float(number.replace(",", "")) for number in results]
    rounded = NUMBER.findall(section((ROOT / "README.md").read_text(), "## Measured"))
    assert len(rounded) > 5
    for number in rounded:
        digits = len(number.partition(".")[2])
        assert any(round(value, digits) == float(number) for value in values), number
