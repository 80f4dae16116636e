"""What is accepted of a server, and how patiently, as data."""

from dataclasses import dataclass

WEB = frozenset({"http", "https"})


@dataclass(frozen=True, kw_only=True)
class FetchPolicy:
    """The rules of one kind of file.

    Whether a partial file is continued follows from what is known: if the server confirms that its file is still the
    same, or if the SHA-256 will show it. No redirect leads from https to http or away from the web.

    Attributes:
        schemes: Kinds of URLs that are asked for, None for all that fsspec knows.
        max_bytes: The largest file.
        stall_seconds: The longest silence; less than 1 KiB in this time counts as one.
        max_seconds: The most that a call takes, with all its tries and waits for other processes.
        max_tries: Tries in a row that bring nothing.
        backoff_seconds: Pause before the second try; it doubles with each further one, up to a minute.
        max_redirects: How many are followed.
        retry_unreachable: A server that is not known, or refuses connections, is tried again.
        refuse_pages: A web page is not the file; it comes from a server or network that wants something.
        credentials: A name and a password in the URL are sent to its server (and to no other).
        space_limit: Bytes that may be used on the disk, if that is less than what is free.
    """

    schemes: frozenset[str] | None = WEB
    max_bytes: int
    stall_seconds: float = 30.0
    max_seconds: float = 7 * 86_400.0
    max_tries: int = 4
    backoff_seconds: float = 1.0
    max_redirects: int = 5
    retry_unreachable: bool = False
    refuse_pages: bool = False
    credentials: bool = False
    space_limit: int | None = None
