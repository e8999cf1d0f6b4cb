"""`searchlab` without the figures of a sweep, which take longer than a small sweep, as a program for tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROGRAM = (sys.executable, str(Path(__file__)))  # in the place of `python -m searchlab.cli`
REPLACED = {"record_trial_end": lambda *_: None, "begin": lambda *_: None, "finish": lambda *_: ()}  # of RunFigures


def main() -> None:
    """Run the command line as `python -m searchlab.cli` does; `run` and `resume` draw nothing."""
    from searchlab.cli import main as searchlab
    from searchlab.environment import worker_environment

    if sys.argv[1:2] in (["run"], ["resume"]):
        for name, value in worker_environment().items():
            os.environ.setdefault(name, value)  # as the command line does, before anything imports NumPy
        from searchlab.runner.run_figures import RunFigures

        for name, replacement in REPLACED.items():
            getattr(RunFigures, name)  # fails where the class has no such method
            setattr(RunFigures, name, replacement)
    searchlab()


if __name__ == "__main__":
    sys.path[0] = os.getcwd()  # as with `python -m`, and not the folder of this file
    main()
