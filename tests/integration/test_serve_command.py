"""`tandem serve` as a process: its address, a graceful end, and what it says where it cannot begin."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'serve' is not installed")
pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
pytest.importorskip("python_multipart", reason="the extra 'serve' is not installed")

import httpx

import tandem
from serving_client import opened, pixels, png
from tandem.cli import main


@contextmanager
def command(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The process, the address that it printed, and the lines that it goes on to print."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tandem", "serve", "--port", "0", *map(str, arguments), "--device", "cpu"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    lines: list[str] = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"the page is at (http://\S+)", line):
                break
        else:
            pytest.fail("".join(lines))
        reading = threading.Thread(target=lambda: lines.extend(process.stderr or ()), daemon=True)
        reading.start()
        yield process, found[1], lines
        reading.join(10)
    finally:
        process.kill()
        process.wait(20)


def wait_until_ready(address: str) -> None:
    with httpx.Client(verify=False) as client:
        for _ in range(300):
            try:
                if client.get(f"{address}readyz").status_code == 200:
                    return
            except httpx.ConnectError:
                pass
            time.sleep(0.1)
    pytest.fail("it never became ready")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_gracefully(make_bundle: Callable[..., Path], stop: signal.Signals) -> None:
    bundle, frame = make_bundle("shoes"), pixels(0, 640, 640)
    with command(bundle, "--max-batch", "1", "--threads", "1") as (process, address, lines):
        wait_until_ready(address)
        answers: list[httpx.Response] = []
        image = {"image": ("a.png", png(frame))}
        asking = threading.Thread(
            target=lambda: answers.append(
                httpx.post(f"{address}v1/translate", files=image, data={"num_samples": "24", "fit": "pad"}, timeout=60)
            )
        )
        asking.start()
        for _ in range(400):
            if "tandem_requests_admitted 1" in httpx.get(f"{address}metrics").text:
                break
            time.sleep(0.02)
        process.send_signal(stop)
        time.sleep(0.3)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{address}healthz", timeout=5)
        asking.join(60)
        assert process.wait(30) == 0
        assert answers[0].status_code == 200
    assert "stopped: all running requests were answered" in "".join(lines)
    assert "Traceback" not in "".join(lines)


def test_killed_and_restarted_under_load_no_client_gets_a_wrong_picture(make_bundle: Callable[..., Path]) -> None:
    """A client sees a right picture or a broken connection, and with tries enough every picture comes."""
    bundle, frames = make_bundle("shoes"), [pixels(index) for index in range(8)]
    translator = tandem.load(bundle, device="cpu", engine="torch", max_batch=1)
    expected = [translator(frame, 1, seed=index, output="array")[0] for index, frame in enumerate(frames)]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop, broken = threading.Event(), []
    found: list[list[np.ndarray]] = [[] for _ in frames]

    def ask(index: int) -> None:
        address, image = f"http://127.0.0.1:{port}/v1/translate?num_samples=1&seed={index}", png(frames[index])
        with httpx.Client(timeout=20, verify=False) as client:  # no certificates, which take long to load
            while not stop.is_set() or len(found[index]) < 3:
                try:
                    answer = client.post(address, files={"image": ("a.png", image)})
                except httpx.TransportError as error:
                    broken.append(error)
                    time.sleep(0.2)
                else:
                    assert answer.status_code == 200
                    found[index].append(opened(answer.content))

    options = (bundle, "--engine", "torch", "--max-batch", "1", "--port", str(port))
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(ask, index) for index in range(8)]
        try:
            for _ in range(2):
                with command(*options) as (process, address, _):
                    wait_until_ready(address)
                    before = sum(map(len, found))
                    for _ in range(400):
                        if sum(map(len, found)) >= before + 8:
                            break
                        time.sleep(0.02)
                    process.kill()
                    process.wait(20)
            with command(*options) as (_, address, _):
                wait_until_ready(address)
                stop.set()
                for one in asking:
                    one.result(60)
        finally:
            stop.set()
    assert broken
    for pictures, right in zip(found, expected, strict=True):
        for picture in pictures:
            np.testing.assert_array_equal(picture, right)


def test_pixels_and_the_token_of_a_service_for_others(make_bundle: Callable[..., Path]) -> None:
    bundle, frame = make_bundle("shoes"), pixels(0)
    with command(bundle, "--host", "0.0.0.0", "--engine", "torch", "--max-batch", "1") as (_, printed, lines):
        address, _, token = printed.replace("0.0.0.0", "127.0.0.1").partition("#token=")
        assert len(token) >= 32
        wait_until_ready(address)
        image = {"image": ("a.png", png(frame))}
        assert httpx.post(f"{address}v1/translate", files=image).status_code == 401
        bearer = {"Authorization": f"Bearer {token}"}
        answer = httpx.post(f"{address}v1/translate?num_samples=1&seed=4", files=image, headers=bearer)
        expected = tandem.load(bundle, device="cpu", max_batch=1)(frame, 1, seed=4, output="array")
        np.testing.assert_array_equal(opened(answer.content), expected[0])
    others = [line for line in lines if "the page is at" not in line]
    assert token not in "".join(others)


def test_what_it_says_where_it_cannot_begin(
    make_bundle: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle = str(make_bundle("shoes"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = str(taken.getsockname()[1])
        assert main(["serve", bundle, "--port", port]) == 2
    assert f"--port {port} cannot be listened at" in capsys.readouterr().err
    assert main(["serve", str(tmp_path / "nowhere")]) == 1
    assert "there is no such folder" in capsys.readouterr().err
    assert main(["serve", bundle, "--host", "no.such.host.invalid"]) == 2
    assert "--host no.such.host.invalid is no address" in capsys.readouterr().err
    assert main(["serve", bundle, "--allow-origin", "example.org/x", "--token", " "]) == 2
    told = capsys.readouterr().err
    assert "--token must be visible ASCII" in told
    assert "--allow-origin must be like https://example.org" in told
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert main(["serve", bundle]) == 1
    assert "pip install 'tandem-gan[serve]'" in capsys.readouterr().err
