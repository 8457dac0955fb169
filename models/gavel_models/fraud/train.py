"""Trains and exports the four models of `fraud`; writes their ONNX files into the repository."""

from dataclasses import dataclass

import lightgbm
import numpy as np

from gavel_models import onnx_file, repository
from gavel_models.fraud import calibrate, deep, normalise, secondary
from gavel_models.fraud.dataset import Dataset
from gavel_models.progress import note, step
from gavel_models.quantise import quantise

INT8 = "model.int8.onnx"
CALIBRATION_ROWS = 2048  # for the ranges of INT8


@dataclass(frozen=True)
class Models:
    """The source models, and which features the two served entrances take."""

    primary_features: list[str]
    secondary_features: list[str]
    normaliser: normalise.Normaliser
    network: deep.Network
    platt: calibrate.Platt
    trees: lightgbm.LGBMClassifier

    def primary(self, rows: np.ndarray) -> np.ndarray:
        """Source of `fraud_primary`: features `[N, 36]` to probabilities `[N, 1]`, in float64."""
        return self.platt(self.network(self.normaliser(rows)))

    def secondary(self, rows: np.ndarray) -> np.ndarray:
        """Source of `fraud_secondary`: features `[N, 17]` to probabilities `[N, 1]`, in float64."""
        return secondary.predict(self.trees, rows)


def train(data: Dataset) -> Models:
    """Fit everything on the training months, and the calibration on the month after them."""
    names = repository.features("fraud_primary", data.catalog)
    rows = data.train.matrix(names)
    normaliser = normalise.fit(data.catalog.columns(names), rows)
    with step(f"training fraud_deep on {len(rows):,} payments"):
        network = deep.fit(normaliser(rows), data.train.labels)
    platt = calibrate.fit(network(normaliser(data.calibration.matrix(names))), data.calibration.labels)
    note(f"calibration: slope {platt.slope:.3f}, offset {platt.offset:.3f}")
    fewer = repository.features("fraud_secondary", data.catalog)
    with step("training fraud_secondary"):
        trees = secondary.fit(data.train.matrix(fewer), data.train.labels)
    return Models(names, fewer, normaliser, network, platt, trees)


def export(models: Models, data: Dataset) -> None:
    """Write every model.onnx, and fraud_deep's INT8 variant."""
    with step("exporting to ONNX, FP32 and INT8"):
        graphs = {
            "fraud_normalise": models.normaliser.to_onnx(),
            "fraud_deep": models.network.to_onnx(),
            "fraud_calibrate": models.platt.to_onnx(),
            "fraud_secondary": secondary.to_onnx(models.trees),
        }
        for model, graph in graphs.items():
            onnx_file.save(graph, repository.artefact(model))
        rows = onnx_file.run(
            repository.artefact("fraud_normalise"), data.train.matrix(models.primary_features)[-CALIBRATION_ROWS:]
        )
        quantise(repository.artefact("fraud_deep"), repository.artefact("fraud_deep", INT8), rows)


def run_primary(rows: np.ndarray, deep_file: str = "model.onnx") -> np.ndarray:
    """The three ONNX steps one after another: features `[N, 36]` to probabilities `[N, 1]`, float32."""
    normalised = onnx_file.run(repository.artefact("fraud_normalise"), rows)
    logits = onnx_file.run(repository.artefact("fraud_deep", deep_file), normalised)
    return onnx_file.run(repository.artefact("fraud_calibrate"), logits)


def run_secondary(rows: np.ndarray) -> np.ndarray:
    """The ONNX trees: features `[N, 17]` to probabilities `[N, 1]`, float32."""
    return onnx_file.run(repository.artefact("fraud_secondary"), rows)
