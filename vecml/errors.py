"""Every error that vecml raises on purpose: one line that names the offending value, and a hint what to do next.

    VecmlError
    ├── SettingError         a flag, a configuration value or a combination of them that cannot be
    │   ├── EngineUnavailableError    an engine that cannot run this model or setting here, with the reason
    │   └── DeviceUnavailableError    a device that this machine does not have
    ├── DataError            a file, a column or a label that cannot be used
    ├── TrainingError        training that does not lead anywhere
    ├── ModelError           a saved model that is damaged, altered or of another version
    ├── MeasureError         a measurement that cannot be made, or whose record is damaged or of another version
    ├── RegressionError      a setting that became slower than its history, confirmed by fresh launches (exit code 1)
    ├── StoreError           the place where runs are kept cannot be read or written
    ├── ScratchError         the folder for temporary files (TMPDIR) cannot be written
    └── ServerError          a server that vecml started, or was told to use, does not answer

The command line prints `error: MESSAGE`, `hint: HINT` and ends with `exit_code`; `--debug` shows the traceback.
"""

from pathlib import Path


class VecmlError(Exception):
    """Base of them all.

    Attributes:
        message: one line, naming the value that is wrong.
        hint: what to do next, or None when the message already says it.
        exit_code: what the command line ends with (2: wrong use or bad input).
    """

    exit_code = 2

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type["VecmlError"], tuple[str, str | None]]:
        return type(self), (self.message, self.hint)


class SettingError(VecmlError):
    """A flag, a configuration value or a combination of them that cannot be."""


class EngineUnavailableError(SettingError):
    """An engine that cannot run this model or setting on this machine."""


class DeviceUnavailableError(SettingError):
    """A device that this machine does not have."""


class DataError(VecmlError):
    """A file, a column or a label that cannot be used."""


class TrainingError(VecmlError):
    """Training that does not lead anywhere: a loss or a weight that is no finite number."""


class ModelError(VecmlError):
    """A saved model that is damaged, was altered, or has another format version."""


class MeasureError(VecmlError):
    """A measurement that cannot be made, or a record of one that is damaged or has another schema version."""


class RegressionError(VecmlError):
    """A setting that became slower than its history, confirmed by fresh launches; a check that was asked for."""

    exit_code = 1


class StoreError(VecmlError):
    """The place where runs are kept cannot be read or written.

    Attributes:
        kept: the folder that keeps a result which could not be logged, or None.
    """

    kept: Path | None = None


class ScratchError(VecmlError):
    """The folder for temporary files, which TMPDIR names, cannot be written."""


class ServerError(VecmlError):
    """A server that vecml started, or was told to use, does not answer."""


def interrupted(error: BaseException) -> bool:
    """Whether `error` is an interrupt or a termination, or one that a library has wrapped in an error of its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt | SystemExit):
            return True
        seen = seen.__cause__ or seen.__context__
    return "KeyboardInterrupt" in str(error) or "SystemExit" in str(error)


def one_line(error: BaseException, *, named: bool = False, whole: bool = False, limit: int | None = 200) -> str:
    """Write an error's message as one line; an error without a message is written as the name of its type.

    Args:
        error: what was raised.
        named: whether the name of its type comes first (`KeyError: 'z'`).
        whole: whether all lines of the message are joined; by default only the first is taken, because libraries put
            their traces on the others.
        limit: how many characters there may be, or None for all of them.
    """
    message = str(error).strip()
    text = " ".join(message.split()) if whole else message.partition("\n")[0].rstrip()
    name = type(error).__name__
    return (f"{name}: {text}" if text and named else text or name)[:limit]
