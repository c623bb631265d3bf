"""Each benchmark is one command, prints JSON lines, and compares with a control of the same run."""
