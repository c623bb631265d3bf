"""Tell speech from other sound."""
