"""OpenVINO with NNCF: runs ONNX and IR on the CPU; quantises and compresses."""
