import { describe, expect, test } from "vitest";
import type { EngineEvent, SourceItem } from "../wire/generated";
import { activityOf, BLANK, type Happening, isAnswering, next, type View } from "./view";

const told = (event: EngineEvent): Happening => ({ type: "told", event });
const delta = (turn_id: string, content: string) => told({ type: "text_delta", turn_id, content });
const text = (content: string) => told({ type: "text", content, role: "assistant", timestamp: "" });
const partial = (content: string) => told({ type: "transcription_delta", content });
const heard = (content: string) => told({ type: "transcription", content, role: "user", timestamp: "" });
const state = (now: "listening" | "thinking" | "speaking" | "idle") => told({ type: "state", state: now });
const asked = (words: string, sent = true): Happening => ({ type: "asked", text: words, sent });
const interrupted = (turn_id: string | undefined, what: string) =>
  told({ type: "interrupted", turn_id, heard: what, stop_ms: 5 });
const caption = (turn_id: string, content: string) => told({ type: "caption", turn_id, content, at_ms: 0 });

const after = (...happenings: Happening[]): View => happenings.reduce(next, BLANK);
const said = (view: View) => view.bubbles.map(({ role, text: words, state: now }) => [role, words, now]);

const SOURCE: SourceItem = {
  kb_id: "7",
  document: "book.pdf",
  page: 12,
  quote: "Water boils at 100 °C.",
  score: 0.8,
};

describe("an answer", () => {
  test("grows with its deltas and ends with its text", () => {
    const growing = after(asked("Hi"), delta("t1", "Hel"), delta("t1", "lo"));
    expect(said(growing)).toEqual([
      ["user", "Hi", "whole"],
      ["assistant", "Hello", "open"],
    ]);
    expect(said(next(growing, text("Hello!"))).at(-1)).toEqual(["assistant", "Hello!", "whole"]);
  });

  test("without deltas is its text", () => {
    expect(said(after(asked("Hi"), text("Hello!"), asked("And?"), text("Well.")))).toEqual([
      ["user", "Hi", "whole"],
      ["assistant", "Hello!", "whole"],
      ["user", "And?", "whole"],
      ["assistant", "Well.", "whole"],
    ]);
  });

  test("keeps its key while it grows, so that the page need not draw it anew", () => {
    const keys = [delta("t1", "a"), delta("t1", "b"), text("ab")].map(
      (_, count, all) => after(...all.slice(0, count + 1)).bubbles[0]?.key,
    );
    expect(new Set(keys).size).toBe(1);
  });
});

describe("sources", () => {
  const sources = told({ type: "sources", turn_id: "t1", items: [SOURCE] });

  test.each([
    ["before the first word", [sources, delta("t1", "At 100 °C."), text("At 100 °C.")]],
    ["between the words", [delta("t1", "At "), sources, delta("t1", "100 °C."), text("At 100 °C.")]],
    ["of an answer without deltas", [sources, text("At 100 °C.")]],
  ])("that come %s are the answer's", (_, happenings) => {
    const view = after(...happenings);
    expect(view.bubbles).toHaveLength(1);
    expect(view.bubbles[0]?.sources).toEqual([SOURCE]);
    expect(next(view, text("More.")).bubbles[1]?.sources).toEqual([]);
  });
});

describe("an interruption", () => {
  test("by the key leaves what was heard, and nothing that still comes of the turn", () => {
    const view = after(
      asked("Tell me all"),
      delta("t1", "One. Two. Three."),
      caption("t1", "One."),
      { type: "stopped" },
      interrupted("t1", "One."),
      delta("t1", " Four."),
      caption("t1", "Two."),
    );
    expect(said(view)).toEqual([
      ["user", "Tell me all", "whole"],
      ["assistant", "One.", "cut"],
    ]);
    expect(view.caption.text).toBe("");
    expect(view.stopping).toBe(0);
  });

  test("before anything was heard takes the answer away, and keeps what was typed", () => {
    const view = after(asked("Tell me"), delta("t1", "One."), { type: "stopped" }, interrupted("t1", ""));
    expect(said(view)).toEqual([["user", "Tell me", "whole"]]);
  });

  test("by speaking on takes the question back, which then comes whole", () => {
    const before = after(heard("I would like"), delta("t1", "Yes?"), interrupted("t1", ""));
    expect(said(before)).toEqual([]);
    expect(said(next(before, heard("I would like an apple")))).toEqual([
      ["user", "I would like an apple", "whole"],
    ]);
  });

  test("of nothing changes nothing", () => {
    const view = after(asked("Hi"), text("Hello!"));
    expect(said(after(asked("Hi"), text("Hello!"), { type: "stopped" }, interrupted(undefined, "")))).toEqual(
      said(view),
    );
  });

  test("after the whole text was written cuts that text", () => {
    const view = after(delta("t1", "One. Two."), text("One. Two."), interrupted("t1", "One."));
    expect(said(view)).toEqual([["assistant", "One.", "cut"]]);
  });
});

