"""Hear, think, speak, show: the engines behind the tutor. No Ray and no FastAPI in here."""
