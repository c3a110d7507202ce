"""What tests say of an answer in one line."""

import json

from aigw.wire.headers import sane_request_id


async def error_of(response, status, code=None, param=None):
    """Return the error in a response, after checking all that every error answer promises."""
    body = await response.text()
    assert response.status == status, body
    assert response.headers["Content-Type"].startswith("application/json")
    assert sane_request_id(response.headers["x-request-id"])
    assert "Traceback" not in body
    assert ".py" not in body
    error = json.loads(body)["error"]
    assert {"message", "type", "param", "code"} <= error.keys()
    assert error["message"]
    if code is not None:
        assert error["code"] == code
    assert error["param"] == param
    return error


def form(*parts, boundary=b"cut-here"):
    """Write a multipart form: (head line, content) each. Returns body and headers."""
    body = b"".join(b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary, head, content) for head, content in parts)
    content_type = "multipart/form-data; boundary=" + boundary.decode()
    return body + b"--%s--\r\n" % boundary, {"Content-Type": content_type}


def field(name, content):
    """Return one text part of a form."""
    return b'Content-Disposition: form-data; name="%s"' % name.encode(), content


def file(name, content, filename="a.bin"):
    """Return one file part of a form."""
    head = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    return head.encode() + b"Content-Type: application/octet-stream", content
