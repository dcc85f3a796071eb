"""The baseline: the job as a notebook would do it. A script of its own, so that a whole run can be timed too.

It is written as people write it, and must stay so, for it is what vecml's figures are ratios of: training through a
DataLoader with two worker processes, inference over the whole array at once, in float64 rows converted inside the call,
an argmax over the last axis. Nothing of vecml is imported. Run it with `python benchmarks/notebook.py`.
"""

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn, optim


def generate_data(n_samples: int = 5_000) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows of 10 standard normal features (N, F), float64; the label is 1 where their sum is positive."""
    X = np.random.randn(n_samples, 10)
    y = (np.sum(X, axis=1) > 0).astype(int)
    return X, y


class SimpleNetwork(nn.Module):
    """Linear -> ReLU -> Linear."""

    def __init__(self, n_inputs: int = 10, n_hidden: int = 32, n_outputs: int = 2) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Linear(n_inputs, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, C) of rows x (N, F), float32."""
        return self.model(x)


def train_model(
    model: nn.Module,
    X_train: NDArray[np.float64],
    y_train: NDArray[np.int64],
    epochs: int = 5,
    batch_size: int = 128,
) -> None:
    """Adam and cross-entropy over a DataLoader with num_workers=2; rows (N, F), labels (N,)."""
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    model.train()

    tensor_X = torch.tensor(X_train, dtype=torch.float32)
    tensor_y = torch.tensor(y_train, dtype=torch.long)
    dataset = torch.utils.data.TensorDataset(tensor_X, tensor_y)
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch_size, shuffle=True, num_workers=2)

    for epoch in range(epochs):
        total = 0.0
        for batch_X, batch_y in loader:
            optimizer.zero_grad()
            outputs = model(batch_X)
            loss = criterion(outputs, batch_y)
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"Epoch {epoch + 1}/{epochs}, mean loss: {total / len(loader):.4f}")


def vectorized_inference(
    model: nn.Module, X_data: NDArray[np.float64], batch_size: int | None = None, device: str = "cpu"
) -> NDArray[np.int64]:
    """The class of every row of X_data (N, F), int64, the whole array at once unless there is a batch size."""
    model.to(device).eval()
    with torch.no_grad():
        tensor_X = torch.tensor(X_data, dtype=torch.float32, device=device)
        if batch_size:
            predictions = []
            for i in range(0, len(tensor_X), batch_size):
                batch = tensor_X[i : i + batch_size]
                out = model(batch)
                predictions.append(out.argmax(dim=1).cpu())
            return torch.cat(predictions).numpy()
        out = model(tensor_X)
        return out.argmax(dim=1).cpu().numpy()


def main() -> None:
    """Generate, split, train, infer, and print times and accuracy."""
    X, y = generate_data(5_000)
    split = int(0.8 * len(X))
    X_train, X_test = X[:split], X[split:]
    y_train, y_test = y[:split], y[split:]

    model = SimpleNetwork()

    print("Training...")
    start = time.time()
    train_model(model, X_train, y_train, epochs=5, batch_size=128)
    print(f"-> trained in {time.time() - start:.2f}s\n")

    print("Vectorized inference...")
    start = time.time()
    predicted = vectorized_inference(model, X_test)
    print(f"-> inferred in {time.time() - start:.2f}s")

    accuracy = (predicted == y_test).mean() * 100
    print(f"Accuracy on the test part: {accuracy:.2f}%")


if __name__ == "__main__":
    main()
