"""Runs on this machine: a folder for each, from which it can be resumed, and its unsent results sent to MLflow."""

from kerasdl.runs.choice import (
    changed_sources,
    changes,
    check_sources,
    choose,
    named,
    unknown_sources,
    with_saved_configuration,
)
from kerasdl.runs.folder import FINISHED, Record, RunFolder, find, folder_named, folders, sweep_folders

__all__ = [
    "FINISHED",
    "Record",
    "RunFolder",
    "changed_sources",
    "changes",
    "check_sources",
    "choose",
    "find",
    "folder_named",
    "folders",
    "named",
    "sweep_folders",
    "unknown_sources",
    "with_saved_configuration",
]
