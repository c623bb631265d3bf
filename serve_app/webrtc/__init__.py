"""The live connection with a browser, and what to do when no way leads there."""
