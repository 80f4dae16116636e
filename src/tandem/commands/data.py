"""``tandem data``: a table of what can be done with datasets, each with a module of its own."""

from collections.abc import Sequence

from tandem.commands.dispatch import dispatch

ACTIONS = {
    "demo": ("tandem.commands.data_demo", "draw the demo dataset"),
    "shallows": ("tandem.commands.data_shallows", "draw a dataset of 16 bits and six bands, with known physics"),
    "check": ("tandem.commands.data_check", "read every image of a dataset and say what is there, or what is wrong"),
    "prepare": ("tandem.commands.data_prepare", "make pairs from photos by a rule"),
    "combine": ("tandem.commands.data_combine", "put the images of pairs side by side in one file"),
    "separate": ("tandem.commands.data_separate", "take files side by side apart, into two folders"),
    "split": ("tandem.commands.data_split", "split a dataset anew, near-duplicates on one side"),
    "preview": ("tandem.commands.data_preview", "draw what training really sees"),
    "download": ("tandem.commands.data_download", "fetch a published dataset, check the archive and unpack it"),
    "pack": ("tandem.commands.data_pack", "write a dataset into tar shards"),
}
"""Module (with a function ``main(arguments) -> exit status``) and one line of help of each action."""


def main(arguments: Sequence[str]) -> int:
    """Dispatch to an action, or say which there are."""
    return dispatch("data", "Make, check, look at, download and pack datasets.", ACTIONS, arguments)
