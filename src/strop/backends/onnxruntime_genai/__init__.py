"""ONNX Runtime GenAI: builds a language model as ONNX, quantizes it and runs it."""
