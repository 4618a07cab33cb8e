"""Errors of the operating system in our own words."""

from pathlib import Path

import typer


def reason_of(error: OSError) -> str:
    """Why a file cannot be read or written."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, IsADirectoryError):
        return "it is a folder; give a file"
    return (error.strerror or "it cannot be read").lower()


def check_file_to_write(option: str, path: Path | None) -> None:
    """Before the work begins: a folder for the file exists. Raises typer.BadParameter."""
    if path is None:
        return
    if path.is_dir():
        raise typer.BadParameter(f"{option} {path}: it is a folder; give a file")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"{option} {path}: there is no folder {path.parent}")


def not_written(option: str, path: Path, error: OSError) -> typer.BadParameter:
    """The refusal of a file that could not be written."""
    why = (error.strerror or "no reason is known").lower()
    return typer.BadParameter(f"{option} {path}: it cannot be written: {why}")
