"""ONNX Runtime: reads, quantizes and runs ONNX models."""
