"""ONNX Runtime: reads, quantises and runs ONNX models."""
