"""Think: language models, and the tutor that stands in when there is none."""
