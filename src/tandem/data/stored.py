"""Image files that do not lie on the disk by themselves, such as members of archives."""

from abc import ABC, abstractmethod


class StoredFile(ABC):
    """An image file whose bytes are got in another way than by a path; its text names it."""

    __slots__ = ()

    @abstractmethod
    def read_bytes(self) -> bytes:
        """The whole content.

        Raises:
            DataError: It is not to be had.
        """
