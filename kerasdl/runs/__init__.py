"""Runs on this machine: a folder for each, with what it takes to continue it and to send what MLflow hasn't got yet."""

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
