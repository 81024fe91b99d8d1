"""`model.onnx`: the open exchange format, for ONNX Runtime in many languages and for other companies' compilers."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.export.samples import Names
from kerasdl.export.source import Predict, Source

PACKAGES = ("tf2onnx", "onnx", "onnxruntime")  # pip install 'kerasdl[onnx]'
# Of 2022: new enough for layer normalisation in one operation, old enough for every runtime in use.
OPSET = 17

_SAMPLE = """\
import onnxruntime  # pip install onnxruntime

session = onnxruntime.InferenceSession("{path}")
"""


def sample(path: str, names: Names) -> str:
    listed = json.dumps(names.outputs)
    call = f"session.run({listed}, {names.as_dict})"
    line = f"({names.result},) = {call}" if names.single_output else f"{names.result} = dict(zip({listed}, {call}))"
    return _SAMPLE.format(path=path) + line + "\n"


def missing() -> list[str]:
    """Returns the packages that this format needs and that aren't installed."""
    return [package for package in PACKAGES if importlib.util.find_spec(package) is None]


def write(source: Source, path: Path) -> None:
    import onnx
    import tf2onnx

    from kerasdl.export.formats import endpoint

    serve = endpoint.of_raw(source).serve
    model, _ = tf2onnx.convert.from_function(
        serve, input_signature=serve.input_signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
    )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _erfc(graph: Any, node: Any, name: str, args: list) -> None:
    """Converts the operation that Keras's GELU is made of, and that tf2onnx doesn't know: erfc(x) = 1 - erf(x)."""
    one = graph.make_const(f"{name}/one", np.array(1.0, np.float32))
    node.type, node.domain = "Erf", ""
    erf = node.output[0]
    graph.insert_new_node_on_output("Sub", erf, name=f"{name}/complement", inputs=[one.output[0], erf])


def load(path: Path, names: Names) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda inputs: dict(zip(names.outputs, session.run(list(names.outputs), dict(inputs)), strict=True))
