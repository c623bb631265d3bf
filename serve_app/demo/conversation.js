// What was said in one session, as bubbles.

import { sourcesNode } from "./sources.js";
import { word } from "./words.js";

export class Conversation {
  constructor(tutor) {
    this.tutor = tutor;
    this.node = document.createElement("ol");
    this.node.className = "log";
    this.bubbles = []; // {role, text, node, said, turnId, spoken, partial, closed, cut}
    this.over = new Set(); // turns that were cut: what still comes of them is not shown
  }

  get messages() {
    return this.bubbles.map(({ role, text, cut, partial }) => ({ role, text, cut, partial }));
  }

  // ── the learner ────────────────────────────────────────────────────────────────────────────────

  wrote(text) {
    this.write(this.add("user"), text);
  }

  /** Understood so far; replaces what was understood before. */
  hearing(text) {
    const bubble = this.partial() ?? this.add("user");
    bubble.spoken = bubble.partial = true;
    this.write(bubble, text);
  }

  heard(text) {
    const bubble = this.partial() ?? this.add("user");
    bubble.spoken = true;
    bubble.partial = false;
    this.write(bubble, text);
  }

  partial() {
    return this.bubbles.findLast((bubble) => bubble.partial);
  }

  /** It was a cough. */
  nothingSaid() {
    const bubble = this.partial();
    if (bubble && !bubble.reopened) this.remove(bubble);
  }

  // ── the tutor ──────────────────────────────────────────────────────────────────────────────────

  delta(turnId, text) {
    if (this.over.has(turnId)) return;
    const bubble = this.answer(turnId) ?? this.add("assistant", turnId);
    this.write(bubble, bubble.text + text);
  }

  /** The whole answer; it does not name its turn. */
  closed(text) {
    const open = this.bubbles.findLast((bubble) => bubble.role === "assistant" && !bubble.closed);
    const bubble = open ?? this.add("assistant");
    bubble.closed = true;
    this.write(bubble, text);
  }

  /** What of the course the answer stands on; comes before the whole of it. */
  sources(turnId, items) {
    if (this.over.has(turnId) || items.length === 0) return;
    const bubble = this.answer(turnId) ?? this.add("assistant", turnId);
    this.followed(bubble, () => bubble.node.append(sourcesNode(items)));
  }

  /** Interrupted: only what was heard has been said. `byKey`: not by speaking on. */
  cut(turnId, heard, byKey) {
    if (!turnId) return;
    this.over.add(turnId);
    const bubble = this.answer(turnId);
    if (bubble && heard) {
      bubble.cut = bubble.closed = true;
      this.write(bubble, heard);
      return;
    }
    if (bubble) this.remove(bubble);
    const last = this.bubbles.at(-1);
    // The learner had not finished: the question comes again, whole.
    if (!heard && !byKey && last?.role === "user" && last.spoken) last.partial = last.reopened = true;
  }

  answer(turnId) {
    return this.bubbles.findLast((bubble) => bubble.turnId === turnId);
  }

  // ── the page ───────────────────────────────────────────────────────────────────────────────────

  add(role, turnId = null) {
    const bubble = { role, turnId, text: "", node: document.createElement("li"), said: document.createElement("p") };
    bubble.node.className = role;
    bubble.node.append(bubble.said);
    this.bubbles.push(bubble);
    this.node.append(bubble.node);
    return bubble;
  }

  write(bubble, text) {
    bubble.text = text;
    this.followed(bubble, () => {
      bubble.said.textContent = text.trim();
      bubble.node.classList.toggle("partial", Boolean(bubble.partial));
      bubble.node.classList.toggle("cut", Boolean(bubble.cut));
      if (bubble.cut) bubble.said.dataset.cut = word("cut");
    });
  }

  /** A change of a bubble, which the log follows unless the learner reads further up. */
  followed(bubble, change) {
    const log = this.node.parentElement;
    const atEnd = !log || log.scrollHeight - log.scrollTop - log.clientHeight < 80;
    change();
    if (log && (atEnd || bubble.role === "user")) log.scrollTop = log.scrollHeight;
  }

  remove(bubble) {
    this.bubbles.splice(this.bubbles.indexOf(bubble), 1);
    bubble.node.remove();
  }
}
