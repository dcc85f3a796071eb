"""The weights that a network begins with."""

import threading

import numpy as np
import torch
from torch import nn

from vecml.model.module import linears, new_module
from vecml.model.network import Architecture
from vecml.model.prepared import Prepared

# torch draws initial weights from one generator of the whole process: fits in other threads must not draw meanwhile.
_DRAWING = threading.Lock()


def seeded_module(architecture: Architecture, seed: int) -> nn.Sequential:
    """A fresh module on the CPU, with the initial weights that the seed draws."""
    with _DRAWING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return new_module(architecture)


def module_from_majority(architecture: Architecture, seed: int, data: Prepared) -> nn.Sequential:
    """A fresh module whose answer is the classes' shares in the training part, whatever the features are.

    Its last layer has weights of 0 and the shares' logarithms as biases; the seed draws the others. So a training that
    is ended by held-out rows begins with the majority's answer, and keeps it where it finds nothing better.
    """
    module = seeded_module(architecture, seed)
    last = linears(module)[-1]
    # A class that the training part has not gets half a row: its logarithm is finite.
    count_C = np.maximum(np.bincount(data.split.train.label_N, minlength=len(data.split.classes)), 0.5)
    share_C = torch.from_numpy(count_C)
    if data.weight_C is not None:
        share_C = share_C * data.weight_C.cpu().clamp_min(1e-6)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_((share_C / share_C.sum()).log())
    return module
