import { afterEach, expect, test, vi } from "vitest";
import { EngineSocket } from "./socket";

const MINUTE_MS = 60_000;

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** Answers a ping after 20 ms, or never. */
class Server {
  static made = 0;
  static answers = true;
  static readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  constructor() {
    Server.made += 1;
    setTimeout(() => this.onopen?.(), 1);
  }
  send(frame: string) {
    const { type } = JSON.parse(frame) as { type: string };
    if (!Server.answers) return;
    const answer = type === "ping" ? { type: "pong" } : { type: "hello", features: [] };
    setTimeout(() => this.onmessage?.({ data: JSON.stringify(answer) }), 20);
  }
  close() {}
}

/** A socket for ten minutes in a hidden page, whose timers a browser lets go off once a minute. */
async function hidden(): Promise<number> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] });
  const every = globalThis.setInterval;
  vi.stubGlobal("setInterval", (run: () => void, ms: number) => every(run, Math.max(ms, MINUTE_MS)));
  vi.stubGlobal("WebSocket", Server);
  Server.made = 0;
  const url = new URL("ws://school/");
  let lost = 0;
  const down = () => {
    lost += 1;
  };
  const socket: EngineSocket = new EngineSocket(
    { current: () => "a token", subscribe: () => () => {} },
    { event() {}, up() {}, down, retry: () => socket.connect(url) },
  );
  socket.connect(url);
  await vi.advanceTimersByTimeAsync(10 * MINUTE_MS);
  socket.close();
  return lost;
}

test("a hidden page keeps its socket", async () => {
  Server.answers = true;
  expect(await hidden()).toBe(0);
  expect(Server.made).toBe(1);
});

test("a socket that nobody answers on is given up", async () => {
  Server.answers = false;
  expect(await hidden()).toBeGreaterThan(0);
  expect(Server.made).toBeGreaterThan(1);
});
