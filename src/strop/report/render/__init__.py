"""Renderers: each turns the same sections into one medium, and is the one place where foreign texts are escaped for it."""
