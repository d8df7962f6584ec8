"""Runs that were recorded once, whole: raw samples, answers, builds. Today's code must make the same of them as it did then."""
