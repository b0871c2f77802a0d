"""The protocol between a task and the node server: JSON packets with open files, on a private socket.

Standard library only; both interpreters use it. A packet arrives whole or not at all
(SOCK_SEQPACKET), so there is nothing to reassemble.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROTOCOL = 2
# Linux lets an ordinary user send about 200 KB in one packet; an environment has a few.
MAX_BYTES = 1 << 20
MAX_FILES = 8


class WireError(Exception):
    """The other end, or the place of the socket, is not what it should be; the text says how."""


def private_folder(path: Path) -> None:
    """Makes a folder that only this user can enter, or checks that it is one.

    Raises:
      WireError: It is another user's, a link, or open to others.
      OSError: It cannot be made.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return
        raise WireError(
            f"{str(path)!r} must be a folder of user {os.getuid()} that no other user can enter; its owner is "
            f"{found.st_uid} and its mode {stat.filemode(found.st_mode)}. Remove it."
        ) from None


def check_peer(connection: socket.socket) -> None:
    """Checks that the process at the other end is this user's, and of this machine.

    Raises:
      WireError: It is not.
    """
    size = struct.calcsize("3i")
    pid, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    if user != os.getuid():
        raise WireError(f"the process at the other end runs as user {user}, this one as user {os.getuid()}.")
    if not pid:  # seen across containers that share the folder
        raise WireError("the process at the other end runs in another container.")


def send(connection: socket.socket, message: Mapping[str, Any], files: Sequence[int] = ()) -> None:
    """Sends one packet.

    Args:
      connection: A SOCK_SEQPACKET socket.
      message: JSON-able.
      files: Descriptors that the other end gets duplicates of.

    Raises:
      OSError: The other end is gone, or the packet is larger than this machine's sockets take.
    """
    data = json.dumps(message).encode()
    if files:
        socket.send_fds(connection, [data], list(files))
    else:
        connection.sendall(data)


def receive(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """Receives one packet.

    Returns:
      Message and descriptors, which the caller closes; None when the other end has closed.

    Raises:
      WireError: The packet is too large, or not a JSON object; its files are closed.
      OSError: The connection broke, or timed out.
    """
    data, files, flags, _ = socket.recv_fds(connection, MAX_BYTES, MAX_FILES)
    for file in files:
        os.set_inheritable(file, False)
    try:
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            raise WireError(f"a packet of more than {MAX_BYTES} bytes or {MAX_FILES} files.")
        if not data:
            message = None
        else:
            message = json.loads(data)
            if not isinstance(message, dict):
                raise ValueError
    except (WireError, ValueError, RecursionError) as error:
        for file in files:
            os.close(file)
        raise (
            error if isinstance(error, WireError) else WireError("a packet that is not a JSON object.")
        ) from None
    return message, files
