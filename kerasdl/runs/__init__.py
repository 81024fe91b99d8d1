"""Runs on this machine: a folder for each, with what it takes to continue it and to send what MLflow hasn't got yet."""

from kerasdl.runs.folder import Record, RunFolder, find, folders

__all__ = ["Record", "RunFolder", "find", "folders"]
