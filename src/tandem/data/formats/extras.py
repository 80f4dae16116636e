"""Packages that are not always there."""

from importlib import import_module
from typing import Any

from tandem.errors import MissingExtraError


def needed(package: str, extra: str, purpose: str) -> Any:
    """A package of an extra.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingExtraError(package, extra, purpose) from error
