"""Hugging Face folders to ONNX: exported, and held against the original's answers."""
