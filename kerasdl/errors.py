"""What can go wrong because of what the user typed or has on disk, said in one line.

A `UserError` is shown without a traceback: its message names the key or file, what was expected, what came and what
to do next. Anything else that escapes is a defect of the program and keeps its traceback.
"""


class UserError(Exception):
    """A mistake or a missing thing that the user can mend; shown as one line, exit code `exit_code`."""

    exit_code = 1


class ConfigError(UserError):
    """A configuration that is refused before anything is done."""

    exit_code = 2


class DataError(UserError):
    """Data that is absent, unreadable or doesn't fit the network."""


class TrackingError(UserError):
    """An output directory or a tracking server that can't be used."""


class ResumeError(UserError):
    """A run that can't be continued: unknown, in use, or not of this configuration."""


class TrainingError(UserError):
    """Training that can't go on, e.g. because the loss is no longer finite."""
