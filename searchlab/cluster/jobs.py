"""Ray jobs: commands of searchlab that run on the head of a cluster, for users who reach it by HTTP alone."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from searchlab.cluster.reachable import require_web_server
from searchlab.errors import UserMistake, WorldFault

HEAD_HOME = '"${SEARCHLAB_HOME:-$HOME/.searchlab}"'  # a job's own folder is deleted when the job ends
ENTRYPOINT_LINE = "Running entrypoint for job"  # how the line begins after which the log holds the job's own output
EXIT_CODE = re.compile(r"exit code (\d+)")
EXIT_CODE_PREFIX = "searchlab ended with "  # of a line that we print: Ray takes seconds to report an exit code
ERROR_PREFIX = "searchlab: "  # of the sentence in which a command says why it failed
JOB_ENVIRONMENT = {
    "RAY_JOB_STOP_WAIT_TIME_S": "60",  # at SIGTERM a search saves its groups; Ray would kill it after 3 s
    "PYTHONUNBUFFERED": "1",
}
ACTIVE = ("PENDING", "RUNNING")  # Ray's words for a job that has not ended
START_TIMEOUT = 15.0  # seconds within which a command rejects its arguments
POLL_INTERVAL = 0.1  # seconds between two requests for a job's status

T = TypeVar("T")


class JobFailed(Exception):
    """A command that ended on the cluster with an exit code other than 0.

    Attributes:
        code: Its exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code

    def as_error(self, sentence: str | None) -> UserMistake | WorldFault:
        """Return the error to raise here, with the sentence that the command printed, if any."""
        text = (sentence or f"the command ended with exit code {self.code} on the cluster").removeprefix(ERROR_PREFIX)
        return UserMistake(text) if self.code == UserMistake.exit_code else WorldFault(text)


@dataclass(frozen=True)
class RayJob:
    """A job of the cluster.

    Attributes:
        id: Its submission id.
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        message: What Ray says about the status.
        metadata: `searchlab.verb`, and `searchlab.sweep` with the name of the sweep that it runs.
        started: When it started, in seconds since 1970; 0 before.
    """

    id: str
    status: str
    message: str
    metadata: Mapping[str, str]
    started: float


