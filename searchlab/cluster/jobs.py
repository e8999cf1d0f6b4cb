"""Ray Jobs: verbs of the command line that run on a cluster's head, for whoever reaches it by HTTP alone."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from searchlab.errors import UserMistake, WorldFault

HOME = '"${SEARCHLAB_HOME:-$HOME/.searchlab}"'  # the head's own: a job's folder is gone when it ends
BEGUN = "Running entrypoint for job"  # begins the line after which a job's log is what it said itself
CODE = re.compile(r"exit code (\d+)")
OVER = "searchlab ended with "  # begins the line that tells a verb's exit code: Ray takes seconds to tell it
ENVIRONMENT = {  # at SIGTERM a sweep saves what it is at; Ray would kill it after 3 s
    "RAY_JOB_STOP_WAIT_TIME_S": "60",
    "PYTHONUNBUFFERED": "1",
}

REFUSING = 15.0  # seconds in which a driver that will refuse what it was told has said so
ENDING = 0.1  # seconds between two looks at whether a job that says no more has ended

Answer = TypeVar("Answer")


MISTAKE = "searchlab: "  # begins the sentence that a verb ends with when it could not


class Ended(Exception):
    """A verb ended on the cluster with another exit code than 0; what it said is told already."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code

    def because(self, sentence: str | None) -> UserMistake | WorldFault:
        """What it was, for whoever asked: a mistake of theirs or a fault of the world, in the head's own sentence."""
        told = (sentence or f"the cluster's head ended it with exit code {self.code}").removeprefix(MISTAKE)
        return UserMistake(told) if self.code == UserMistake.exit_code else WorldFault(told)


@dataclass(frozen=True)
class Job:
    """A job of the cluster: what it was sent for, and how it stands in Ray's words."""

    id: str
    status: str
    message: str
    metadata: Mapping[str, str]
    started: float  # seconds since 1970


