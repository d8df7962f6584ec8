"""The null backend: a tiny honest linear model, and every way in which a framework can go wrong, on request.

It exists so that isolation, resuming and judging are tested through the real pipeline, without a mock.
"""
