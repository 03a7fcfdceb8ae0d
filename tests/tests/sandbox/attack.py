# What attacks are written with. Each attempt is told on a line of its own: what came of it, or the name of the error.
import ctypes, errno, os, socket, sys

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    """A function of the C library that returns -1 and errno."""
    return checked(getattr(libc, name)(*args))


def syscall(number, *args):
    """A call of the kernel by its number."""
    whole = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return checked(libc.syscall(ctypes.c_long(number), *whole))


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def told(error):
    return errno.errorcode.get(error.errno, str(error))


def attempt(name, action):
    try:
        result = action()
        print(f"{name}: {'ok' if result is None else result}", flush=True)
    except OSError as error:
        print(f"{name}: {told(error)}", flush=True)


def read(path):
    with open(path) as file:
        return file.read().strip()


def write(path):
    with open(path, "w") as file:
        file.write("planted")


def child(action):
    """Whether an action comes to its end in a child, or how it dies."""
    pid = os.fork()
    if pid == 0:
        action()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
