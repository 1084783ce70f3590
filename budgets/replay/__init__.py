"""Playing a recorded trace of a model service through the HTTP API, call by call, as a client would have made it."""
