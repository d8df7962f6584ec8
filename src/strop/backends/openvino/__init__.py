"""OpenVINO with NNCF: runs ONNX and IR on the CPU; quantizes and compresses."""
