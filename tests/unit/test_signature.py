"""Signatures: the library's own command takes ours, and whatever is another model, key or signature is refused."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tandem.cli import main

pytest.importorskip("model_signing")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


def make_key(folder: Path, name: str) -> None:
    """Write ``NAME.pem`` and ``NAME.pub``."""
    key = ec.generate_private_key(ec.SECP256R1())
    plain = serialization.NoEncryption()
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / f"{name}.pem").write_bytes(key.private_bytes(pem, private, plain))
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)


@pytest.fixture
def signed(make_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_key(tmp_path, "mine")
    make_key(tmp_path, "other")
    assert main(["export", str(make_bundle()), "--to", "hub", "--out", "shared"]) == 0
    assert main(["sign", "shared", "--key", "mine.pem"]) == 0
    return tmp_path / "shared"


def test_the_librarys_own_command_takes_it(signed: Path) -> None:
    assert main(["verify", "shared", "--key", "mine.pub"]) == 0
    command = [sys.executable, "-m", "model_signing", "verify", "key", "shared", "--signature", "shared.sig"]
    done = subprocess.run([*command, "--public_key", "mine.pub"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in signed.iterdir()) == ["README.md", "config.json", "model.safetensors"]


def test_another_model_key_or_signature_is_refused(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "shared", "--key", "other.pub"]) == 1
    assert "is not what the owner of other.pub has signed" in capsys.readouterr().err
    for name in ("README.md", "config.json", "model.safetensors"):
        content = (signed / name).read_bytes()
        (signed / name).write_bytes(content[:-2] + b"x" + content[-1:])
        assert main(["verify", "shared", "--key", "mine.pub"]) == 1, name
        (signed / name).write_bytes(content)
    (signed / "more.txt").write_text("more")
    assert main(["verify", "shared", "--key", "mine.pub"]) == 1
    (signed / "more.txt").unlink()
    # Sealed anew by somebody else: the seal holds, the signature does not.
    (signed / "README.md").write_text("---\nlicense: mit\n---\nTheirs.\n")
    assert main(["export", "shared", "--to", "hub", "--out", "shared"]) == 0
    assert main(["verify", "shared", "--key", "mine.pub"]) == 1
    Path("bad.sig").write_text("nonsense")
    assert main(["verify", "shared", "--key", "mine.pub", "--signature", "bad.sig"]) == 1


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["sign", "shared", "--key", "none.pem"], 2, "--key none.pem: there is no such file"),
        (["sign", "shared", "--key", "mine.pub"], 2, "--key mine.pub does not sign"),
        (["sign", "shared", "--key", "mine.pem", "--signature", "shared/x.sig"], 2, "lies in the folder that it signs"),
        (["sign", "model", "--key", "mine.pem"], 1, "is no model that is made to be shared"),
        (["verify", "shared", "--key", "mine.pub", "--signature", "none"], 2, "--signature none is no signature"),
    ],
)
@pytest.mark.usefixtures("signed")
def test_what_cannot_be_signed(words: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == status
    assert message in capsys.readouterr().err
