"""Simplified ID Merge in a plain loop: loop_resolve.py IN OUT"""

import json
import sys

source, target = sys.argv[1:]
users = {}
with open(source, "rb") as events:
    for line in events:
        properties = json.loads(line)["properties"]
        if "$user_id" in properties:
            users.setdefault(properties["$device_id"], properties["$user_id"])
with open(source, "rb") as events, open(target, "w") as resolved:
    for line in events:
        event = json.loads(line)
        properties = event["properties"]
        device = properties["$device_id"]
        own = properties.get("$user_id")
        properties["distinct_id"] = own or users.get(device, "$device:" + device)
        resolved.write(json.dumps(event, separators=(",", ":")) + "\n")
