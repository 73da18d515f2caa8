"""Models behind HTTP: the server, its page, and the client."""
