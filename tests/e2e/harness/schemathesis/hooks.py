"""Loaded by schemathesis, in its own environment."""
import schemathesis


@schemathesis.deserializer("text/csv")
def csv(_, response):
    """CSV is held against the file as text."""
    return response.content.decode("utf-8")


@schemathesis.hook
def filter_query(_, query):
    """Whatever is not "true" turns it off, and is no error: nothing to be refused."""
    return (query or {}).get("include_users") in (None, True, False, "true", "false", "")
