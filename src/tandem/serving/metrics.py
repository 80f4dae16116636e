"""Counters in the text format of Prometheus (version 0.0.4), of this process alone."""

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class _Metric:
    def __init__(self, kind: str, name: str, text: str, labels: Sequence[str]) -> None:
        self.kind, self.name, self.text, self.labels = kind, name, text, tuple(labels)
        self._lock = threading.Lock()

    def lines(self) -> Iterator[str]:
        """The metric as Prometheus reads it."""
        yield f"# HELP {self.name} {self.text}"
        yield f"# TYPE {self.name} {self.kind}"
        with self._lock:
            yield from list(self._values())

    def _values(self) -> Iterator[str]:
        raise NotImplementedError

    def _labelled(self, values: Sequence[str], *more: tuple[str, str]) -> str:
        pairs = [*zip(self.labels, values, strict=True), *more]
        inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
        return f"{{{inner}}}" if inner else ""


class Value(_Metric):
    """A counter or a gauge, by the values of its labels."""

    def __init__(self, kind: str, name: str, text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(kind, name, text, labels)
        self._numbers: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def add(self, amount: float, *labels: str) -> None:
        """Count."""
        with self._lock:
            self._numbers[labels] = self._numbers.get(labels, 0) + amount

    def set(self, number: float, *labels: str) -> None:
        """Say how it is now."""
        with self._lock:
            self._numbers[labels] = number

    def _values(self) -> Iterator[str]:
        for labels, number in sorted(self._numbers.items()):
            yield f"{self.name}{self._labelled(labels)} {number:g}"


class Histogram(_Metric):
    """How often which values came, by the values of its labels."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        super().__init__("histogram", name, text, labels)
        self._bounds = tuple(bounds)
        self._counts: dict[tuple[str, ...], list[int]] = defaultdict(lambda: [0] * (len(self._bounds) + 1))
        self._sums: dict[tuple[str, ...], float] = defaultdict(float)

    def observe(self, value: float, *labels: str) -> None:
        """Take in a value."""
        with self._lock:
            self._counts[labels][bisect_left(self._bounds, value)] += 1
            self._sums[labels] += value

    def _values(self) -> Iterator[str]:
        for labels, counts in sorted(self._counts.items()):
            below = 0
            for bound, count in zip((*map(str, self._bounds), "+Inf"), counts, strict=True):
                below += count
                yield f"{self.name}_bucket{self._labelled(labels, ('le', bound))} {below}"
            yield f"{self.name}_sum{self._labelled(labels)} {self._sums[labels]:g}"
            yield f"{self.name}_count{self._labelled(labels)} {below}"


class Metrics:
    """All that is counted."""

    def __init__(self) -> None:
        self.requests = Value("counter", "tandem_requests_total", "Answers by route and status.", ["route", "status"])
        self.seconds = Histogram("tandem_request_seconds", "Seconds until an answer.", SECONDS, ["route"])
        self.waiting = Value("gauge", "tandem_requests_admitted", "Requests that wait or run.")
        self.refused = Value("counter", "tandem_requests_refused_total", "Requests without a result.", ["code"])
        self.samples = Value("counter", "tandem_samples_total", "Samples that were computed.", ["model"])
        self.batches = Histogram("tandem_batch_samples", "Samples that were computed at once.", SIZES)
        self.loaded = Value("gauge", "tandem_models_loaded", "Models in memory.")
        self.loads = Value("counter", "tandem_model_loads_total", "Models read from the disk.", ["model", "result"])

    def text(self) -> str:
        """All of them, as ``/metrics`` shows them."""
        metrics = [value for value in vars(self).values() if isinstance(value, _Metric)]
        return "\n".join(line for metric in metrics for line in metric.lines()) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
