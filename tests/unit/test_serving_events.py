"""Progress as server-sent events: tiles and samples counted, one result, and nothing computed for who has left."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")

import tandem
from serving_client import application, opened, pixels, png, serving, text
from tandem.inference.streaming import streamer
from tandem.serving.limits import Limits

EVENTS = {"accept": "text/event-stream"}


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """As the standard reads them."""
    name = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)


@pytest.fixture
def address(make_bundle: Callable[..., Path]) -> Iterator[str]:
    app = application({"shoes": make_bundle("shoes")}, limits=Limits(max_waiting=2), max_batch=1, tile=16)
    with serving(app) as found:
        yield found


def test_progress_and_the_result(address: str, tmp_path: Path) -> None:
    frame = pixels(0, 64, 80)
    body = {"image": text(png(frame)), "num_samples": 3, "seed": 4}
    with httpx.stream("POST", f"{address}/v1/translate", json=body, headers=EVENTS, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        told = list(events(answer.iter_lines()))
    assert {name for name, _ in told[:-1]} <= {"progress"}
    assert len(told) > 1
    done = [one["samples_done"] for _, one in told[:-1]]
    assert done == sorted(done)
    assert all(one["samples"] == 3 and one["tiles_done"] <= one["tiles"] for _, one in told[:-1])
    assert any(one["tiles"] > 10 for _, one in told[:-1])
    name, result = told[-1]
    assert name == "result"
    plain = httpx.post(f"{address}/predict", json=body, timeout=60).json()
    assert result == plain, "the events end with what a plain answer has"
    expected = tandem.load(tmp_path / "shoes", device="cpu", max_batch=1, tile=16)(frame, 3, seed=4, output="array")
    np.testing.assert_array_equal([opened(base64.b64decode(one)) for one in result["outputs"]], expected)


def test_errors_are_the_last_event_and_refusals_are_plain_answers(address: str) -> None:
    def ask(body: dict[str, Any]) -> httpx.Response:
        return httpx.post(f"{address}/v1/translate", json=body, headers=EVENTS, timeout=60)

    broken = ask({"image": text(b"no image")})
    ((name, told),) = [one for one in events(iter(broken.text.splitlines())) if one[0] != "progress"]
    assert (broken.status_code, name, told["error"]["code"]) == (200, "error", "bad-value")
    image = text(png(pixels(0)))
    assert ask({"image": image, "num_samples": 0}).status_code == 422
    assert ask({"image": image, "format": "zip"}).status_code == 422
    assert ask({"image": image, "model": "none"}).status_code == 404


def test_who_leaves_ends_the_work_between_two_tiles(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = slow_tiles(monkeypatch)
    body = {"image": text(png(pixels(0, 96, 96))), "num_samples": 8}
    with httpx.stream("POST", f"{address}/v1/translate", json=body, headers=EVENTS, timeout=60) as answer:
        for name, told in events(answer.iter_lines()):
            assert name == "progress"
            if told["tiles_done"] >= 3:
                assert "tandem_requests_admitted 1" in httpx.get(f"{address}/metrics").text
                break
    for _ in range(100):
        if "tandem_requests_admitted 0" in httpx.get(f"{address}/metrics").text:
            break
        time.sleep(0.02)
    else:
        pytest.fail("its place was not freed")
    time.sleep(0.1)  # a tile may still be running
    before = len(computed)
    time.sleep(0.3)
    assert len(computed) == before < told["tiles"]


def test_time_limit(make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    computed = slow_tiles(monkeypatch)
    app = application({"shoes": make_bundle("shoes")}, limits=Limits(time_limit=0.5), max_batch=1, tile=16)
    body = {"image": text(png(pixels(0, 96, 96))), "num_samples": 8}
    with serving(app) as address:
        answer = httpx.post(f"{address}/v1/translate", json=body, headers=EVENTS, timeout=60)
        name, told = list(events(iter(answer.text.splitlines())))[-1]
        assert (name, told["error"]["code"]) == ("error", "time")
        assert "tandem_requests_admitted 0" in httpx.get(f"{address}/metrics").text
        time.sleep(0.1)
        before = len(computed)
        time.sleep(0.3)
        assert len(computed) == before


def slow_tiles(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has every tile take a moment; returns a list that grows by one with each."""
    computed: list[int] = []
    original = streamer.Streamer.run

    def run(self: Any, node: Any, take: Any) -> Any:
        inner = self._on_tile

        def on_tile() -> None:
            computed.append(threading.get_ident())
            time.sleep(0.02)
            inner()

        self._on_tile = on_tile
        return original(self, node, take)

    monkeypatch.setattr(streamer.Streamer, "run", run)
    return computed
