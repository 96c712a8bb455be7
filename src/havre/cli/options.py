"""Options that the commands of `havre` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from havre.kernel import config as settings

F = TypeVar("F", bound=Callable[..., Any])


def data(function: F) -> F:
    option = click.option("--data", type=click.Path(path_type=Path), default=None, help="The data directory (./data).")
    return option(function)


def config(function: F) -> F:
    return click.option("--config", "file", type=click.Path(path_type=Path), default=None, help="The settings file.")(
        function
    )


def place(data: Path | None, file: Path | None = None) -> Path:
    return (data or Path(settings.load(file).data)).absolute()
