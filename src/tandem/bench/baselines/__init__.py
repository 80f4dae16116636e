"""What Tandem's step is measured against: the published order of computation, written plainly.

Networks are nested sequences of PyTorch's own layers, steps run eagerly in float32, every image goes through a network
when the published code needs it, and optimisers are Adam as PyTorch makes it by default. The tests hold both steps
against Tandem's in float64.
"""
