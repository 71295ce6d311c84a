"""Files that commands read and write: tables of results, and refusals in one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")


@contextmanager
def written(target: Path) -> Iterator[None]:
    """Writing ``target``: what the system refuses is one sentence."""
    from wireloom.base import InvalidValue

    try:
        yield
    except OSError as error:
        raise InvalidValue(f"{target} cannot be written: {error.strerror}") from None


def read_tables(paths: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Tables by name: that of the file or folder without its ending, made unique.

    Raises:
        InvalidValue: for a file that is missing or no table, or a folder that is no study.
    """
    found: dict[str, pd.DataFrame] = {}
    for path in map(Path, paths):
        table = _of_study(path) if path.is_dir() else _of_file(path)
        stem = path.resolve().name if path.is_dir() else path.name[: -len(_ending(path))]
        name, taken, number = stem, {known.casefold() for known in found}, 2
        while name.casefold() in taken:
            name, number = f"{stem}-{number}", number + 1
        found[name] = table
    return found


def _ending(path: Path) -> str:
    """The known ending of a file's name; nothing if it has none."""
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")


def _of_file(path: Path) -> pd.DataFrame:
    import zlib

    import pandas as pd

    from wireloom.base import InvalidValue

    ending = _ending(path)
    try:
        if not path.exists():
            raise InvalidValue(f"{path} does not exist")
        if not ending:
            raise InvalidValue(
                f"{path} must be a table, {', '.join(SUFFIXES)}, or the folder of a study"
            )
        if ending == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path, sep="\t" if ending.startswith(".tsv") else ",")
    except InvalidValue:
        raise
    except OSError as error:
        raise InvalidValue(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, NotImplementedError, zlib.error) as error:  # for bad bytes
        raise InvalidValue(f"{path} is not a table: {_first_line(error)}") from None


def _of_study(path: Path) -> pd.DataFrame:
    """The finished runs of a study with their learning curves."""
    from wireloom.base import InvalidValue

    if not (path / "study.json").is_file():
        raise InvalidValue(f"{path} is not a study: it has no study.json")
    from wireloom.study import Study
    from wireloom.study.report import with_curves

    study = Study.open(path)
    try:
        return with_curves(study)
    finally:
        study.close()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
