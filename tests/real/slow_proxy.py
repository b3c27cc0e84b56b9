"""A TCP proxy on 127.0.0.1 that lets every request wait: a store that answers, but late."""

import contextlib
import socket
import threading

_CHUNK = 65_536
_LOOK_AGAIN_S = 0.2


class SlowProxy:
    """Listens on a free port and passes bytes to and from ``target`` (host, port) until `close`. Whatever a client
    sends waits ``delay_s`` first; a client that waits for answers has so every command late. ``delay_s`` may change at
    any time."""

    def __init__(self, target: tuple[str, int], delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self._target = target
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="slow-proxy", daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, timeout=_LOOK_AGAIN_S)
            except OSError:
                client.close()
                continue
            for source, sink, slow in ((client, server, True), (server, client, False)):
                source.settimeout(_LOOK_AGAIN_S)
                threading.Thread(target=self._pass_on, args=(source, sink, slow), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while not self._ended.is_set():
                try:
                    piece = source.recv(_CHUNK)
                except TimeoutError:
                    continue
                if not piece:
                    break
                if slow:
                    self._ended.wait(self.delay_s)
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
