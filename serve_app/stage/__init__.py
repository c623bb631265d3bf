"""The one clock: what is seen and heard, in units of 40 ms, released together."""
