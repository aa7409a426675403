"""Measures onnxruntime on a BERT encoder and prints one JSON object: texts a second, from the best
time of each batch.

Arguments: a folder with `weights.safetensors` and `work.json` (`Work` in embed_beside.rs), threads.
The model is built from those weights with onnxruntime's own fused operations and quantized to eight bits (dynamic
activations, weights a scale per column), which is what the library recommends for processors.
"""

import json
import sys
import time
from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.numpy import load_file


class Graph:
    """Nodes and weights of a model that is being written."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def constant(self, name, value):
        self.constants[name] = numpy_helper.from_array(numpy.ascontiguousarray(value), name)
        return name

    def node(self, kind, inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def norm(self, name):
        return [self.constant(f"{name}.{part}", self.weights[f"{name}.{part}"]) for part in ("weight", "bias")]

    def linear(self, value, name):
        weight = self.constant(f"{name}.weight", self.weights[f"{name}.weight"].T)
        bias = self.constant(f"{name}.bias", self.weights[f"{name}.bias"])
        return self.node("Add", [self.node("MatMul", [value, weight], f"{name}.product"), bias], f"{name}.sum")


def build(weights, layers, heads, epsilon):
    """Token ids and a mask of shape (texts, tokens) in, mean-pooled unit vectors out."""
    graph = Graph(weights)
    ours = {"domain": "com.microsoft"}
    table = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    words = graph.constant("words", weights["embeddings.word_embeddings.weight"])
    rows = graph.node("Gather", [words, "ids"], "word")
    tokens = graph.node("Gather", [graph.node("Shape", ["ids"], "shape"), graph.constant("one", numpy.array([1]))], "count")
    begin, axis = graph.constant("begin", numpy.array([0])), graph.constant("axis", numpy.array([0]))
    places = graph.node("Slice", [graph.constant("positions", table), begin, tokens, axis], "places")
    rows = graph.node("Add", [rows, places], "embedded")
    rows = graph.node("LayerNormalization", [rows, *graph.norm("embeddings.LayerNorm")], "rows", epsilon=epsilon)
    for layer in range(layers):
        prefix = f"encoder.layer.{layer}"
        parts = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
        weight = graph.constant(f"{prefix}.qkv", numpy.concatenate([weights[f"{part}.weight"].T for part in parts], 1))
        bias = graph.constant(f"{prefix}.qkv.bias", numpy.concatenate([weights[f"{part}.bias"] for part in parts]))
        attended = graph.node("Attention", [rows, weight, bias, "mask"], f"{prefix}.attended", num_heads=heads, **ours)
        output = graph.linear(attended, f"{prefix}.attention.output.dense")
        norm = graph.norm(f"{prefix}.attention.output.LayerNorm")
        rows = graph.node("SkipLayerNormalization", [output, rows, *norm], f"{prefix}.middle", epsilon=epsilon, **ours)
        wide = graph.node("Gelu", [graph.linear(rows, f"{prefix}.intermediate.dense")], f"{prefix}.gelu", **ours)
        output = graph.linear(wide, f"{prefix}.output.dense")
        norm = graph.norm(f"{prefix}.output.LayerNorm")
        rows = graph.node("SkipLayerNormalization", [output, rows, *norm], f"{prefix}.end", epsilon=epsilon, **ours)
    floats = graph.node("Cast", ["mask"], "floats", to=TensorProto.FLOAT)
    masked = graph.node("Mul", [rows, graph.node("Unsqueeze", [floats, graph.constant("last", numpy.array([2]))], "wide")], "masked")
    total = graph.node("ReduceSum", [masked, graph.constant("middle", numpy.array([1]))], "total", keepdims=0)
    graph.node("LpNormalization", [total], "vectors", axis=1, p=2)
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT32, ["texts", "tokens"]) for name in ("ids", "mask")]
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["texts", "width"])
    model = helper.make_graph(graph.nodes, "encoder", inputs, [vectors], list(graph.constants.values()))
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(model, opset_imports=sets, ir_version=9)


def padded(batch):
    """The ids of a batch, and 1 for each that is no padding."""
    tokens = max(map(len, batch))
    ids = numpy.array([text + [1] * (tokens - len(text)) for text in batch], numpy.int32)
    mask = numpy.array([[1] * len(text) + [0] * (tokens - len(text)) for text in batch], numpy.int32)
    return {"ids": ids, "mask": mask}


def main():
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    work = json.loads((folder / "work.json").read_text())
    model = folder / "int8.onnx"
    if not model.exists():
        whole, draft = folder / "f32.onnx", folder / "draft.onnx"
        onnx.save(build(load_file(folder / "weights.safetensors"), work["layers"], work["heads"], work["epsilon"]), whole)
        kind = {"DefaultTensorType": TensorProto.FLOAT}
        quantize_dynamic(whole, draft, per_channel=True, weight_type=QuantType.QInt8, extra_options=kind)
        whole.unlink()
        draft.rename(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    speeds, first = {}, None
    for kind, batches in work["batches"].items():
        batches = [padded(batch) for batch in batches]
        best, vectors = [float("inf")] * len(batches), []
        for _ in range(work["rounds"]):
            vectors = []
            for index, batch in enumerate(batches):
                started = time.perf_counter()
                vectors.append(session.run(None, batch)[0])
                best[index] = min(best[index], time.perf_counter() - started)
        vectors = numpy.concatenate(vectors)
        first = vectors if first is None else first
        speeds[kind] = len(vectors) / sum(best)
    print(json.dumps({"texts_per_s": speeds, "vectors": first.tolist()}))


main()
