// The socket through which the page talks with the engine; comes back by itself when it breaks.

import { spoken } from "../i18n";
import type { ClientEvent, EngineEvent } from "../wire/generated";

const FEATURES = ["captions", "deltas", "ice_servers", "metrics", "sources", "state", "stream_in"];
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const PING_MS = 15_000;
const SILENCE_MS = 40_000; // two pings unanswered, and some: the network is gone, though nobody said so
const ENGINE_AWAY = 0; // no code of closing: our socket stays, and another hello says that it is back
const MOST_WAITING_BYTES = 256_000; // eight seconds of sound: later it would be heard too late

export interface SocketEvents {
  event(event: EngineEvent): void;
  /** It has answered our hello. */
  up(): void;
  /** Closed with this code, or the web server says that the engine is away. */
  down(code: number): void;
  /** It is time to connect again. */
  retry(): void;
}

/** The login, which is renewed while the socket is open. */
export interface Login {
  current(): string | null;
  subscribe(changed: () => void): () => void;
}

export class EngineSocket {
  isUp = false;
  private socket: WebSocket | null = null;
  private wanted = false;
  private waitMs = FIRST_WAIT_MS;
  private askedMs: number | null = null; // the first ping that nothing has followed
  private retry: ReturnType<typeof setTimeout> | undefined;
  private ping: ReturnType<typeof setInterval> | undefined;

  private unsubscribe: (() => void) | null = null;

  constructor(
    private readonly login: Login,
    private readonly events: SocketEvents,
  ) {}

  connect(url: URL): void {
    this.wanted = true;
    const token = this.login.current();
    if (this.socket || !token) return; // without a login the page is being left
    this.unsubscribe ??= this.login.subscribe(() => this.prolong());
    clearTimeout(this.retry);
    this.ping ??= setInterval(() => this.keepAlive(), PING_MS);
    // As a subprotocol the token stays out of logs of addresses.
    const socket = new WebSocket(url, ["bearer", token]);
    this.socket = socket;
    this.askedMs = null;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.greet();
    socket.onmessage = ({ data }) => this.take(data);
    socket.onclose = ({ code }) => this.lost(socket, code);
  }

  /** Says hello, which also renews the ICE servers. */
  greet(): void {
    this.send({ type: "hello", features: FEATURES });
  }

  /** Whether it could be sent. */
  send(message: ClientEvent): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Live sound: PCM s16 at 16 kHz. Dropped when the network cannot take it in time. */
  sendSound(samples: Int16Array<ArrayBuffer>): void {
    if (!this.isUp || !this.socket || this.socket.bufferedAmount > MOST_WAITING_BYTES) return;
    this.socket.send(samples);
  }

  close(): void {
    this.wanted = false;
    clearTimeout(this.retry);
    clearInterval(this.ping);
    this.ping = undefined;
    this.unsubscribe?.();
    this.unsubscribe = null;
    const socket = this.socket;
    this.socket = null;
    this.isUp = false;
    socket?.close();
  }

  /** The web server ends the socket with the login that it began with, unless it is told of a newer one. */
  private prolong(): void {
    const token = this.login.current();
    if (token && this.socket?.readyState === WebSocket.OPEN)
      this.socket.send(JSON.stringify({ type: "login", token }));
  }

  private take(data: unknown): void {
    if (typeof data !== "string") return;
    this.askedMs = null;
    const event = JSON.parse(data) as EngineEvent;
    if (event.type === "pong") return;
    this.events.event(event);
    if (isAway(event) && this.isUp) this.wait();
    if (event.type !== "hello" || this.isUp) return;
    this.waitMs = FIRST_WAIT_MS;
    this.isUp = true;
    this.events.up();
  }

  /** The engine is away: the web server passes our hello on to it as soon as it is back. */
  private wait(): void {
    this.isUp = false;
    this.events.down(ENGINE_AWAY);
    this.greet();
  }

  private lost(socket: WebSocket, code: number): void {
    if (socket !== this.socket) return;
    this.socket = null;
    this.isUp = false;
    this.events.down(code);
    if (!this.wanted) return;
    // Not all pages at the same moment.
    this.retry = setTimeout(() => this.events.retry(), this.waitMs * (0.75 + Math.random() / 2));
    this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
  }

  private keepAlive(): void {
    const socket = this.socket;
    if (!socket) return;
    if (
      this.askedMs !== null &&
      performance.now() - this.askedMs > SILENCE_MS &&
      socket.readyState === WebSocket.OPEN
    ) {
      this.lost(socket, 1006);
      socket.close();
    } else {
      this.askedMs ??= performance.now();
      this.send({ type: "ping" });
    }
  }
}

/** Of the web server's socket, for a page at this address. A page can give a socket no header. */
export function proxyUrl(userId: number, page: string): URL {
  const url = new URL(`/api/ws/proxy/user/${userId}`, page);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("language", spoken());
  return url;
}

/** Said by the web server of the whole engine; what the engine says of its parts names a session. */
export function isAway(event: EngineEvent): boolean {
  return event.type === "error" && event.code === "engine_unavailable" && !event.engine_session_id;
}
