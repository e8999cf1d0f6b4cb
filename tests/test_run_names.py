"""The names of trials' runs in MLflow, and the joint names of parameters of branches."""

import pytest

from searchlab.runs.describe import arguments_of
from searchlab.tracking.branches import joint_parameters, joint_paths
from searchlab.tracking.run_names import MAX_LETTERS, parameters_text, trial_name
from tests.sweeps import spiral_sweep

PARAMETERS = {
    "model.hidden": 128,
    "model.dropout": 0.16271,
    "optimizer": "Adam",
    "optimizer.Adam.lr": 0.03141,
    "training.batch_size": 64,
    "training.clip_norm": 0.9556,
}


def test_a_name_has_number_score_and_first_parameters():
    text = parameters_text(PARAMETERS)
    assert text == "hidden 128 lr 0.0314 dropout 0.163 optimizer Adam batch size 64"[: len(text)]
    assert text.startswith("hidden 128 lr 0.0314 dropout 0.163")
    assert trial_name(22, text, 0.97841) == f"#22 0.9784 {text}"
    assert trial_name(22, text) == f"#22 {text}"
    assert trial_name(3, "") == "#3"


def test_a_name_holds_only_whole_parameters():
    text = parameters_text({f"model.layer_{i}_size": 10**i for i in range(20)})
    assert len(text) <= MAX_LETTERS
    assert text.split() == [word for i in range(3) for word in ("layer", str(i), "size", str(10**i))]
    assert parameters_text({"model.name": "x" * 500}) == ""


def test_parameters_of_branches_have_a_joint_name():
    assert joint_parameters(PARAMETERS) == {"optimizer.lr": 0.03141}
    assert joint_parameters({"model.hidden": 3}) == {}
    taken = {"optimizer": "Adam", "optimizer.Adam.lr": 0.1, "optimizer.lr": 0.2}
    assert joint_parameters(taken) == {}, "a parameter keeps its own name"


def test_joint_paths_say_which_every_trial_has():
    described = arguments_of(spiral_sweep().describe())
    searched = {path: text for path, (text, is_searched) in described.items() if is_searched}
    assert joint_paths(searched) == {
        "model.hidden": True,
        "model.dropout": True,
        "optimizer": True,
        "optimizer.lr": True,
        "training.clip_norm": True,
    }


@pytest.mark.parametrize(
    ("searched", "path"),
    [
        ({"model.tied": "True | False", "model.embed": "100 | 200 when tied=False"}, "model.embed"),
        ({"optimizer": "SGD | Momentum", "optimizer.Momentum.momentum": "0.5 to 0.9"}, "optimizer.momentum"),
    ],
)
def test_a_parameter_that_some_trials_lack_is_marked(searched, path):
    """MLflow leaves a run without a value out of parallel coordinates."""
    assert joint_paths(searched)[path] is False
