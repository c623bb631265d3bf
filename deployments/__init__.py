"""One Serve application for each node of the graph: options, engine choice, forward."""
