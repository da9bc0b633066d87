"""HTTP/1.1 on llhttp (httptools): a channel and a request for a C{Site}, and an agent with its pool."""
