"""The HTTP surface: what of the service is reached over REST, and nothing of how its work is done.

Every answer that is no success is a problem document (RFC 9457) made from the error tree of core/errors.py.
`api.app.create_app(service)` is the application, `api.server.make_server` runs it; neither loads torch or spacy.
"""
