"""The benchmark of the service counts what clients get: from a real service, and from answers that are known."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")

from benchmarks.serving.clients import Answers, ask
from benchmarks.serving.servers import Server
from serving_client import application, pixels, png, serving


def test_answers_of_a_service(make_bundle: Callable[..., Path]) -> None:
    with serving(application({"shoes": make_bundle("shoes")}, max_batch=1)) as address:
        server = Server("tandem serve", urlsplit(address).port or 0, 1)
        answers = ask(server, [png(pixels(0)), png(pixels(1))], clients=4, requests=20)
        broken = ask(server, [b"no image"], clients=2, requests=4)
    gone = ask(server, [png(pixels(0))], clients=1, requests=2)
    assert (len(answers.seconds), answers.failed, answers.differing) == (20, 0, 0)
    assert [counts.total() for _, counts in sorted(answers.pictures.items())] == [10, 10]
    assert max(answers.seconds) >= answers.p95 > 0
    assert answers.per_second == pytest.approx(20 / answers.wall)
    assert (broken.failed, gone.failed) == (4, 2)


def test_figures_of_known_answers() -> None:
    answers = Answers([float(second) for second in range(101)], 10.0, 0, {0: Counter(a=7, b=1), 1: Counter(c=2)})
    assert (answers.p95, answers.per_second, answers.differing) == (95.0, 10.1, 1)
