"""The cost of the training step as a Markdown table and a chart."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch

from benchmarks.cost.cells import Cell, Peak, measure_cells, measure_peak
from tandem.bench.header import Header, header_line, make_header
from tandem.bench.train_step import bench_config
from tandem.config.run import to_flat
from tandem.files import atomic_write_text
from tandem.report.charts import line_chart
from tandem.report.text import number
from tandem.training.device import configure_backends

COLUMNS = ("Size", "Batch", "s/step", "Images/s", "GFLOP", "GB moved", "FLOP/byte", "Share of peak", "Bound", "Memory")
EXPLANATION = """\
Seconds are medians with quartiles; images count pairs, or images of each domain. GFLOP are those of the step's
convolutions and matrix products. GB moved counts every operator's inputs and outputs once, without caches and fusion,
so it is an upper estimate, and FLOP/byte, the arithmetic intensity, a lower one. The share of peak is FLOP/s over
those of a large matrix product of the same type; the bound is the best share that this intensity allows: FLOP/byte ×
the bandwidth of a large copy / peak, at most 100 %. Near the bound a step is limited by memory, near 100 % by
arithmetic, far below both by launches or the host. On the CPU the memory is that of the whole process, Python and
PyTorch included.
"""


def share_of_peak(cell: Cell, peak: Peak) -> float:
    """Which part of the machine's arithmetic a step uses."""
    assert cell.flops is not None
    assert cell.seconds is not None
    return cell.flops / cell.seconds / peak.flops


def bound(cell: Cell, peak: Peak) -> float:
    """The best share that the arithmetic intensity allows (the roofline)."""
    assert cell.flops is not None
    assert cell.bytes is not None
    return min(1.0, cell.flops / cell.bytes * peak.bandwidth / peak.flops)


@dataclass(frozen=True)
class CostTable:
    """Cells of one method on one machine.

    Attributes:
        title: What was measured.
        header: Of the machine.
        peak: Of the machine.
        cells: By size, then by batch.
    """

    title: str
    header: Header
    peak: Peak
    cells: tuple[Cell, ...]

    @classmethod
    def measure(
        cls,
        method: str,
        *,
        sizes: Sequence[int],
        batches: Sequence[int],
        options: Mapping[str, Any],
        device: torch.device,
        rounds: int,
        limit_seconds: float,
        on_cell: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Measure all `sizes` with all `batches`, both in rising order; see `measure_cells`.

        Args:
            method: The name of the method.
            sizes: Sides of the images.
            batches: Images per step.
            options: Of `bench_config`, but for size and batch.
            device: Where.
            rounds: Rounds that count, at most.
            limit_seconds: No further round of a cell begins after this time.
            on_cell: Called with (cells done, all cells).

        Raises:
            ConfigError: The method takes no such size or batch; nothing has been measured.
        """
        configs = [bench_config(method, size=size, batch_size=n, **options) for size in sizes for n in batches]
        configure_backends(device, deterministic=False)
        precision = configs[0].training.precision
        peak = measure_peak(device, precision)
        cells = []
        for cell in measure_cells(configs, device, rounds=rounds, limit_seconds=limit_seconds):
            cells.append(cell)
            if on_cell is not None:
                on_cell(len(cells), len(configs))
        filters = to_flat(configs[0])["generator_filters"]
        title = f"Cost of a training step: {method}, {filters} filters, {precision}"
        return cls(title, make_header(device), peak, tuple(cells))

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "header": self.header,
            "title": self.title,
            "peak": asdict(self.peak),
            "cells": [asdict(cell) | self._micro_batches(cell) for cell in self.cells],
        }

    def as_markdown(self) -> str:
        """The table, with what is needed to read it."""
        best = f"Peak of this machine: {self.peak.flops / 1e12:.2f} TFLOP/s, {self.peak.bandwidth / 1e9:.0f} GB/s."
        lines = [f"# {self.title}", "", header_line(self.header), "", best, ""]
        lines += [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
        for cell in self.cells:
            row = [str(cell.size), str(cell.batch_size), *_numbers(cell, self.peak)]
            lines.append(f"| {' | '.join(row)} |")
        return "\n".join(lines) + f"\n\n{EXPLANATION}"

    def as_svg(self) -> str:
        """Images a second over the batch size, a line for each image size."""
        series: dict[str, list[tuple[float, float]]] = {}
        for cell in self.cells:
            if cell.seconds is not None:
                series.setdefault(f"{cell.size} px", []).append((cell.batch_size, cell.batch_size / cell.seconds))
        return line_chart(series, title=self.title, x_label="batch size", y_label="images/s", log_y=True)

    def write(self, folder: Path) -> list[Path]:
        """Write the table, the chart and the numbers into `folder`; say where."""
        texts = {
            "cost.md": self.as_markdown(),
            "cost.svg": self.as_svg() + "\n",
            "cost.json": json.dumps(self.as_json(), indent=2) + "\n",
        }
        for name, text in texts.items():
            atomic_write_text(folder / name, text)
        return [folder / name for name in texts]

    def _micro_batches(self, cell: Cell) -> dict[str, float | None]:
        if cell.seconds is None:
            return {"images_per_second": None, "intensity": None, "share_of_peak": None, "bound": None}
        assert cell.flops is not None
        assert cell.bytes is not None
        return {
            "images_per_second": cell.batch_size / cell.seconds,
            "intensity": cell.flops / cell.bytes,
            "share_of_peak": share_of_peak(cell, self.peak),
            "bound": bound(cell, self.peak),
        }


def _numbers(cell: Cell, peak: Peak) -> list[str]:
    if cell.seconds is None or cell.flops is None or cell.bytes is None:
        return [cell.problem, *[""] * (len(COLUMNS) - 3)]
    memory = "" if cell.memory_mb is None else f"{cell.memory_mb:,.0f} MB"
    return [
        f"{cell.seconds:.4f} ({cell.low:.4f} to {cell.high:.4f})",
        f"{cell.batch_size / cell.seconds:.2f}",
        number(cell.flops / 1e9),
        number(cell.bytes / 1e9),
        f"{cell.flops / cell.bytes:.1f}",
        f"{100 * share_of_peak(cell, peak):.1f} %",
        f"{100 * bound(cell, peak):.0f} %",
        memory,
    ]
