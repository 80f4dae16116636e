"""Clients on the loopback: one connection each, one request after the other."""

import hashlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.serving.servers import Server

_BOUNDARY = "-" * 20 + "tandem"
TIMEOUT_SECONDS = 120


@dataclass
class Answers:
    """What clients got.

    Attributes:
        seconds: Of every answer.
        wall: From the first request to the last answer.
        failed: Answers that were no pictures, and connections that broke.
        pictures: How often which picture came, by the number of the request's input.
    """

    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    failed: int = 0
    pictures: dict[int, Counter[str]] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return len(self.seconds) / self.wall

    @property
    def differing(self) -> int:
        """Answers that are not byte for byte what most answers to the same request are."""
        return sum(counts.total() - max(counts.values()) for counts in self.pictures.values())

    @property
    def p95(self) -> float:
        """The seconds that 95 of 100 answers took at most."""
        ordered = sorted(self.seconds)
        return ordered[int(0.95 * (len(ordered) - 1))]


def form(image: bytes, seed: int) -> tuple[bytes, Mapping[str, str]]:
    """The body of a request, and its headers."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    tail = f'\r\n--{_BOUNDARY}\r\nContent-Disposition: form-data; name="seed"\r\n\r\n{seed}\r\n--{_BOUNDARY}--\r\n'
    kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    return head.encode() + image + tail.encode(), kind


def ask(server: Server, images: Sequence[bytes], *, clients: int, requests: int) -> Answers:
    """Send so many requests from so many clients; the seed of a request is the number of its image."""
    answers, lock, left = Answers(), threading.Lock(), iter(range(requests))

    def work() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
        while True:
            with lock:
                number = next(left, None)
            if number is None:
                return
            index = number % len(images)
            body, headers = form(images[index], index)
            began = time.perf_counter()
            try:
                connection.request("POST", "/v1/translate?num_samples=1", body, headers)
                answer = connection.getresponse()
                data = answer.read()
                is_right = answer.status == 200 and data.startswith(b"\x89PNG")
            except (OSError, http.client.HTTPException):
                connection.close()
                is_right, data = False, b""
            seconds = time.perf_counter() - began
            with lock:
                answers.failed += not is_right
                answers.seconds.append(seconds)
                answers.pictures.setdefault(index, Counter())[hashlib.sha256(data).hexdigest()] += 1

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.wall = time.perf_counter() - began
    return answers
