"""HTTP/1.1 on llhttp; that it does what Twisted's does, the suites of the door and of the providers tell."""