describe("speech", () => {
  test("is shown while it is understood, each time in the place of the one before", () => {
    const view = after(partial("I"), partial("I have"), heard("I have a question."));
    expect(said(after(partial("I"), partial("I have")))).toEqual([["user", "I have", "partial"]]);
    expect(said(view)).toEqual([["user", "I have a question.", "whole"]]);
    expect(view.bubbles[0]?.spoken).toBe(true);
  });

  test("that was a cough disappears", () => {
    expect(said(after(partial("mm"), state("idle")))).toEqual([]);
    expect(said(after(partial("mm"), state("listening")))).toHaveLength(1);
  });

  test("is the learner's caption until it is over", () => {
    expect(after(partial("I have")).caption).toEqual({ text: "I have", mine: true });
    expect(after(partial("I have"), heard("I have one")).caption.text).toBe("");
  });
});

describe("the connection", () => {
  test("that breaks ends the answer and forgets what was half said", () => {
    const view = after(delta("t1", "One."), partial("and"), { type: "stopped" }, state("speaking"), {
      type: "down",
    });
    expect(said(view)).toEqual([["assistant", "One.", "cut"]]);
    expect([view.told, view.stopping]).toEqual(["idle", 0]);
  });

  test("that is not there lets questions wait", () => {
    const view = after(asked("Hi", false));
    expect(said(view)).toEqual([["user", "Hi", "waiting"]]);
    expect(said(next(view, { type: "sent" }))).toEqual([["user", "Hi", "whole"]]);
  });

  test("that is there again is no longer told of as away", () => {
    const codes = ["engine_away", "microphone_denied"];
    const notices = codes.map((code): Happening => ({ type: "notice", code, sentence: "" }));
    const view = after(...notices, { type: "sent" });
    expect(view.notices.map(({ code }) => code)).toEqual(["microphone_denied"]);
  });

  test("that comes back shows what was stored, and what is still to be sent after it", () => {
    const message = { message_id: 1, interrupted: true, created_at: "" };
    const messages = [{ ...message, role: "assistant" as const, content: "One." }];
    expect(said(after(asked("Hi", false), { type: "history", messages }))).toEqual([
      ["assistant", "One.", "cut"],
      ["user", "Hi", "waiting"],
    ]);
  });
});

describe("the tutor", () => {
  test("speaks for as long as its voice sounds here", () => {
    const view = after(state("idle"), { type: "playing", playing: true });
    expect(activityOf(view)).toBe("speaking");
    expect(isAnswering(view)).toBe(true);
    expect(activityOf(next(view, { type: "playing", playing: false }))).toBe("idle");
  });

  test("listens when the microphone is open and nothing else is done", () => {
    const open: Happening = { type: "listening", listening: "open" };
    expect(activityOf(after(open))).toBe("listening");
    expect(activityOf(after(open, state("thinking")))).toBe("thinking");
  });
});

describe("notices", () => {
  const notice = (code: string): Happening => ({ type: "notice", code, sentence: "" });

  test("of the same kind are told once, and no more than three at a time", () => {
    const view = after(...["a", "b", "a", "c", "d"].map(notice));
    expect(view.notices.map(({ code }) => code)).toEqual(["a", "c", "d"]);
  });

  test("can be put away", () => {
    const view = after(notice("a"), notice("b"));
    const left = next(view, { type: "dismissed", key: view.notices[0]?.key ?? 0 });
    expect(left.notices.map(({ code }) => code)).toEqual(["b"]);
  });
});

test("what is not known changes nothing", () => {
  const view = after(asked("Hi"));
  expect(next(view, told({ type: "news" } as unknown as EngineEvent))).toEqual(view);
});
