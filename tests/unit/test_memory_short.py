"""What is said where memory is short: real errors of the libraries, and of a GPU as PyTorch words it."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tandem import cli
from tandem.memory import describe, is_out_of_memory

GPU = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 139.72 GiB of which 512.00 MiB is "
    "free. Including non-PyTorch memory, this process has 139.20 GiB memory in use."
)


def test_errors_of_the_libraries() -> None:
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(2**58, dtype=torch.uint8)
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(2**58, np.uint8)
    for error in (of_torch.value, of_numpy.value):
        assert is_out_of_memory(error)
        text = describe(error, "train")
        assert "were asked for at once" in text
        assert "are free" in text
        assert "--batch-size" in text
        assert "--accumulate" in text
    assert "288,230,376.2 GB were asked" in describe(of_torch.value, "train")
    assert is_out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_gpu() -> None:
    text = describe(torch.OutOfMemoryError(GPU), "sample")
    assert text == (
        "the GPU has too little memory: 2.1 GB were asked for at once, 0.5 GB are free, so at least 1.6 GB are "
        "missing. Lower --max-batch or --memory-gb, or give --tile."
    )


def test_convolutions_on_a_cpu() -> None:
    """As oneDNN words it where its code finds no room: in a campaign of faults, with 15 MB of address space left."""
    error = RuntimeError("could not create a primitive")
    assert is_out_of_memory(error)
    assert describe(error, "sample") == (
        "there is too little memory, or the image is too large for oneDNN, which says 'could not create a primitive'. "
        "Lower --max-batch or --memory-gb, or give --tile."
    )


@pytest.mark.parametrize(("error", "status"), [(MemoryError(), 1), (torch.OutOfMemoryError(GPU), 1)])
def test_the_command_line_says_it(
    error: Exception, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Module:
        @staticmethod
        def main(_: list[str]) -> int:
            raise error

    monkeypatch.setattr(cli.importlib, "import_module", lambda _: Module)
    assert cli.main(["train"]) == status
    err = capsys.readouterr().err
    assert "too little memory" in err
    assert "Lower --batch-size" in err


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Module:
        @staticmethod
        def main(_: list[str]) -> int:
            raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(cli.importlib, "import_module", lambda _: Module)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        cli.main(["train"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space")
def test_a_good_image_is_not_called_damaged(tmp_path: Path) -> None:
    """A limit that its pixels do not fit into."""
    Image.new("RGB", (9000, 9000), (10, 200, 30)).save(tmp_path / "x.png")
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom tandem.data.images import read_image\n"
        "from tandem.errors import NoMemoryError\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))\n"
        "try:\n    read_image(Path(sys.argv[1]))\nexcept NoMemoryError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.png")], capture_output=True, text=True, check=True
    )
    assert f"there is not enough memory to decode {tmp_path / 'x.png'}, 9000 x 9000 pixels" in done.stdout
