"""Runs on this machine: a folder for each, with what it takes to continue it and to send what MLflow hasn't got yet."""

from kerasdl.runs.choice import choose, named, with_saved_configuration
from kerasdl.runs.folder import FINISHED, Record, RunFolder, find, folder_named, folders, sweep_folders

__all__ = [
    "FINISHED",
    "Record",
    "RunFolder",
    "choose",
    "find",
    "folder_named",
    "folders",
    "named",
    "sweep_folders",
    "with_saved_configuration",
]
