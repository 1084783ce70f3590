"""Logs: one JSON object a line, with the tenant, the request and its trace, and never a secret.

`context` knows what a line belongs to; `redaction` removes what nobody may read; `setup` puts both before every line
of the program and of the libraries.
"""
