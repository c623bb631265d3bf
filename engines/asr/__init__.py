"""Hear: faster-whisper when a speech model is configured, else the embedded English recogniser."""
