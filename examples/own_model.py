"""Classifiers of one's own, for `--architecture`: classes that are made with the numbers of features and classes.

vecml run --architecture examples.own_model:ConvClassifier      # torch and what else traces it
vecml run --architecture examples.own_model:Normalised          # a chain of linear layers: every engine
"""

import torch
from torch import nn


class ConvClassifier(nn.Module):
    """A convolution along the features, for tables whose columns are a series: times, wavelengths, positions."""

    def __init__(self, n_features: int, n_classes: int, channels: int = 8) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, channels, kernel_size=3, padding=1)
        self.norm = nn.BatchNorm1d(channels)
        self.classify = nn.Linear(channels * n_features, n_classes)

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of features (N, F), float32."""
        found = torch.relu(self.norm(self.convolution(x_NF.unsqueeze(1))))
        logits_NC: torch.Tensor = self.classify(found.flatten(1))
        return logits_NC


class Normalised(nn.Sequential):
    """Batch normalisation and dropout between linear layers; both are folded away when the training is over."""

    def __init__(self, n_features: int, n_classes: int, width: int = 32) -> None:
        super().__init__(
            nn.Linear(n_features, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Linear(width, n_classes),
        )
