"""What crosses the network: typed events of the socket, models of the REST API. Pydantic only."""
