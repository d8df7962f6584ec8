"""The nouns, the errors and the pure rules: values in, values out; no files, no clock, no framework."""
