"""A program on a host that stays, and answers each question with a line: Python and its imports are started once."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.cluster.hosts import Host

LOOP = """
import json, sys
{program}
for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
"""
ATTEMPTS = 2  # the program has ended where its host was restarted


@dataclass
class Reader:
    """A Python program that defines `answer`, a function of one JSON value.

    Args:
        host: The host.
        program: The program.
        environment: Environment variables that the host does not have.
    """

    host: Host
    program: str
    environment: Mapping[str, str]
    _process: subprocess.Popen[str] | None = None

    def ask(self, question: Any) -> Any:
        """Return what the program answers; start it where it does not run."""
        for _ in range(ATTEMPTS):
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(question) + "\n")
                process.stdin.flush()
            if line := process.stdout.readline():
                return json.loads(line)
            self.close()
        raise AssertionError(f"{question} has no answer on {self.host.name}: {self._log.read_text()[-2000:]}")

    def close(self) -> None:
        """End the program."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate()
            self._process = None

    @property
    def _log(self) -> Any:
        return self.host.folder / "reader.log"

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            command = self.host.command_line(["python", "-c", LOOP.format(program=self.program)], **self.environment)
            with self._log.open("w") as log:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
                )
        return self._process
