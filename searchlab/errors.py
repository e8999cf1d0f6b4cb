"""The ways a run can end early: a mistake of the user, a fault outside of searchlab, or a request to stop."""


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
