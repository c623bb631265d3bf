// What a conversation looks like, as a pure function of what has happened: events in, view out.

import type { EngineEvent, MessagePublic, SourceItem, TurnMetricsEvent } from "../wire/generated";

export interface Bubble {
  key: number;
  role: "user" | "assistant";
  text: string;
  /** Null of what a learner says, and of answers that came without deltas. */
  turnId: string | null;
  spoken: boolean;
  /** `partial`: still being said; `waiting`: not sent yet; `open`: being written; `cut`: interrupted. */
  state: "partial" | "waiting" | "open" | "whole" | "cut";
  sources: SourceItem[];
}

export interface Notice {
  key: number;
  code: string;
  /** The engine's; empty where the page has words of its own for the code. */
  sentence: string;
}

export type Link = "off" | "connecting" | "reconnecting" | "live" | "socket";
export type Listening = "closed" | "open" | "held";
export type Activity = "listening" | "thinking" | "speaking" | "idle";

export interface View {
  bubbles: Bubble[];
  /** Turns that were cut: what still comes of them is not shown. */
  over: string[];
  caption: { text: string; mine: boolean };
  notices: Notice[];
  link: Link;
  listening: Listening;
  /** What the engine says that it does. */
  told: Activity;
  /** Whether a voice that came over the socket is sounding here. */
  playing: boolean;
  /** Stops that were asked for and not yet confirmed. */
  stopping: number;
  features: string[];
  metrics: TurnMetricsEvent | null;
  /** From the end of the question to the first sound of the answer, as heard here. */
  latencyMs: number | null;
  /** Sources that came before the first word of their answer. */
  early: { turnId: string; items: SourceItem[] } | null;
  nextKey: number;
}

export type Happening =
  | { type: "history"; messages: MessagePublic[] }
  | { type: "asked"; text: string; sent: boolean }
  /** The engine is there, and has been sent what was waiting. */
  | { type: "sent" }
  | { type: "told"; event: EngineEvent }
  | { type: "stopped" }
  | { type: "down" }
  | { type: "playing"; playing: boolean }
  | { type: "link"; link: Link }
  | { type: "listening"; listening: Listening }
  | { type: "latency"; ms: number }
  | { type: "notice"; code: string; sentence: string }
  | { type: "dismissed"; key: number };

export const BLANK: View = {
  bubbles: [],
  over: [],
  caption: { text: "", mine: false },
  notices: [],
  link: "off",
  listening: "closed",
  told: "idle",
  playing: false,
  stopping: 0,
  features: [],
  metrics: null,
  latencyMs: null,
  early: null,
  nextKey: 1,
};

const MOST_NOTICES = 3; // more would cover the lesson
const AWAY = ["engine_away", "server_away", "lesson_over"]; // told until there is a lesson again
const MOST_OVER = 50; // turns end within minutes; nothing comes of the fiftieth before

export function activityOf(view: View): Activity {
  if (view.playing) return "speaking";
  return view.told === "idle" && view.listening !== "closed" ? "listening" : view.told;
}

export function isAnswering(view: View): boolean {
  const activity = activityOf(view);
  return activity === "speaking" || activity === "thinking";
}

export function next(view: View, happening: Happening): View {
  switch (happening.type) {
    case "history":
      return remembered(view, happening.messages);
    case "asked":
      return asked(view, happening.text, happening.sent);
    case "sent":
      return {
        ...view,
        notices: view.notices.filter(({ code }) => !AWAY.includes(code)),
        bubbles: view.bubbles.map((b) => (b.state === "waiting" ? { ...b, state: "whole" } : b)),
      };
    case "told":
      return told(view, happening.event);
    case "stopped":
      return { ...view, stopping: view.stopping + 1, caption: BLANK.caption };
    case "down":
      return down(view);
    case "latency":
      return { ...view, latencyMs: happening.ms };
    case "notice":
      return noticed(view, happening.code, happening.sentence);
    case "dismissed":
      return { ...view, notices: view.notices.filter(({ key }) => key !== happening.key) };
    default:
      return set(view, happening);
  }
}

/** The answer that was being given ends with the socket. */
function down(view: View): View {
  const kept = view.bubbles.filter(({ state }) => state !== "partial");
  const bubbles = kept.map((b): Bubble => (b.state === "open" ? { ...b, state: "cut" } : b));
  return { ...view, told: "idle", stopping: 0, early: null, bubbles };
}

function set(view: View, happening: Happening): View {
  switch (happening.type) {
    case "playing":
      return { ...view, playing: happening.playing };
    case "link":
      return { ...view, link: happening.link };
    case "listening":
      return { ...view, listening: happening.listening };
    default:
      return view;
  }
}

// ── bubbles ──────────────────────────────────────────────────────────────────────────────────────

function added(view: View, bubble: Partial<Bubble> & Pick<Bubble, "role" | "text" | "state">): View {
  const whole = { turnId: null, spoken: false, sources: [], ...bubble, key: view.nextKey };
  return { ...view, bubbles: [...view.bubbles, whole], nextKey: view.nextKey + 1 };
}

