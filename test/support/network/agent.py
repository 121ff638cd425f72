"""A machine of a network test: a process in a network namespace of its own that does what it is told, one JSON object a line.

The namespace, its links and its sockets live exactly as long as this process, and it ends with its standard input.
"""

import base64
import ctypes
import json
import os
import selectors
import socket
import struct
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
selector = selectors.DefaultSelector()
dns_sockets = {}


def inside(path, action):
    """Runs action in the namespace at path; "" is our own."""
    if not path:
        return action()
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    other = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(other)
        return action()
    finally:
        enter(own)
        os.close(own)
        os.close(other)


def enter(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def netlink(request):
    def talk():
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, request["protocol"]) as sock:
            sock.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
            sock.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
            sock.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 24)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 24)
            sock.sendto(base64.b64decode(request["batch"]), (0, 0))
            return drain(sock)

    return {"batch": base64.b64encode(inside(request["path"], talk)).decode()}


def drain(sock):
    """The kernel has answered before send returns; a dump goes on with every read."""
    answer = b""
    while True:
        try:
            answer += sock.recv(1 << 20, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return answer


def listen(request):
    """Answers every connection or datagram with "LABEL PEER" and closes."""
    family = socket.AF_INET6 if ":" in request["address"] else socket.AF_INET
    kind = socket.SOCK_STREAM if request["protocol"] == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(family, kind | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((request["address"], request["port"]))
    if kind == socket.SOCK_STREAM:
        sock.listen(64)
    selector.register(sock, selectors.EVENT_READ, lambda: reply(sock, kind, request["label"]))
    return {}


def reply(sock, kind, label):
    if kind == socket.SOCK_STREAM:
        connection, peer = sock.accept()
        with connection:
            connection.sendall(f"{label} {peer[0]}".encode())
    else:
        _, peer = sock.recvfrom(65536)
        sock.sendto(f"{label} {peer[0]}".encode(), peer)


def reach(request):
    """Connects and reads; how it ended in words."""
    family = socket.AF_INET6 if ":" in request["address"] else socket.AF_INET
    kind = socket.SOCK_STREAM if request["protocol"] == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(request["timeout"])
        try:
            if request.get("source"):
                sock.bind((request["source"], 0))
            sock.connect((request["address"], request["port"]))
            if kind == socket.SOCK_DGRAM:
                sock.send(b"hello")
            return {"reply": sock.recv(4096).decode()}
        except (TimeoutError, socket.timeout):
            return {"reply": "timeout"}
        except OSError as error:
            return {"reply": os.strerror(error.errno)}


def read_file(request):
    with open(request["path"], encoding="ascii") as file:
        return {"text": file.read()}


def write_file(request):
    with open(request["path"], "w", encoding="ascii") as file:
        file.write(request["text"])
    return {}


def dns_open(request):
    """A UDP and a TCP socket inside the namespace; queries become events."""
    token = request["token"]
    address = (request["address"], request["port"])

    def opened(kind):
        sock = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        return sock

    datagrams, stream = inside(request["path"], lambda: (opened(socket.SOCK_DGRAM), opened(socket.SOCK_STREAM)))
    stream.listen(16)
    dns_sockets[token] = (datagrams, stream)
    selector.register(datagrams, selectors.EVENT_READ, lambda: dns_datagram(token, datagrams))
    selector.register(stream, selectors.EVENT_READ, lambda: dns_connection(token, stream))
    return {}


peers = {}


def dns_datagram(token, sock):
    message, address = sock.recvfrom(65536)
    remember_peer(token, message, lambda answer: sock.sendto(answer, address))


def dns_connection(token, stream):
    connection, _ = stream.accept()
    size = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))[0]
    message = connection.recv(size, socket.MSG_WAITALL)

    def answer(text):
        connection.sendall(struct.pack("!H", len(text)) + text)
        connection.close()

    remember_peer(token, message, answer)


def remember_peer(token, message, answer):
    name = str(len(peers)).encode()
    peers[name] = answer
    emit({"event": "dns", "token": token, "peer": base64.b64encode(name).decode(), "message": base64.b64encode(message).decode()})


def dns_close(request):
    for sock in dns_sockets.pop(request["token"], ()):
        selector.unregister(sock)
        sock.close()
    return {}


def dns_answer(request):
    peers.pop(base64.b64decode(request["peer"]))(base64.b64decode(request["message"]))
    return {}


def look_up(request):
    """Asks a DNS server with a raw message."""
    message = base64.b64decode(request["message"])
    tcp = request["protocol"] == "tcp"
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((request["address"], request["port"]))
        sock.sendall(struct.pack("!H", len(message)) + message if tcp else message)
        if tcp:
            size = struct.unpack("!H", sock.recv(2, socket.MSG_WAITALL))[0]
            answer = sock.recv(size, socket.MSG_WAITALL)
        else:
            answer = sock.recv(65536)
        return {"message": base64.b64encode(answer).decode()}


operations = {
    "netlink": netlink, "listen": listen, "reach": reach, "read": read_file, "write": write_file, "ready": lambda request: {},
    "dns_open": dns_open, "dns_close": dns_close, "dns_answer": dns_answer, "look_up": look_up,
}


output_lock = threading.Lock()


def emit(value):
    with output_lock:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


buffered = b""


def commands():
    global buffered
    piece = os.read(0, 1 << 20)
    if not piece:
        sys.exit(0)
    *lines, buffered = (buffered + piece).split(b"\n")
    for line in lines:
        request = json.loads(line)
        if request["op"] in waiting_operations:
            threading.Thread(target=perform, args=(request,), daemon=True).start()
        else:
            perform(request)


# A machine may well talk to itself.
waiting_operations = {"reach", "look_up"}


def perform(request):
    try:
        emit({"id": request["id"], **operations[request["op"]](request)})
    except OSError as error:
        emit({"id": request["id"], "error": str(error)})


selector.register(0, selectors.EVENT_READ, commands)
while True:
    for key, _ in selector.select():
        key.data()
