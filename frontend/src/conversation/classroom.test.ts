import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { tokens } from "../auth/tokens";
import { Classroom } from "./classroom";
import { Microphone } from "./microphone";

// The browser's parts, as far as a lesson without WebRTC needs them.

const SESSION = { engine_session_id: "session-1" };
const SECOND_OF_VOICE = btoa("\0\0".repeat(16000));

let started: unknown[];
let worklets: number;
let begun: number;
let sockets: Socket[];
let grant: ((stream: unknown) => void) | undefined;
let load: (() => void) | undefined;

class AudioPart {
  fftSize = 512;
  port = { onmessage: null };
  buffer: unknown;
  constructor(_context?: unknown, wish?: { buffer?: unknown }) {
    this.buffer = wish?.buffer;
  }
  connect() {}
  disconnect() {}
  getFloatTimeDomainData(samples: Float32Array) {
    samples.fill(0);
  }
  start() {
    started.push(this.buffer);
  }
  stop() {}
}

class Context {
  state = "running";
  currentTime = 0;
  destination = {};
  audioWorklet = {
    addModule: () =>
      new Promise<void>((resolve) => {
        load = resolve;
      }),
  };
  resume() {}
  close() {
    this.state = "closed";
  }
  createBuffer(_channels: number, samples: number) {
    return { duration: samples / 16000, copyToChannel() {} };
  }
  createMediaStreamSource() {
    return new AudioPart();
  }
  async decodeAudioData() {
    return "the whole recording";
  }
}

class Socket {
  static readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  readonly sent: string[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((closing: { code: number }) => void) | null = null;
  constructor() {
    sockets.push(this);
    setTimeout(() => this.onopen?.(), 0);
  }
  send(frame: string) {
    this.sent.push(frame);
  }
  close() {}
  says(event: object) {
    this.onmessage?.({ data: JSON.stringify(event) });
  }
}

class Track {
  enabled = true;
  stopped = false;
  readyState = "live";
  onended = null;
  stop() {
    this.stopped = true;
  }
  getSettings() {
    return { deviceId: "one" };
  }
}

async function answer(_address: string, wish?: { method?: string }): Promise<Response> {
  if (wish?.method === "POST") begun += 1;
  const session_id = `session-${begun}`;
  const engine_url = `ws://engine/ws/${session_id}`;
  return Response.json({ session_id, engine_url, engine_token: "t", status: "active" });
}

beforeEach(() => {
  [started, worklets, begun, sockets] = [[], 0, 0, []];
  const kept = new Map<string, string>();
  vi.stubGlobal("AudioContext", Context);
  vi.stubGlobal("AnalyserNode", AudioPart);
  vi.stubGlobal("GainNode", AudioPart);
  vi.stubGlobal("AudioBufferSourceNode", AudioPart);
  vi.stubGlobal(
    "AudioWorkletNode",
    class extends AudioPart {
      constructor() {
        super();
        worklets += 1;
      }
    },
  );
  vi.stubGlobal("WebSocket", Socket);
  vi.stubGlobal("fetch", answer);
  vi.stubGlobal("location", { href: "http://school/" });
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  });
  const getUserMedia = () =>
    new Promise((resolve) => {
      grant = resolve;
    });
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia } });
  tokens.keep("a token", 1800);
});

afterEach(() => {
  vi.unstubAllGlobals();
});

async function entered(): Promise<{ room: Classroom; socket: Socket }> {
  const room = new Classroom({ id: 2 }, 5);
  await room.start();
  const socket = await vi.waitUntil(() => sockets.find((one) => one.sent.length > 0)); // its greeting
  socket.says({ type: "hello", features: ["deltas"] });
  return { room, socket };
}

function granted(track: Track): void {
  grant?.({ getAudioTracks: () => [track], getTracks: () => [track] });
}

const told = (room: Classroom) => room.view().notices.map(({ code }) => code);

test("a key that is let go while the browser asks for the microphone leaves it closed", async () => {
  const { room } = await entered();
  const holding = room.hold();
  await vi.waitUntil(() => grant);
  await room.letGo();
  const track = new Track();
  granted(track);
  await holding;
  expect(room.view().listening).toBe("closed");
  await vi.waitUntil(() => !track.enabled);
  room.leave();
});

test("a page that is left while the browser asks does not keep the microphone", async () => {
  const { room } = await entered();
  grant = undefined;
  const opening = room.listen("open").catch(() => {});
  await vi.waitUntil(() => grant);
  room.leave();
  const track = new Track();
  granted(track);
  await opening;
  expect(track.stopped).toBe(true);
});

test("after a stop nothing of the answer is heard, not even its whole recording", async () => {
  const { room, socket } = await entered();
  room.say("Tell me all.");
  socket.says({ type: "state", state: "thinking", ...SESSION });
  const piece = { turn_id: "t1", seq: 0, data: SECOND_OF_VOICE, sample_rate: 16000 };
  socket.says({ type: "audio_delta", ...piece, ...SESSION });
  socket.says({ type: "text_delta", turn_id: "t1", content: "All of it", ...SESSION });
  room.interrupt();
  const before = started.length;
  const whole = { content: "All of it.", role: "assistant", audio: btoa("RIFF") };
  socket.says({ type: "text", ...whole, ...SESSION });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(started.slice(before)).toEqual([]);
  room.leave();
});

test("a lesson that has ended is told, and no other one begins by itself", async () => {
  const { room, socket } = await entered();
  socket.says({ type: "error", code: "session_ended", content: "It has ended.", ...SESSION });
  expect(told(room)).toEqual(["lesson_over"]);
  socket.onclose?.({ code: 4404 });
  await new Promise((resolve) => setTimeout(resolve, 900));
  expect(begun).toBe(1);
  expect(told(room)).toEqual(["lesson_over"]);
  expect(room.view().link).toBe("off");
  await room.start();
  await vi.waitUntil(() => begun === 2);
  room.leave();
});

test("a question that a broken connection may have lost is told", async () => {
  const { room, socket } = await entered();
  room.say("Did you get this?");
  socket.onclose?.({ code: 1006 });
  expect(told(room)).toContain("question_lost");
  room.leave();
});

test("a question that the engine has is not told as lost", async () => {
  const { room, socket } = await entered();
  room.say("Did you get this?");
  socket.says({ type: "state", state: "thinking", ...SESSION });
  socket.onclose?.({ code: 1006 });
  expect(told(room)).not.toContain("question_lost");
  room.leave();
});

test("the sound is not sent on when that was given up while it was being prepared", async () => {
  const microphone = new Microphone(new Context() as unknown as AudioContext, { sound() {}, ended() {} });
  const opening = microphone.open();
  granted(new Track());
  await opening;
  const streaming = microphone.startStreaming();
  microphone.stopStreaming();
  load?.();
  await streaming;
  expect(worklets).toBe(0);
  microphone.letGo();
});
