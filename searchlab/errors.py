"""The ways a run can end early: a mistake of the user, a fault of the world around it, or because it was told to."""


class UserMistake(ValueError):
    """What was asked for cannot be done; the message says in one sentence what was given and what would do."""

    exit_code = 2


class WorldFault(RuntimeError):
    """Something outside failed (disk, port, server); the message says what was kept and how to go on."""

    exit_code = 1


class Interrupted(RuntimeError):
    """Whoever started it stopped it; the message says what was kept and how to go on."""

    exit_code = 130