function changed(view: View, key: number, change: Partial<Bubble>): View {
  return { ...view, bubbles: view.bubbles.map((b) => (b.key === key ? { ...b, ...change } : b)) };
}

function without(view: View, key: number): View {
  return { ...view, bubbles: view.bubbles.filter((bubble) => bubble.key !== key) };
}

/** What was stored, before what has been said since the page opened and is not stored yet. */
function remembered(view: View, messages: MessagePublic[]): View {
  const waiting = view.bubbles.filter(({ state }) => state === "waiting");
  let result: View = { ...view, bubbles: [] };
  for (const { role, content, interrupted } of messages) {
    result = added(result, { role, text: content, state: interrupted ? "cut" : "whole" });
  }
  return { ...result, bubbles: [...result.bubbles, ...waiting] };
}

function asked(view: View, text: string, sent: boolean): View {
  return added(view, { role: "user", text, state: sent ? "whole" : "waiting" });
}

function noticed(view: View, code: string, sentence: string): View {
  const others = view.notices.filter((notice) => notice.code !== code);
  const notices = [...others, { key: view.nextKey, code, sentence }].slice(-MOST_NOTICES);
  return { ...view, notices, nextKey: view.nextKey + 1 };
}

// ── the engine ───────────────────────────────────────────────────────────────────────────────────

function told(view: View, event: EngineEvent): View {
  switch (event.type) {
    case "hello":
      return { ...view, features: event.features };
    case "transcription_delta":
      return { ...heard(view, event.content, "partial"), caption: { text: event.content, mine: true } };
    case "transcription":
      return { ...heard(view, event.content, "whole"), caption: BLANK.caption };
    case "text_delta":
      return delta(view, event.turn_id, event.content);
    case "text":
    case "video":
      return closed(view, event.content);
    default:
      return toldBeside(view, event);
  }
}

/** What is not said by anybody. */
function toldBeside(view: View, event: EngineEvent): View {
  switch (event.type) {
    case "caption":
      if (view.over.includes(event.turn_id)) return view;
      return { ...view, caption: { text: event.content, mine: false } };
    case "sources":
      return sourced(view, event.turn_id, event.items);
    case "state":
      return stated(view, event.state);
    case "turn_metrics":
      return { ...view, metrics: event };
    case "interrupted":
      return cut(view, event.turn_id ?? null, event.heard);
    default:
      return view;
  }
}

/** What the learner is understood to be saying; replaces what was understood before. */
function heard(view: View, text: string, state: "partial" | "whole"): View {
  const partial = view.bubbles.findLast((bubble) => bubble.state === "partial");
  if (partial) return changed(view, partial.key, { text, state });
  return added(view, { role: "user", text, state, spoken: true });
}

function delta(view: View, turnId: string, text: string): View {
  if (view.over.includes(turnId)) return view;
  const bubble = answer(view, turnId);
  if (bubble) return changed(view, bubble.key, { text: bubble.text + text });
  return added(view, { role: "assistant", text, turnId, state: "open" });
}

/** The whole answer; it does not name its turn. */
function closed(view: View, text: string): View {
  const open = view.bubbles.findLast((bubble) => bubble.state === "open");
  const sources = view.early?.items ?? [];
  if (!open) return { ...added(view, { role: "assistant", text, state: "whole", sources }), early: null };
  const own = open.sources.length ? open.sources : sources;
  return { ...changed(view, open.key, { text, state: "whole", sources: own }), early: null };
}

function sourced(view: View, turnId: string, items: SourceItem[]): View {
  const bubble = answer(view, turnId);
  return bubble ? changed(view, bubble.key, { sources: items }) : { ...view, early: { turnId, items } };
}

function stated(view: View, state: Activity): View {
  // It was a cough: what seemed to be said was nothing.
  const quiet = state === "idle" || state === "speaking";
  const bubbles = quiet ? view.bubbles.filter((bubble) => bubble.state !== "partial") : view.bubbles;
  return { ...view, told: state, bubbles };
}

/** Interrupted: only what was heard has been said. */
function cut(before: View, turnId: string | null, heardText: string): View {
  const byKey = before.stopping > 0;
  const view = { ...before, stopping: Math.max(0, before.stopping - 1), caption: BLANK.caption, early: null };
  if (!turnId) return view;
  const over = [...view.over, turnId].slice(-MOST_OVER);
  const bubble = answer(view, turnId) ?? view.bubbles.findLast(({ state }) => state === "open");
  if (bubble && heardText) return { ...changed(view, bubble.key, { text: heardText, state: "cut" }), over };
  const left = bubble ? without(view, bubble.key) : view;
  const last = left.bubbles.at(-1);
  // The learner had not finished: the question comes again, whole.
  const taken = !heardText && !byKey && last?.role === "user" && last.spoken;
  return { ...(taken ? without(left, last.key) : left), over };
}

function answer(view: View, turnId: string): Bubble | undefined {
  return view.bubbles.findLast((bubble) => bubble.turnId === turnId);
}
