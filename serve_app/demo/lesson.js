// A learner and a tutor: what is said goes to the engine, what comes back is heard and shown.

import { Conversation } from "./conversation.js";
import { Ear } from "./ear.js";
import { Engine } from "./engine.js";
import { TAKE } from "./events.js";
import { Microphone } from "./microphone.js";
import { Peer } from "./peer.js";
import { Player } from "./player.js";

export const TUTORS = new Map([
  [1, { name: "梅老师", face: "mei" }],
  [2, { name: "Anna", face: "anna" }],
  [3, { name: "David", face: "david" }],
]);

export const SAMPLE = "weather"; // the sample course, which comes with the engine
const COURSES_MS = 20_000; // nobody waits for it
const COURSES_START_MS = 3_000;
const RETRY_MS = 5_000;
const TRIES_BEFORE_TELLING = 2;

/** Events: `change`, `caption` (detail: {text, mine}), `notice` (detail: {code, sentence}), `stream`. */
export class Lesson extends EventTarget {
  constructor(tutorId, relayOnly) {
    super();
    this.tutorId = tutorId;
    this.engine = new Engine();
    this.peer = new Peer((message) => this.engine.send(message), relayOnly);
    this.conversations = newConversations();
    this.courses = []; // ids of those that can be chosen
    this.states = new Map(); // session id → what the engine says that it does
    this.isStarted = false;
    this.wasUp = false;
    this.listening = "closed"; // or open, held
    this.wished = "closed";
    this.openBefore = false;
    this.interrupting = 0;
    this.unsent = [];
    this.staged = null; // the tutor in the live picture
    this.told = new Set();
    this.captions = [];
    this.errors = [];
    this.lastTranscript = "";
    this.latencyMs = null;
    this.metrics = null;
    this.written = { turnId: "", text: "" };
    this.engine.addEventListener("event", ({ detail }) => this.take(detail));
    this.engine.addEventListener("up", () => this.up());
    this.engine.addEventListener("down", () => this.down());
    this.engine.addEventListener("retry", () => this.connect());
    this.peer.addEventListener("change", () => this.peerChanged());
    this.peer.addEventListener("again", () => this.engine.greet());
    this.peer.addEventListener("stream", ({ detail }) => this.streamed(detail));
  }

  get conversation() {
    return this.conversations.get(this.tutorId);
  }

  get sessionId() {
    return this.engine.sessions.get(this.tutorId)?.id ?? null;
  }

  get state() {
    if (this.player?.isPlaying) return "speaking";
    const told = this.states.get(this.sessionId) ?? "idle";
    return told === "idle" && this.listening !== "closed" ? "listening" : told;
  }

  get isAnswering() {
    return this.state === "speaking" || this.state === "thinking";
  }

