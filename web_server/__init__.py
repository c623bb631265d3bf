"""The web server: accounts, tutors, courses and conversations of a school, in front of the engine.

    browser ── HTTP, WebSocket ──► web_server ── REST, WebSocket ──► engine

It knows of the engine only what crosses the network (`wire`), and keeps what the engine does not:
who may log in, and whose a tutor, a face, a knowledge base and a conversation is.
"""
