"""Build the sdist and the wheel, the same bytes on every machine: ``make build`` writes them to ``dist/``.

They are made of what git tracks, in a folder of their own, so that nothing that lies about comes in. Times are that of
the commit (``SOURCE_DATE_EPOCH``, where it is set, is another one), permissions and owners are the same for all, and
files stand in the order of their names. What remains is the version of setuptools, which ``constraints.txt`` pins, and
zlib.
"""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOOKS = "import sys; from setuptools import build_meta as b; out = sys.argv[1]; b.build_sdist(out); b.build_wheel(out)"


def main(out: Path) -> int:
    """Build into a folder and say what came of it."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or _time_of_the_commit()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tandem-build-") as folder:
        tree, made = Path(folder) / "tree", Path(folder) / "made"
        made.mkdir()
        for name in filter(None, tracked.decode().split("\0")):
            copy = tree / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy)
            copy.chmod(0o644)
        environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch, "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-c", f"import os; os.umask(0o022); {HOOKS}", str(made)]
        subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.DEVNULL)
        for file in sorted(made.iterdir()):
            content = file.read_bytes() if file.suffix == ".whl" else _repacked(file, int(epoch))
            (out / file.name).write_bytes(content)
            print(f"{hashlib.sha256(content).hexdigest()}  {out / file.name}")
    return 0


def _time_of_the_commit() -> str:
    command = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()


def _repacked(file: Path, epoch: int) -> bytes:
    """The same archive without the times, owners and order that its maker has left in it."""
    packed = io.BytesIO()
    with (
        tarfile.open(file) as source,
        gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=epoch) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda one: one.name):
            clean = tarfile.TarInfo(member.name)
            clean.size, clean.type, clean.mtime = member.size, member.type, epoch
            clean.mode = 0o755 if member.isdir() else 0o644
            target.addfile(clean, source.extractfile(member))
    return packed.getvalue()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"))
