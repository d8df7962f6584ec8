"""llama.cpp: quantizes and runs language models in GGUF."""
