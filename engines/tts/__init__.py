"""Speak: one file for each voice engine."""
