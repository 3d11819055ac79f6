"""Asks a program that listens for FastCGI at `address`."""
import base64

from . import fcgi

USER, PASSWORD = "admin", "secret-of-the-admin"


def basic(user=USER, password=PASSWORD):
    """An Authorization header's value."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


ADMIN = basic()


class Client:
    address = None  # the path of a Unix socket, or (host, port)

    def is_answering(self):
        try:
            return self.get("/-/ready", auth=None).status == 200
        except (ConnectionError, FileNotFoundError, fcgi.Closed):
            return False

    def params(self, path, query="", auth=ADMIN, method="GET", **more):
        """The FastCGI parameters of a request, as nginx gives them."""
        values = {"REQUEST_METHOD": method, "SCRIPT_NAME": path, "QUERY_STRING": query,
                  "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_LENGTH": "", **more}
        if auth is not None:
            values["HTTP_AUTHORIZATION"] = auth
        return values

    def get(self, path, query="", auth=ADMIN, method="GET", **more):
        return fcgi.ask(self.address, self.params(path, query, auth, method, **more))

    def summary(self, query=""):
        return self.get("/system/metrics", query)

    def breakdown(self, query):
        return self.get("/system/metrics/breakdown", query)

    def service(self, name, query=""):
        return self.get(f"/system/metrics/{name}", query)

    def connect(self):
        return fcgi.Connection(self.address)

    def begin(self, path, query="", **more):
        """Sends a request without waiting for the answer; the caller closes the connection."""
        connection = self.connect()
        connection.send(fcgi.request(self.params(path, query, **more)))
        return connection
