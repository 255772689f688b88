"""Reads requests that the `http` handler sent, with libraries that know nothing of it.

Usage: verify.py REQUESTS.json KEY. Exits with 77 where the libraries are not installed.
"""

import json
import sys

try:
    from cloudevents.core.bindings.http import HTTPMessage, from_binary_event, from_structured_event
    from cloudevents.core.formats.json import JSONFormat
    from standardwebhooks.webhooks import Webhook, WebhookVerificationError
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

requests, key = json.load(open(sys.argv[1], encoding="utf-8")), sys.argv[2]
for request in requests:
    body, headers = request["body"].encode(), request["headers"]
    Webhook(key).verify(body, headers)
    try:
        Webhook(key).verify(body + b" ", headers)
    except WebhookVerificationError:
        pass
    else:
        sys.exit("a body that was changed is accepted")
    read = from_binary_event if request["mode"] == "binary" else from_structured_event
    event = read(HTTPMessage(headers, body), JSONFormat())
    data = event.get_data()
    if isinstance(data, (bytes, str)):
        data = json.loads(data)
    assert event.get_type() == "com.tallyfy.run.seen.v1", event.get_type()
    assert event.get_id() == headers["webhook-id"], event.get_id()
    assert event.get_subject() == data["run"]["id"] == "r1", event.get_subject()
    assert event.get_source() == "/organizations/acme/runs/r1", event.get_source()
    assert event.get_extension("sequence") == "0" * 19 + "1", event.get_extension("sequence")
    assert event.get_extension("partitionkey") == "r1", event.get_extension("partitionkey")
    assert data["run"]["name"].startswith("Größe"), data
    print("ok", request["mode"])
