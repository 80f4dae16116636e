"""An eager generator as CUDA graphs: all kernels of a forward are launched at once."""

import torch
from torch import Tensor, nn

WARMUP = 3


class Graphed(nn.Module):
    """Captures one graph per shape, and replays it.

    Args:
        network: A generator on a CUDA device, in eval mode.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self._graphs: dict[tuple[torch.Size, torch.Size], tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]] = {}

    def forward(self, a: Tensor, z: Tensor) -> Tensor:
        """As the network; the result is overwritten by the next call."""
        key = a.shape, z.shape
        if key not in self._graphs:
            self._graphs[key] = self._record(a.clone(), z.clone())
        graph, static_a, static_z, output = self._graphs[key]
        static_a.copy_(a)
        static_z.copy_(z)
        graph.replay()
        return output

    def _record(self, a: Tensor, z: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor, Tensor]:
        stream = torch.cuda.Stream(a.device)
        stream.wait_stream(torch.cuda.current_stream(a.device))
        with torch.cuda.stream(stream):
            for _ in range(WARMUP):
                self.network(a, z)
        torch.cuda.current_stream(a.device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = self.network(a, z)
        return graph, a, z, output
