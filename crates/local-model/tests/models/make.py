"""Makes the small ONNX models of these tests.

    pip install onnx==1.23.2 onnxruntime==1.32.0 && python make.py
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

HERE = pathlib.Path(__file__).parent
RANDOM = np.random.default_rng(7)
FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE
INT32, INT64, BOOL, STRING = TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING


def tensor(name, dtype, shape):
    return helper.make_tensor_value_info(name, dtype, shape)


def save(name, nodes, inputs, outputs, weights=(), ir=10, opset=17, check=True, domains=()):
    graph = helper.make_graph(nodes, name, inputs, outputs, [numpy_helper.from_array(v, k) for k, v in weights])
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in domains)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="gavel-tests", producer_version="1")
    model.ir_version = ir
    if check:
        onnx.checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())
    return model


def float_weights(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


mlp_nodes = [
    helper.make_node("Gemm", ["features", "w1", "b1"], ["h1"]),
    helper.make_node("Relu", ["h1"], ["a1"]),
    helper.make_node("Gemm", ["a1", "w2", "b2"], ["h2"]),
    helper.make_node("Sigmoid", ["h2"], ["score"]),
]
mlp_weights = [("w1", float_weights(8, 16)), ("b1", float_weights(16)), ("w2", float_weights(16, 1)), ("b2", float_weights(1))]
mlp_inputs, mlp_outputs = [tensor("features", FLOAT, ["batch", 8])], [tensor("score", FLOAT, ["batch", 1])]
save("mlp", mlp_nodes, mlp_inputs, mlp_outputs, mlp_weights)

# An exporter of old: weights are inputs too, which a caller need not give.
weight_inputs = [tensor(k, FLOAT, list(v.shape)) for k, v in mlp_weights]
save("weights_as_inputs", mlp_nodes, weight_inputs[:2] + mlp_inputs + weight_inputs[2:], mlp_outputs, mlp_weights, ir=3, opset=9)

save(
    "every_dtype",
    [
        helper.make_node("Not", ["flag"], ["not_flag"]),
        helper.make_node("Add", ["small", "small"], ["small_twice"]),
        helper.make_node("Add", ["large", "large"], ["large_twice"]),
        helper.make_node("Sqrt", ["single"], ["single_root"]),
        helper.make_node("Sqrt", ["double"], ["double_root"]),
    ],
    [tensor(n, t, ["batch", 2]) for n, t in [("flag", BOOL), ("small", INT32), ("large", INT64), ("single", FLOAT), ("double", DOUBLE)]],
    [
        tensor(n, t, ["batch", 2])
        for n, t in [("not_flag", BOOL), ("small_twice", INT32), ("large_twice", INT64), ("single_root", FLOAT), ("double_root", DOUBLE)]
    ],
)
save(
    "two_inputs",
    [helper.make_node("Concat", ["left", "right"], ["joined"], axis=1)],
    [tensor("left", FLOAT, ["batch", 2]), tensor("right", FLOAT, ["batch", 3])],
    [tensor("joined", FLOAT, ["batch", 5])],
)
save("fixed_batch", [helper.make_node("Neg", ["x"], ["y"])], [tensor("x", FLOAT, [4, 2])], [tensor("y", FLOAT, [4, 2])])
save("scalar", [helper.make_node("Neg", ["x"], ["y"])], [tensor("x", FLOAT, [])], [tensor("y", FLOAT, [])])
save("unranked", [helper.make_node("Neg", ["x"], ["y"])], [tensor("x", FLOAT, None)], [tensor("y", FLOAT, None)], check=False)
save("free_width", [helper.make_node("MatMul", ["x", "w"], ["y"])], [tensor("x", FLOAT, ["batch", "width"])], [tensor("y", FLOAT, ["batch", 1])], [("w", float_weights(4, 1))])
save("strings", [helper.make_node("Identity", ["text"], ["same"])], [tensor("text", STRING, ["batch", 1])], [tensor("same", STRING, ["batch", 1])])
save(
    "zipmap",
    [helper.make_node("ZipMap", ["p"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])],
    [tensor("p", FLOAT, ["batch", 2])],
    [
        helper.make_value_info(
            "probabilities",
            helper.make_sequence_type_proto(helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, []))),
        )
    ],
    domains=[("ai.onnx.ml", 3)],
)
save("opset_too_new", [helper.make_node("Neg", ["x"], ["y"])], [tensor("x", FLOAT, [1])], [tensor("y", FLOAT, [1])], opset=999, check=False)
save("ir_too_new", [helper.make_node("Neg", ["x"], ["y"])], [tensor("x", FLOAT, [1])], [tensor("y", FLOAT, [1])], ir=999, check=False)
save("no_such_operator", [helper.make_node("Decide", ["x"], ["y"])], [tensor("x", FLOAT, [1])], [tensor("y", FLOAT, [1])], check=False)
save("huge_input", [helper.make_node("Neg", ["x"], ["y"])], [tensor("x", FLOAT, [1, 1 << 40])], [tensor("y", FLOAT, [1, 1 << 40])], check=False)

external = onnx.load(HERE / "mlp.onnx")
(HERE / "external.bin").unlink(missing_ok=True)
onnx.save(external, HERE / "external.onnx", save_as_external_data=True, location="external.bin", size_threshold=0)


class Rows(CalibrationDataReader):
    def __init__(self):
        self.rows = iter([{"features": float_weights(64, 8)}])

    def get_next(self):
        return next(self.rows, None)


quantize_static(HERE / "mlp.onnx", HERE / "mlp.int8.onnx", Rows(), quant_format=QuantFormat.QDQ, per_channel=False)
