"""Programs that ask the services from inside an instance. Python ones print one line of JSON; they import what every Debian has."""

from __future__ import annotations

METADATA = "169.254.169.254"
RESOLVER = "169.254.169.253"
TIME = "169.254.169.123"

# Answer: the values of the answer, or the name of what was wrong.
DNS = r"""
import json, socket, struct, sys
server, name, kind = sys.argv[1:4]
numbers = {"A": 1, "PTR": 12, "AAAA": 28}
question = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"
query = struct.pack("!6H", 4711, 0x0100, 1, 0, 0, 0) + question + struct.pack("!2H", numbers[kind], 1)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(2)
    asking.sendto(query, (server, 53))
    answer = asking.recv(4096)
_, flags, _, count, _, _ = struct.unpack_from("!6H", answer)
wrong = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}.get(flags & 15)
at, values = len(query), []
def skip_name(at):
    while answer[at]:
        if answer[at] >= 192:
            return at + 2
        at += answer[at] + 1
    return at + 1
for _ in range(count):
    at = skip_name(at)
    found, _, _, length = struct.unpack_from("!HHIH", answer, at)
    at += 10
    if found == 1:
        values.append(socket.inet_ntop(socket.AF_INET, answer[at:at + 4]))
    if found == 28:
        values.append(socket.inet_ntop(socket.AF_INET6, answer[at:at + 16]))
    at += length
print(json.dumps(wrong or values))
"""

NTP = r"""
import json, socket, struct, sys, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(2)
    sent = time.time()
    asking.sendto(b"\x23" + bytes(47), (sys.argv[1], 123))
    answer = asking.recv(512)
    came = time.time()
seconds, fraction = struct.unpack_from("!II", answer, 40)
told = seconds - 2208988800 + fraction / 2**32
print(json.dumps({"mode": answer[0] & 7, "stratum": answer[1], "offset": told - (sent + came) / 2}))
"""

# Asks argv[2] times a second for argv[3] seconds.
FLOOD = r"""
import json, select, socket, struct, sys, time
server, rate, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
name = b"".join(bytes([len(part)]) + part for part in (b"ip-10-0-2-10", b"ec2", b"internal")) + b"\0"
query = struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1)
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
asking.setblocking(False)
asked = answered = 0
started = time.monotonic()
while (gone := time.monotonic() - started) < seconds + 0.5:
    while asked < min(gone, seconds) * rate:
        asking.sendto(query, (server, 53))
        asked += 1
    if select.select([asking], [], [], 0.001)[0]:
        try:
            while asking.recv(4096):
                answered += 1
        except BlockingIOError:
            pass
print(json.dumps({"asked": asked, "answered": answered}))
"""

# Asks as a new client would and prints what is offered.
LEASE = """
printf '#!/bin/sh\\n[ "$1" != bound ] || env\\n' > /tmp/show && chmod 755 /tmp/show
exec busybox udhcpc -n -q -f -i eth0 -t 3 -T 1 -O mtu -O ntpsrv -s /tmp/show 2> /dev/null
"""

CONTAINER = """
ip netns add box
ip link add box0 type veth peer name eth0 netns box
ip address add 192.168.99.1/24 dev box0 && ip link set box0 up
ip -n box address add 192.168.99.2/24 dev eth0 && ip -n box link set eth0 up && ip -n box link set lo up
ip -n box route add default via 192.168.99.1
echo 1 > /proc/sys/net/ipv4/ip_forward
nft 'table ip box { chain out { type nat hook postrouting priority srcnat; oifname "eth0" masquerade; }; }'
"""

NO_CONTAINER = "ip netns del box; ip link del box0 2> /dev/null; nft delete table ip box; echo 0 > /proc/sys/net/ipv4/ip_forward"

TOKEN_IN_CONTAINER = f"""
ip netns exec box curl -s -m2 -o /dev/null -w '%{{http_code}}' -X PUT \
    -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://{METADATA}/latest/api/token
"""
