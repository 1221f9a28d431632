"""Errors that a user can cause and mend. run.py prints their message as one line and exits with status 2."""

from __future__ import annotations


class MvfstrlError(Exception):
    """Base of the errors that need no traceback: the message names what is wrong and where."""


class ConfigError(MvfstrlError):
    """A knob, or a combination of knobs, that cannot be run. The message starts with the dotted key."""


class CheckpointError(MvfstrlError):
    """A checkpoint that is missing, torn or of another spec."""


class MissingExtraError(MvfstrlError):
    """Something optional was asked for whose packages are not installed."""

    def __init__(self, key: str, extra: str, error: ImportError) -> None:
        super().__init__(f"{key}: {error.name} is not installed; pip install 'mvfst-rl[{extra}]' brings it")
