"""What a user can do when a dataset cannot be downloaded. Only what is certain: no other servers are made up."""

import shlex
from pathlib import Path
from urllib.parse import urlsplit

from tandem.data.download.catalogue import SERVER, RemoteDataset
from tandem.data.download.unpack import describe_counts
from tandem.fetch.errors import FetchError
from tandem.fetch.part import amount


def by_hand(entry: RemoteDataset, url: str, out: Path, error: FetchError) -> str:
    """The message for a failed download: what was tried, and the ways round it."""
    size = f" ({'' if entry.sha256 else 'about '}{amount(entry.about_bytes)})" if entry.about_bytes else ""
    lines = [
        f"{entry.key} could not be downloaded: {error}.",
        f"Tried: {url}",
        "What can be done:",
        "  - try again later: the same command continues"
        + (f" after the {amount(error.kept)} that have arrived" if error.kept else ""),
    ]
    if url.startswith(SERVER):
        lines.append(f"  - see in a browser whether the authors still offer it: {url.rpartition('/')[0]}/")
        if error.reason in {"certificate", "tls"}:
            plain = urlsplit(url)._replace(scheme="http").geturl()
            lines.append(f"  - ask without protection, as the authors' scripts do: --mirror {plain}")
    lines += [
        f"  - from another server that you trust: --mirror URL, of a folder with {entry.archive_name} in it or of the",
        "    archive itself",
        f"  - get {entry.archive_name}{size} in any other way, then:",
        f"    tandem data download {entry.key} --out {shlex.quote(str(out))} --archive FILE",
    ]
    return "\n".join([*lines, *_result(entry, out)])


def not_handed_out(entry: RemoteDataset) -> str:
    """The message for a dataset that its authors no longer offer (Cityscapes)."""
    if entry.kind == "paired":
        wanted = (
            "train/NAME.jpg and test/NAME.jpg: the photo (leftImg8bit) on the left, its coloured labels\n"
            "     (gtFine, …_color.png) on the right, each resized to 256 x 256 px"
        )
    else:
        wanted = (
            "trainA/ and testA/ with the photos (leftImg8bit), trainB/ and testB/ with their coloured labels\n"
            "     (gtFine, …_color.png), all resized to 256 x 256 px"
        )
    return "\n".join(
        [
            f"{entry.key} cannot be downloaded: {entry.withheld}, and the authors' scripts refuse it too.",
            "By hand:",
            "  1. register at https://www.cityscapes-dataset.com and accept the licence",
            "  2. download gtFine_trainvaltest.zip and leftImg8bit_trainvaltest.zip and unpack them",
            f"  3. make a folder with {wanted};",
            "     Cityscapes' train becomes train (2975 images), its val becomes test. The authors' script for this is",
            "     datasets/prepare_cityscapes_dataset.py in github.com/junyanz/pytorch-CycleGAN-and-pix2pix",
            "  4. tandem data check FOLDER",
            "An archive of that form which you may use: --archive FILE or --mirror URL.",
        ]
    )


def _result(entry: RemoteDataset, out: Path) -> list[str]:
    if not entry.folders:
        return [f"It is put into {out}; which folders it has is not known here."]
    unknown = " (?: not verified)" if None in entry.folders.values() else ""
    return [f"{out} then holds: {describe_counts(entry.folders)} images{unknown}."]
