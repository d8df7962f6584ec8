"""Hugging Face transformers: runs a language model as its folder has it, which is the baseline, and converts it."""
