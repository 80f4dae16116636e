"""What a client is told where it gets no result."""

from collections.abc import Mapping
from typing import Any


class RefusedError(Exception):
    """An answer that is an error.

    Attributes:
        status: The HTTP status.
        code: What it is about, for programs: ``too-large``, ``busy`` and so on.
        message: What was given, what was expected, what to do; nothing about the machine.
        headers: Further headers of the answer.
    """

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})

    def body(self, path: str) -> dict[str, Any]:
        """The body of the answer at a path: clients of the Open Inference Protocol read errors as texts."""
        if path.startswith("/v2"):
            return {"error": self.message}
        return {"error": {"code": self.code, "message": self.message}}


def bad_value(message: str) -> RefusedError:
    """A value that cannot be used."""
    return RefusedError(422, "bad-value", message)