  get link() {
    if (!this.isStarted) return "off";
    if (!this.engine.isUp) return this.wasUp ? "reconnecting" : "connecting";
    if (this.peer.isConnected) return "live";
    return this.peer.state === "connecting" ? "connecting" : "socket";
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  tell(code, sentence = "") {
    this.errors.push({ code, sentence });
    this.dispatchEvent(new CustomEvent("notice", { detail: { code, sentence } }));
  }

  // ── beginning ──────────────────────────────────────────────────────────────────────────────────

  /** Must come from a click, or the browser keeps silent. Throws `Refused`. */
  async start() {
    this.context ??= new AudioContext({ latencyHint: "interactive" });
    this.context.resume();
    this.ear ??= new Ear(this.context);
    this.player ??= new Player(this.context, this.ear, () => this.changed());
    this.microphone ??= this.createMicrophone();
    // The key may have come meanwhile, or the sample course; a learner who has pressed Start waits.
    if (this.courses.length === 0) await this.findCourses(COURSES_START_MS);
    await this.engine.session(this.tutorId);
    this.isStarted = true;
    this.engine.connect();
    this.changed();
  }

  /** Which courses there are; the first time that there are any, the sample course is chosen. */
  async findCourses(limitMs = COURSES_MS) {
    const found = await this.engine.courses(limitMs);
    if (found.length === 0) return;
    const isFirst = this.courses.length === 0;
    this.courses = found;
    if (isFirst && !this.isStarted && found.includes(SAMPLE)) this.engine.kbId = SAMPLE;
    this.changed();
  }

  createMicrophone() {
    const microphone = new Microphone(this.context);
    microphone.addEventListener("sound", ({ detail }) => this.engine.sendSound(detail));
    microphone.addEventListener("ended", () => this.listen("closed"));
    return microphone;
  }

  async connect() {
    try {
      await this.engine.session(this.tutorId);
      this.engine.connect();
    } catch (refused) {
      if (!this.told.has(refused.code)) this.tell(refused.code, refused.message);
      this.told.add(refused.code);
      setTimeout(() => this.connect(), RETRY_MS);
    }
  }

  up() {
    this.wasUp = true;
    this.told.delete("engine_away");
    if (this.listening !== "closed") this.tellMicrophone(this.listening);
    this.unsent.splice(0).forEach((text) => this.ask(text));
    this.changed();
  }

  down() {
    this.states.clear();
    this.interrupting = 0;
    this.changed();
  }

  /** Ask for the live picture, unless it is there or the engine has none. */
  offer() {
    if (this.peer.isAlive || this.peer.state === "unavailable" || !this.sessionId) return;
    this.staged = this.tutorId;
    this.peer.offer(this.engine.iceServers, this.call()).catch((error) => {
      this.tell("webrtc_failed", error.message);
      this.peer.fail();
    });
  }

  /** Whether the live picture shows whom it should: it changes with the first word. */
  get isStaged() {
    return this.staged === this.tutorId;
  }

  call() {
    const { studentId } = this.engine;
    return { user_id: studentId, avatar_id: `avatar_tutor_${this.tutorId}`, engine_session_id: this.sessionId };
  }

  /** Because the learner wants it: at once. */
  reconnect() {
    if (!this.isStarted) return;
    if (this.peer.state === "unavailable") this.peer.turn("none");
    this.told.clear();
    if (this.engine.isUp) this.engine.greet();
  }

  peerChanged() {
    if (this.peer.isConnected) this.told.clear();
    if (this.peer.failures === TRIES_BEFORE_TELLING && this.peer.state === "failed") this.tellOnce("webrtc_failed");
    this.carrySound();
    this.changed();
  }

  tellOnce(code, sentence) {
    const known = [...this.told].some((told) => told.startsWith("webrtc") || told.startsWith("turn"));
    if (known) return;
    this.told.add(code);
    this.tell(code, sentence);
  }

  streamed(stream) {
    this.ear.attend(stream);
    this.dispatchEvent(new CustomEvent("stream", { detail: stream }));
  }

  // ── the learner ────────────────────────────────────────────────────────────────────────────────

  /** Ask in writing; what is being answered stops. */
  async say(text) {
    const content = text.trim();
    if (!content || !this.isStarted) return;
    if (this.isAnswering) this.interrupt();
    this.conversation.wrote(content);
    this.expectVoice(performance.now());
    await this.ask(content);
    this.changed();
  }

  async ask(content) {
    try {
      await this.engine.session(this.tutorId); // a new one where the old one has ended
    } catch (refused) {
      this.tell(refused.code, refused.message);
      return;
    }
    const question = this.peer.isConnected
      ? { type: "text_webrtc", content, ...this.call() }
      : { type: "text", content, engine_session_id: this.sessionId };
    if (!this.engine.send(question)) this.unsent.push(content);
  }

  interrupt() {
    this.player?.stop();
    this.ear?.forget();
    if (this.engine.send({ type: "interrupt", engine_session_id: this.sessionId })) this.interrupting += 1;
    this.changed();
  }

  /** `open`, `held` or `closed`. */
  async listen(state) {
    this.wished = state;
    if (!this.isStarted) return;
    if (state !== "closed" && !(await this.openMicrophone())) this.wished = "closed";
    if (this.wished !== state || this.listening === state) return;
    const before = this.listening;
    this.listening = state;
    await this.carrySound();
    this.tellMicrophone(state);
    if (state === "closed") this.microphone.close({ soon: before === "held" });
    this.changed();
  }

  async openMicrophone() {
    if (!this.peer.isConnected && !this.engine.features.has("stream_in")) {
      this.tell("microphone_unsupported");
      return false;
    }
    try {
      await this.microphone.open();
      return true;
    } catch (error) {
      this.tell(error.code ?? "microphone_missing", error.code ? "" : error.message);
      return false;
    }
  }

  /** The key is down: the tutor stops, and listens. */
  async hold() {
    if (this.wished === "held") return;
    this.openBefore = this.wished === "open";
    if (this.isAnswering) this.interrupt();
    await this.listen("held");
  }

  async letGo() {
    if (this.wished !== "held") return;
    await this.listen("closed");
    if (this.openBefore) await this.listen("open");
  }

  tellMicrophone(state) {
    if (!this.sessionId) return;
    this.engine.send({ type: "microphone", state, engine_session_id: this.sessionId });
  }

  /** Over the live connection where there is one, else over the socket. */
  async carrySound() {
    if (!this.microphone) return;
    const carried = this.listening !== "closed";
    await this.peer.hear(carried ? this.microphone.track : null);
    if (carried && !this.peer.isConnected && this.engine.features.has("stream_in")) {
      await this.microphone.startStreaming();
    } else {
      this.microphone.stopStreaming();
    }
  }

  async switchTutor(tutorId) {
    if (tutorId === this.tutorId || !TUTORS.has(tutorId)) return;
    if (this.isAnswering) this.interrupt();
    const listened = this.listening;
    if (listened !== "closed") this.tellMicrophone("closed");
    this.tutorId = tutorId;
    this.latencyMs = this.metrics = null;
    this.caption("");
    this.changed();
    if (this.isStarted) await this.enter();
  }

  /** Another course, null for none: with it other conversations begin. */
  async switchCourse(kbId) {
    if (kbId === this.engine.kbId) return;
    if (this.isAnswering) this.interrupt();
    if (this.listening !== "closed") this.tellMicrophone("closed");
    const left = this.engine.changeCourse(kbId);
    this.conversations = newConversations();
    this.latencyMs = this.metrics = null;
    this.caption("");
    this.changed();
    if (this.isStarted) await this.enter();
    this.engine.end(left); // not before there is another one: with the last one the socket closes
  }

  /** The session with the chosen tutor about the chosen course is the one on stage. */
  async enter() {
    const { tutorId } = this;
    try {
      await this.engine.session(tutorId);
    } catch (refused) {
      this.tell(refused.code, refused.message);
      return;
    }
    // Names the session that is on stage from now on.
    const knowsMicrophone = this.engine.features.has("stream_in") || this.peer.isConnected;
    if (knowsMicrophone && this.tutorId === tutorId) this.tellMicrophone(this.listening);
    this.changed();
  }

  expectVoice(fromMs) {
    this.ear.expect(fromMs, (ms) => {
      this.latencyMs = ms;
      this.changed();
    });
  }

  // ── the engine ─────────────────────────────────────────────────────────────────────────────────

  take(event) {
    const mine = !event.engine_session_id || event.engine_session_id === this.sessionId;
    const tutorId = mine ? this.tutorId : this.tutorOf(event.engine_session_id);
    const isLeft = this.engine.left.has(event.engine_session_id);
    const conversation = isLeft ? new Conversation() : this.conversations.get(tutorId) ?? this.conversation;
    TAKE[event.type]?.(this, event, conversation, mine);
    this.changed();
  }

  tutorOf(sessionId) {
    return [...this.engine.sessions].find(([, session]) => session.id === sessionId)?.[0];
  }

  caption(text, mine = false) {
    this.lastCaption = mine ? this.lastCaption : text || this.lastCaption;
    this.dispatchEvent(new CustomEvent("caption", { detail: { text, mine } }));
  }
}

function newConversations() {
  return new Map([...TUTORS].map(([id, tutor]) => [id, new Conversation(tutor)]));
}
