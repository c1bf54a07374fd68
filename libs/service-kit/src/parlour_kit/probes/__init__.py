"""How a process is, asked over HTTP: the checks, the answers, and the server that gives them."""
