"""The open microphone: when the learner speaks, has finished, or breaks in."""
