"""The ways a run can end early: a mistake of the user, a fault outside of searchlab, a request to stop, or no trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from searchlab.results.result import Result


class UserMistake(ValueError):
    """A request that cannot be carried out; the message says in one sentence what was given and what would do.

    Attributes:
        exit_code: Exit code of the command line, 2.

    Example:
        >>> from searchlab import KFold
        >>> from searchlab.errors import UserMistake
        >>> try:
        ...     KFold(1)
        ... except UserMistake as error:
        ...     print(error.exit_code)
        2
    """

    exit_code = 2


class WorldFault(RuntimeError):
    """A failure outside of searchlab (disk, port, server); the message says what was kept and how to continue.

    Attributes:
        exit_code: Exit code of the command line, 1.
    """

    exit_code = 1


class Interrupted(RuntimeError):
    """A run that was stopped on request; the message says what was kept and how to continue.

    Attributes:
        exit_code: Exit code of the command line, 130.
    """

    exit_code = 130


class SearchFailed(RuntimeError):
    """A search in which no trial could be trained, so that there is no winner; the message gives the reasons.

    Attributes:
        exit_code: Exit code of the command line, 1.
        result: The result, with every trial.

    Example:
        >>> import searchlab
        >>> try:
        ...     raise searchlab.SearchFailed("all 6 trials failed")
        ... except searchlab.SearchFailed as error:
        ...     print(error, error.exit_code)
        all 6 trials failed 1
    """

    exit_code = 1

    def __init__(self, message: str, result: Result | None = None) -> None:
        super().__init__(message)
        self.result = result


def unreadable(error: BaseException, sentence: str) -> UserMistake | WorldFault:
    """Return the error for a file that cannot be read: a fault outside where the system says so, else a mistake.

    An OSError has an error number when it is the system's; without one, and of any other class, it is of the content.
    """
    of_system = isinstance(error, OSError) and error.errno is not None
    return WorldFault(sentence) if of_system else UserMistake(sentence)
