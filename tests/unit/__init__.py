"""Unit tests: pure rules, the store, and the edges of the process boundary, in seconds."""
