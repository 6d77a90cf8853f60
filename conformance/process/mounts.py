"""A mount name space with a root of its own, where only what a port may read is there.

For systems without Landlock. Root enters it in a thread of the harness. Any other user must first
be root in a user name space, which takes a process of its own: this module is also that program,

    python -IS mounts.py ORDER

where ORDER is JSON: the view, the environment, the user's ids, and the command to become.
"""

import ctypes
import json
import os
import stat
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
BASE = "/tmp"  # where the new root is made, before it is the root
USER = ("unshare", "--user", "--map-root-user", "--net", "--mount")
STREAMS = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}  # of /dev

_libc = ctypes.CDLL(None, use_errno=True)


def enter(paths: Collection[str], given: Collection[str]) -> bool:
    """Enter one with these real paths, and with the links by which they were given.

    False if this thread may not, and then nothing has changed.
    """
    if _libc.unshare(CLONE_NEWNS) != 0:
        return False
    if _libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None) != 0:
        return False
    _make_root(paths, given)
    return True


def _make_root(paths: Collection[str], given: Collection[str]) -> None:
    """Raises OSError where that does not work."""
    # Both before BASE is covered, which may be where they are.
    sources = {path: fd for path in sorted(paths) if (fd := _opened(path)) is not None}
    links = {link: os.readlink(link) for path in given for link in _links(path)}
    _mount("none", BASE, "tmpfs", 0)
    bound: list[str] = []
    for path, fd in sources.items():
        if not any(path.startswith(f"{folder}/") for folder in bound):
            _place(BASE + path, stat.S_ISDIR(os.fstat(fd).st_mode))
            _mount(f"/proc/thread-self/fd/{fd}", BASE + path, None, MS_BIND | MS_REC)
            bound.append(path)
        os.close(fd)
    for link, target in links.items():
        _link(target, BASE + link)
    for name, end in STREAMS.items():
        _link(f"/proc/self/fd{end}", f"{BASE}/dev/{name}")
    os.makedirs(f"{BASE}/tmp", exist_ok=True)
    os.chmod(f"{BASE}/tmp", 0o1777)
    os.chdir(BASE)
    _check(_libc.pivot_root(b".", b"."))
    _check(_libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def _opened(path: str) -> int | None:
    with suppress(OSError):
        return os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    return None


def _place(path: str, folder: bool) -> None:
    """Make an empty folder or file to mount something on."""
    os.makedirs(path if folder else os.path.dirname(path), exist_ok=True)
    if not folder:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))


def _links(path: str) -> Iterator[str]:
    """The links on the way to a path, also those that the first ones lead to."""
    seen = ""
    for part in path.split("/")[1:]:
        seen += f"/{part}"
        if os.path.islink(seen):
            yield seen
            target = os.path.normpath(os.path.join(os.path.dirname(seen), os.readlink(seen)))
            yield from _links(target) if target != seen else ()
            seen = os.path.realpath(seen)


def _link(target: str, link: str) -> None:
    with suppress(OSError):  # it is there already, in a folder that is
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(target, link)


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    _check(_libc.mount(*words, ctypes.c_ulong(flags), None))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _become_user(user: int, group: int) -> None:
    """Be this user again, in a user name space that has no rights over the mounts."""
    _check(_libc.unshare(CLONE_NEWUSER))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} 0 1"),
        ("gid_map", f"{group} 0 1"),
    ):
        with suppress(PermissionError), open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def main(order: str) -> None:
    """Enter, and become the command. Raises OSError."""
    told = json.loads(order)
    _make_root(told["paths"], told["given"])
    _become_user(*told["ids"])
    os.chdir(told["cwd"])
    os.execvpe(told["command"][0], told["command"], told["env"])


def wrapper(
    paths: Iterable[str],
    given: Iterable[str],
    command: list[str],
    cwd: str,
    env: dict[str, str],
) -> list[str]:
    """The command that does this for a user who may make user name spaces."""
    order = {
        "paths": [*paths],
        "given": [*given],
        "ids": [os.geteuid(), os.getegid()],
        "command": command,
        "cwd": cwd,
        "env": env,
    }
    return [*USER, sys.executable, "-IS", __file__, json.dumps(order)]


if __name__ == "__main__":
    main(sys.argv[1])
