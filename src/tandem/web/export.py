"""From a bundle to the page without a server: a folder for any host of static files, or one file."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tandem.checkpoint.storage import Storage
from tandem.errors import ConfigError
from tandem.evaluation.options import Palette
from tandem.files import atomic_write_bytes, belongs_to_others, owned, scratch_folder
from tandem.inference.onnx.export import export_onnx
from tandem.inference.translator import load
from tandem.web.about import about
from tandem.web.files import ABOUT, folder_files, single_file, wire_bytes
from tandem.web.proof import Deviation, prove_page

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WebPage:
    """What was written.

    Attributes:
        path: The folder, or the file.
        num_bytes: On the disk.
        wire_bytes: Sent when it is opened, compressed; None of a single file.
        deviation: Of its pixels from PyTorch's; None where no browser is there.
    """

    path: Path
    num_bytes: int
    wire_bytes: int | None
    deviation: Deviation | None


def export_web(
    model: Path,
    out: Path,
    *,
    name: str,
    runtime: Path,
    storage: Storage = "fp16",
    is_single_file: bool = False,
    palette: Palette | None = None,
) -> WebPage:
    """Write the page.

    Args:
        model: The bundle's folder, or the run folder around it.
        out: The folder, or the file.
        name: How the page calls the model.
        runtime: Where ONNX Runtime Web is, see `tandem.web.runtime.find_runtime`.
        storage: How weights are stored.
        is_single_file: Whether it is one file.
        palette: Colours of labels that the page offers.

    Raises:
        BundleError: There is no model, it is damaged, or an ONNX file would be another than PyTorch's network.
        ConfigError: It samples with dropout, its images are none that a browser shows, or the folder holds other files.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if not is_single_file:
        _require_own(out)
    translator = load(model, device="cpu", engine="torch")
    with scratch_folder() as folder:
        exported = export_onnx(model, folder / f"{name}.onnx", storage=storage)
        networks = {f"models/{one.path.name}": one.path.read_bytes() for one in exported}
        names = {one.network: f"models/{one.path.name}" for one in exported}
        described = about(translator, name, storage=storage, files=names, palette=palette)
        if is_single_file:
            files = {out.name: single_file(described, networks, runtime).encode()}
            place = out.parent
        else:
            files, place = folder_files(described, networks, runtime), out
        proven = folder / "page"
        _write(files, proven)
        deviation = prove_page(proven / out.name if is_single_file else proven, translator, storage=storage)
    if is_single_file:
        _write(files, place)
    else:
        with owned(out, "writing a page to"):
            _write(files, place)
    sent = None if is_single_file else wire_bytes(files)
    log.info(
        "%s: %.1f MB%s",
        out,
        sum(map(len, files.values())) / 1e6,
        "" if sent is None else f", of which {sent / 1e6:.1f} MB are sent when it is opened, compressed",
    )
    return WebPage(out, sum(map(len, files.values())), sent, deviation)


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    """The page itself comes last, when all that it needs is there."""
    for name, data in files.items():
        atomic_write_bytes(folder / name, data)


def _require_own(out: Path) -> None:
    if belongs_to_others(out, ABOUT):
        raise ConfigError(f"--out {out} holds other files, and no page ({ABOUT}): give a new folder.", option="--out")