class JobClient:
    """A client for the jobs of the cluster at an address.

    Args:
        address: Where the cluster takes jobs, such as http://HEAD:8265.

    Raises:
        WorldFault: In every method, when no cluster answers or it refuses the token.
    """

    def __init__(self, address: str) -> None:
        from ray.job_submission import JobSubmissionClient  # here alone: 0.4 s that commands on this machine save

        self.address = address
        require_web_server(address)
        self._client: Any = self._call(lambda: JobSubmissionClient(address))
        for name in ("job.sdk", "dashboard_sdk"):  # they log every connection and package
            logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.WARNING)

    def submit(
        self,
        arguments: Sequence[str],
        *,
        id: str | None = None,
        package: Path | None = None,
        sweep: str = "",
        folder: str = "",
    ) -> str:
        """Run `searchlab` with these arguments on the head, and return the job's id at once.

        Args:
            arguments: Of the command line, the verb first.
            id: Submission id of the job; default: Ray chooses one.
            package: A zip file, which is unpacked to the folder that the command runs in.
            sweep: Name of the sweep that the command runs, for `list_jobs`.
            folder: A folder of the head's workspace to run in instead.

        Raises:
            UserMistake: When the cluster has a job with this id.
        """
        command = _command(arguments)
        if folder:
            command = f"cd {HEAD_HOME}/{shlex.quote(folder)} && {command}"
        environment: dict[str, Any] = {"env_vars": JOB_ENVIRONMENT} | ({"working_dir": str(package)} if package else {})
        return self._submit(command, environment, {"searchlab.sweep": sweep, "searchlab.verb": arguments[0]}, id)

    def output_lines(self, arguments: Sequence[str]) -> Iterator[str]:
        """Run `searchlab` with these arguments on the head, and yield the lines that it prints until it ends.

        When the iterator is closed early, the job is stopped.

        Raises:
            JobFailed: When the exit code is not 0.
        """
        command = f"{_command(arguments)}; code=$?; echo {EXIT_CODE_PREFIX}$code; exit $code"
        id, code = self._submit(command, {"env_vars": JOB_ENVIRONMENT}, {"searchlab.verb": arguments[0]}), -1
        try:
            for line in self._follow_log(id):
                if line.startswith(EXIT_CODE_PREFIX):
                    code = int(line.removeprefix(EXIT_CODE_PREFIX))
                    break
                yield line
            else:  # it was killed
                code = _exit_code(self.wait(id))
        finally:
            if code < 0:
                self.stop(id)
        if code:
            raise JobFailed(code)

    def json_objects(self, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Run `searchlab` with these arguments and --json on the head, and yield the JSON objects that it prints.

        Raises:
            UserMistake, WorldFault: With the command's own sentence, when it fails.
        """
        sentence: str | None = None
        try:
            for line in self.output_lines([*arguments, "--json"]):
                found = parse_json_line(line)
                sentence = line if found is None else found.get("error", sentence)
                if found is not None:
                    yield found
        except JobFailed as failure:
            raise failure.as_error(sentence) from failure

    def wait(self, id: str) -> RayJob:
        """Wait until a job has ended, and return it; Ray reports that a moment after the last line of its output."""
        attempts = Retrying(retry=retry_if_result(lambda job: job.status in ACTIVE), wait=wait_fixed(POLL_INTERVAL))
        return attempts(self._info, id)

    def status(self, id: str) -> str:
        """Return the status of a job, in Ray's words."""
        return self._info(id).status

    def validate_started(self, id: str) -> None:
        """Wait until a job has printed a line; raise UserMistake or WorldFault if it fails, with its own sentence."""
        attempts = Retrying(
            retry=retry_if_result(lambda progress: not progress[0] and progress[1] in ACTIVE),
            wait=wait_fixed(POLL_INTERVAL),
            stop=stop_after_delay(START_TIMEOUT),
        )
        try:
            lines, status = attempts(lambda: (self.log_lines(id), self.status(id)))
        except RetryError:
            return  # it has neither printed a line nor ended: it is being started
        if status == "FAILED":
            raise JobFailed(_exit_code(self._info(id))).as_error(lines[-1] if lines else None)

    def delete(self, id: str) -> None:
        """Delete the record of a job that has ended."""
        self._call(lambda: self._client.delete_job(id))

    def stop(self, id: str) -> None:
        """Send SIGTERM to the driver of a job, and SIGKILL after 60 seconds."""
        self._call(lambda: self._client.stop_job(id))

    def list_jobs(self) -> list[RayJob]:
        """Return every job of searchlab, the oldest first; a head that was restarted has none."""
        jobs = [_ray_job(details) for details in self._call(lambda: self._client.list_jobs())]
        return sorted((job for job in jobs if "searchlab.sweep" in job.metadata), key=lambda job: job.started)

    def log_lines(self, id: str) -> list[str]:
        """Return the lines that a job has printed so far."""
        lines = str(self._call(lambda: self._client.get_job_logs(id))).splitlines()
        start = next((row for row, line in enumerate(lines) if line.startswith(ENTRYPOINT_LINE)), len(lines))
        return lines[start + 1 :]

    def _info(self, id: str) -> RayJob:
        return _ray_job(self._call(lambda: self._client.get_job_info(id)))

    def _submit(
        self, command: str, environment: dict[str, Any], metadata: dict[str, str], id: str | None = None
    ) -> str:
        options = {"entrypoint": command, "submission_id": id, "runtime_env": environment, "metadata": metadata}
        return str(self._call(lambda: self._client.submit_job(**options)))

    def _follow_log(self, id: str) -> Iterator[str]:
        """Yield the lines that a job prints, from its first one, until it ends."""
        loop, rest, is_output = asyncio.new_event_loop(), "", False
        chunks = self._client.tail_job_logs(id)
        try:
            while (chunk := self._call(lambda: loop.run_until_complete(anext(chunks, None)))) is not None:
                *lines, rest = (rest + chunk).split("\n")
                for line in lines:
                    if is_output:
                        yield line
                    is_output = is_output or line.startswith(ENTRYPOINT_LINE)
            if rest and is_output:
                yield rest
        finally:
            loop.run_until_complete(_close_stream(chunks))
            loop.close()

    def _call(self, request: Callable[[], T]) -> T:
        """Return the cluster's response; raise one sentence for what it refuses."""
        from ray.exceptions import AuthenticationError

        try:
            return request()
        except AuthenticationError as error:
            raise WorldFault(
                f"the cluster at {self.address} needs a token and got none that it accepts; set RAY_AUTH_MODE=token "
                "and RAY_AUTH_TOKEN to the values in its .env."
            ) from error
        except (OSError, RuntimeError) as error:  # the exceptions of requests and aiohttp are OSErrors
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            if "already exists" in str(error):
                raise UserMistake(f"the cluster at {self.address} already has a job with this id.") from error
            raise WorldFault(f"the cluster at {self.address} does not answer as it should ({reason}).") from error


async def _close_stream(chunks: Any) -> None:
    """Close a stream of log chunks, also when Ctrl-C came while the next chunk was awaited."""
    pending = asyncio.all_tasks() - {asyncio.current_task()}
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    await chunks.aclose()


def parse_json_line(line: str) -> dict[str, Any] | None:
    """Return the JSON object that a line holds; None for a line for people."""
    if not line.startswith("{"):
        return None
    try:
        found: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return found


def _command(arguments: Sequence[str]) -> str:
    return f"searchlab {shlex.join(arguments)} --home {HEAD_HOME}"


def _exit_code(job: RayJob) -> int:
    """Return the exit code that Ray reports for a job that has ended; 1 where it reports none."""
    found = EXIT_CODE.search(job.message)
    return int(found[1]) if found else 1


def _ray_job(details: Any) -> RayJob:
    id, started, metadata = details.submission_id or details.job_id, details.start_time or 0, details.metadata or {}
    return RayJob(id, str(details.status.value), details.message or "", dict(metadata), started / 1000.0)
