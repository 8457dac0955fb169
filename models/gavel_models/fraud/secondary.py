"""`fraud_secondary`: gradient-boosted trees on few features, `[N, 17]` to the probability of fraud `[N, 1]`."""

import lightgbm
import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from gavel_models import onnx_file


def fit(rows: np.ndarray, labels: np.ndarray, seed: int = 7) -> lightgbm.LGBMClassifier:
    """Train on `rows` `[N, F]`."""
    model = lightgbm.LGBMClassifier(
        n_estimators=120,
        num_leaves=15,
        learning_rate=0.05,
        min_child_samples=200,
        reg_lambda=1.0,
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        verbosity=-1,
    )
    return model.fit(rows.astype(np.float64), labels)


def predict(model: lightgbm.LGBMClassifier, rows: np.ndarray) -> np.ndarray:
    """The source model's probabilities `[N, 1]`."""
    return model.booster_.predict(rows.astype(np.float64), num_threads=1)[:, None]


def to_onnx(model: lightgbm.LGBMClassifier) -> onnx.ModelProto:
    """One tree node and a column choice: input `features`, output `score`."""
    inputs = model.n_features_in_
    converted = convert_lightgbm(
        model,
        initial_types=[("features", FloatTensorType([None, inputs]))],
        zipmap=False,
        target_opset=15,  # the newest that onnxmltools knows; the node is the same in ours
    )
    (trees,) = [node for node in converted.graph.node if node.op_type == "TreeEnsembleClassifier"]
    _round_thresholds_down(trees, model.booster_)
    trees.input[:] = ["features"]
    trees.output[:] = ["label", "probabilities"]
    nodes = [trees, helper.make_node("Gather", ["probabilities", "fraud"], ["score"], axis=1)]
    body = helper.make_graph(
        nodes,
        "fraud_secondary",
        [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["N", inputs])],
        [helper.make_tensor_value_info("score", onnx.TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(np.array([1], np.int64), "fraud")],
    )
    opsets = [helper.make_opsetid("", onnx_file.OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    return onnx_file.stamped(helper.make_model(body, opset_imports=opsets))


def _round_thresholds_down(trees: onnx.NodeProto, booster: lightgbm.Booster) -> None:
    """Make every float32 threshold the largest one at or below LightGBM's float64 threshold.

    Then `x <= threshold` says the same of every float32 x. The converter rounds to nearest, which sends a value
    between the two down the other branch.
    """
    exact: dict[int, list[float]] = {}
    for tree in booster.dump_model()["tree_info"]:
        _collect(tree["tree_structure"], exact)
    attributes = {attribute.name: attribute for attribute in trees.attribute}
    values = np.array(attributes["nodes_values"].floats, np.float32)
    columns = attributes["nodes_featureids"].ints
    for i, mode in enumerate(attributes["nodes_modes"].strings):
        if mode != b"LEAF":
            thresholds = np.array(exact[columns[i]])
            threshold = thresholds[np.abs(thresholds - np.float64(values[i])).argmin()]
            if values[i] > threshold:
                values[i] = np.nextafter(values[i], np.float32(-np.inf))
    attributes["nodes_values"].floats[:] = values.tolist()


def _collect(node: dict, exact: dict[int, list[float]]) -> None:
    """Thresholds of `node` and below, by feature column."""
    if "threshold" in node:
        exact.setdefault(node["split_feature"], []).append(node["threshold"])
        _collect(node["left_child"], exact)
        _collect(node["right_child"], exact)
