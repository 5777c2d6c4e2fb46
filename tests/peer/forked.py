"""One Python that has loaded torch, transformers, PEFT and diffusers, which takes ten seconds, and forks for each script.

usage: forked.py SCRIPT ARG...   runs the script in a fork, with directory, environment and streams of this process, and
                                 ends as it does; where nobody listens at $LRK_PEER_SOCKET, in a Python of its own
       forked.py --serve         listens there in the background, as long as the process lives that has started it
"""
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback

path = os.environ.get("LRK_PEER_SOCKET", "")


def address(call):
    """By its name alone: an address has 108 bytes."""
    here = os.getcwd()
    try:
        os.chdir(os.path.dirname(path))
        call(os.path.basename(path))
    finally:
        os.chdir(here)


def ask(argv):
    """The exit status of a script in a fork, None where nobody listens."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    request = {"argv": argv, "cwd": os.getcwd(), "environ": dict(os.environ)}
    try:
        address(server.connect)
        socket.send_fds(server, [json.dumps(request).encode()], [0, 1, 2])
    except OSError:
        return None
    return int(server.recv(16) or 255)


def run(argv, cwd, environ):
    """And ends without the second that Python takes to clear away what is loaded."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv, status = argv, 0
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        status = end.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 255)


def answer(connection):
    """Runs a script, says how it ended; it ends with who asked for it."""
    message, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    script = os.fork()
    if script == 0:
        os.setpgid(0, 0)
        connection.close()
        for fd, stream in enumerate(streams):
            os.dup2(stream, fd)
            os.close(stream)
        run(**json.loads(message))
    ended = os.pidfd_open(script)
    if ended not in select.select([connection, ended], [], [])[0]:
        os.killpg(script, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(script, 0)[1])
    connection.send(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def load():
    os.environ |= {"HF_HUB_OFFLINE": "1", "OPENBLAS_NUM_THREADS": "1"}  # a fork has none of the threads
    import gc
    gc.disable()
    import diffusers, gguf, peft, torch, transformers  # noqa
    from diffusers import UNet2DConditionModel
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
    torch.set_num_threads(1)
    gc.freeze()
    gc.enable()


def listen():
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.path.exists(path):
        os.remove(path)
    address(listener.bind)
    listener.listen(16)
    return listener


def serve(listener, starter):
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while starter not in select.select([listener, starter], [], [])[0]:
        connection = listener.accept()[0]
        if os.fork() == 0:
            listener.close()
            answer(connection)
        connection.close()


def main():
    if sys.argv[1] == "--serve":
        try:
            starter = os.pidfd_open(os.getppid())
            load()
            listener = listen()
        except (ImportError, OSError) as e:
            sys.exit(print(f"{e}: each script loads its own"))
        if os.fork() == 0:
            serve(listener, starter)
        os._exit(0)
    status = ask(sys.argv[1:])
    if status is None:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    sys.exit(status)


main()
