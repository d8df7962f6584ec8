"""Microsoft Olive as a builder: its passes on the ONNX model; ONNX Runtime runs what comes out."""
