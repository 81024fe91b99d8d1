"""Errors that are caused by what the user typed or has on disk, each reported in one line.

A `UserError` is shown without a traceback: its message names the key or file, what was expected, what came and what
to do next. Any other exception is a defect of the program and keeps its traceback.
"""


class UserError(Exception):
    """A mistake that the user can correct; shown as one line, exit code `exit_code`."""

    exit_code = 1


class ConfigError(UserError):
    """A configuration that is refused before anything is done."""

    exit_code = 2


class DataError(UserError):
    """Data that is absent, unreadable or doesn't fit the network."""


class TrackingError(UserError):
    """An output directory or a tracking server that can't be used."""


class ResumeError(UserError):
    """A run that can't be resumed: unknown, in use, or of another configuration."""


class TrainingError(UserError):
    """Training that can't continue, e.g. because the loss isn't finite."""
