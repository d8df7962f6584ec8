"""What makes a model's answers from its last features, in OpenVINO's graph: left out of NNCF's quantization. Child side.

NNCF never rounds the result of the last product, nor a softmax, but it does round what goes into an average that makes the
logits.
"""

from typing import Any

PRODUCTS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData", "MatMul")
AVERAGES = ("AvgPool", "ReduceMean")
ENDS_WALK = ("LSTMSequence", "GRUSequence", "RNNSequence", "LSTMCell", "GRUCell", "If", "Loop", "TensorIterator")
SOURCES = ("Constant", "Parameter", "ShapeOf", "ReadValue")


def ending(model: Any) -> list[str]:
    """Names of the nodes behind the last product, from an average that makes the answers up to the outputs.

    The rule is that of ONNX Runtime's `ending.py`: it looks at the graph alone, with or without a softmax behind.
    """
    waiting = [result.input_value(0).get_node() for result in model.get_results()]
    found: list[str] = []
    while waiting:
        node = waiting.pop(0)
        kind, name = node.get_type_name(), node.get_friendly_name()
        if kind in (*PRODUCTS, *SOURCES) or name in found:
            continue
        found.append(name)
        before = [value.get_node() for value in node.input_values()]
        variable = [one for one in before if one.get_type_name() not in SOURCES]
        if kind not in (*AVERAGES, *ENDS_WALK) and not (kind == "Add" and len(variable) > 1):
            waiting += variable
    return found
