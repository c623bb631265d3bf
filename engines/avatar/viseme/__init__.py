"""The embedded face: drawn people whose lips follow the sounds of speech."""
