"""The gateway: sessions, sockets and turns."""
