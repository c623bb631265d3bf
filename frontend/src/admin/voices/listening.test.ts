import { beforeEach, describe, expect, test } from "vitest";
import { Refusal } from "../../api/http";
import { Listening } from "./listening";

/** As far as it is used; it plays until it is ended. */
class Element {
  src = "";
  isPlaying = false;
  onended: (() => void) | null = null;
  load() {}
  pause() {
    this.isPlaying = false;
  }
  async play() {
    this.isPlaying = true;
  }
  removeAttribute() {
    this.src = "";
  }
}

const sound = new Blob(["RIFF"], { type: "audio/wav" });
let element: Element;
let answers: Map<string, (sound: Blob | Error) => void>;
let listening: Listening;
let alive: Set<string>;

beforeEach(() => {
  element = new Element();
  answers = new Map();
  alive = new Set();
  const fetch = (path: string) =>
    new Promise<Blob>((resolve, reject) => {
      answers.set(path, (given) => (given instanceof Error ? reject(given) : resolve(given)));
    });
  listening = new Listening(fetch, () => element as unknown as HTMLAudioElement);
  URL.createObjectURL = () => {
    const url = `blob:${alive.size}`;
    alive.add(url);
    return url;
  };
  URL.revokeObjectURL = (url) => void alive.delete(url);
});

describe("listening to a voice", () => {
  test("loads it, plays it, and forgets it at its end", async () => {
    const played = listening.play("a");
    expect(listening.current()?.state).toBe("loading");
    answers.get("a")?.(sound);
    await played;
    expect(listening.current()).toMatchObject({ path: "a", state: "playing" });
    expect([element.isPlaying, alive.size]).toEqual([true, 1]);
    element.onended?.();
    expect(listening.current()).toBeNull();
    expect([element.src, alive.size]).toEqual(["", 0]);
  });

  test("another one takes its place, also while the first is on its way", async () => {
    const first = listening.play("a");
    const second = listening.play("b");
    answers.get("a")?.(sound);
    await first;
    expect(listening.current()).toMatchObject({ path: "b", state: "loading" });
    expect(alive.size).toBe(0);
    answers.get("b")?.(sound);
    await second;
    expect(listening.current()).toMatchObject({ path: "b", state: "playing" });
  });

  test("that is stopped while it is on its way never sounds", async () => {
    const played = listening.play("a");
    listening.stop();
    answers.get("a")?.(new Error("aborted"));
    await played;
    expect([listening.current(), element.isPlaying]).toEqual([null, false]);
  });

  test("that is refused says why", async () => {
    const played = listening.play("a");
    answers.get("a")?.(new Refusal(503, "The voice is restarting."));
    await played;
    expect(listening.current()).toMatchObject({ state: "failed", error: { status: 503 } });
  });

  test("ends when its own place is left, and no other's", async () => {
    const played = listening.play("a");
    answers.get("a")?.(sound);
    await played;
    listening.leave("b");
    expect(element.isPlaying).toBe(true);
    listening.leave("a");
    expect([element.isPlaying, alive.size]).toEqual([false, 0]);
  });
});