class Jobs:
    """The jobs of the cluster at this address. Raises WorldFault where none answers or it refuses the token."""

    def __init__(self, address: str) -> None:
        from ray.job_submission import JobSubmissionClient  # 0.4 s, which help and local verbs need not pay

        self.address = address
        self._client: Any = self._asked(lambda: JobSubmissionClient(address))
        for talkative in ("job.sdk", "dashboard_sdk"):  # they tell of every connection and package
            logging.getLogger(f"ray.dashboard.modules.{talkative}").setLevel(logging.WARNING)

    def begin(
        self,
        words: Sequence[str],
        *,
        id: str | None = None,
        package: Path | None = None,
        sweep: str = "",
        folder: str = "",
    ) -> str:
        """Run `searchlab` with these words on the head, in the unpacked `package` or a `folder` of its home; its id.

        Raises UserMistake when there is a job of this id.
        """
        command = _command(words)
        if folder:
            command = f"cd {HOME}/{shlex.quote(folder)} && {command}"
        environment: dict[str, Any] = {"env_vars": ENVIRONMENT} | ({"working_dir": str(package)} if package else {})
        return self._begin(command, environment, {"searchlab.sweep": sweep, "searchlab.verb": words[0]}, id)

    def lines(self, words: Sequence[str]) -> Iterator[str]:
        """Run `searchlab` with these words on the head, and give what it prints, line by line, until it ends.

        Raises Ended where its exit code is not 0. Whoever stops listening ends it.
        """
        command, about = f"{_command(words)}; code=$?; echo {OVER}$code; exit $code", {"searchlab.verb": words[0]}
        id, code = self._begin(command, {"env_vars": ENVIRONMENT}, about), -1
        try:
            for line in self._said(id):
                if line.startswith(OVER):
                    code = int(line.removeprefix(OVER))
                    break
                yield line
            else:  # it was killed
                found = CODE.search(self.job(id).message)
                code = int(found[1]) if found else 1
        finally:
            if code < 0:
                self.end(id)
        if code:
            raise Ended(code)

    def objects(self, words: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The JSON objects that the verb prints; raises UserMistake or WorldFault with its own sentence."""
        said: str | None = None
        try:
            for line in self.lines([*words, "--json"]):
                found = parsed(line)
                said = line if found is None else found.get("error", said)
                if found is not None:
                    yield found
        except Ended as ended:
            raise ended.because(said) from ended

    def job(self, id: str) -> Job:
        """One job, as soon as it has ended; what it says may be read a moment before."""
        while True:
            found = _job(self._asked(lambda: self._client.get_job_info(id)))
            if found.status not in ("PENDING", "RUNNING"):
                return found
            time.sleep(ENDING)

    def state(self, id: str) -> str:
        """How a job stands, in Ray's words."""
        return _job(self._asked(lambda: self._client.get_job_info(id))).status

    def refuse_refused(self, id: str) -> None:
        """Raises UserMistake or WorldFault with the job's own sentence if it ends before it has said anything else."""
        deadline = time.monotonic() + REFUSING
        while time.monotonic() < deadline:
            said, state = self.said(id), self.state(id)
            if state == "FAILED":
                code = CODE.search(self.job(id).message)
                raise Ended(int(code[1]) if code else 1).because(said[-1] if said else None)
            if said or state == "SUCCEEDED":
                return
            time.sleep(ENDING)

    def forget(self, id: str) -> None:
        """The cluster knows nothing any more of a job that has ended."""
        self._asked(lambda: self._client.delete_job(id))

    def end(self, id: str) -> None:
        """End a job as its driver's SIGTERM would."""
        self._asked(lambda: self._client.stop_job(id))

    def all(self) -> list[Job]:
        """Every job of searchlab that the cluster knows, the oldest first; a head that was restarted knows none."""
        found = [_job(one) for one in self._asked(lambda: self._client.list_jobs())]
        return sorted((job for job in found if "searchlab.sweep" in job.metadata), key=lambda job: job.started)

    def said(self, id: str) -> list[str]:
        """What a job has printed so far."""
        lines = str(self._asked(lambda: self._client.get_job_logs(id))).splitlines()
        begun = next((at for at, line in enumerate(lines) if line.startswith(BEGUN)), len(lines))
        return lines[begun + 1 :]

    def _begin(self, command: str, environment: dict[str, Any], metadata: dict[str, str], id: str | None = None) -> str:
        given = {"entrypoint": command, "submission_id": id, "runtime_env": environment, "metadata": metadata}
        return str(self._asked(lambda: self._client.submit_job(**given)))

    def _said(self, id: str) -> Iterator[str]:
        """What a job prints, line by line, from where it begins."""
        loop, rest, begun = asyncio.new_event_loop(), "", False
        tail = self._client.tail_job_logs(id)
        try:
            while (chunk := self._asked(lambda: loop.run_until_complete(anext(tail, None)))) is not None:
                *lines, rest = (rest + chunk).split("\n")
                for line in lines:
                    if begun:
                        yield line
                    begun = begun or line.startswith(BEGUN)
            if rest and begun:
                yield rest
        finally:
            loop.run_until_complete(_hang_up(tail))
            loop.close()

    def _asked(self, ask: Callable[[], Answer]) -> Answer:
        """The cluster's answer; what it cannot do is one sentence."""
        from ray.exceptions import AuthenticationError

        try:
            return ask()
        except AuthenticationError as error:
            raise WorldFault(
                f"the cluster at {self.address} asks for a token and was given none that it knows; set "
                "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, as its .env has them."
            ) from error
        except (OSError, RuntimeError) as error:  # requests' and aiohttp's are OSErrors
            told = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            if "already exists" in str(error):
                raise UserMistake(f"the cluster at {self.address} has such a job already.") from error
            raise WorldFault(f"the cluster at {self.address} does not answer as it should ({told}).") from error


async def _hang_up(tail: Any) -> None:
    """Listen no more, also where Ctrl-C came while the next lines were waited for."""
    waiting = asyncio.all_tasks() - {asyncio.current_task()}
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await tail.aclose()


def parsed(line: str) -> dict[str, Any] | None:
    """The JSON object that a line holds; None for a line for people."""
    if not line.startswith("{"):
        return None
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found


def _command(words: Sequence[str]) -> str:
    return f"searchlab {shlex.join(words)} --home {HOME}"


def _job(details: Any) -> Job:
    id, started, metadata = details.submission_id or details.job_id, details.start_time or 0, details.metadata or {}
    return Job(id, str(details.status.value), details.message or "", dict(metadata), started / 1000.0)
