// The engine as the page sees it: sessions over REST, and one socket for all of them.

const BASE = new URL("../", import.meta.url);
const FEATURES = ["deltas", "captions", "state", "metrics", "ice_servers", "stream_in", "sources"];
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const PING_MS = 15_000;
const SILENCE_MS = 40_000; // several pings unanswered: the network is gone, though nobody said so

/** A refusal of the engine, by its code. */
export class Refused extends Error {
  constructor(code, sentence) {
    super(sentence);
    this.code = code;
  }
}

/**
 * Events: `event` (detail: one of the engine's events), `up` (it has answered our hello), `down`,
 * `retry` (it is time to connect again).
 */
export class Engine extends EventTarget {
  constructor() {
    super();
    this.studentId = studentId();
    this.sessions = new Map(); // tutor id → {id, token}
    this.creating = new Map(); // tutor id and course → the same, on its way
    this.kbId = null; // the course of the sessions; null: the tutor's own, if it has one
    this.left = new Set(); // ids of sessions that were about another course
    this.features = new Set();
    this.iceServers = [];
    this.key = ""; // in memory only
    this.isUp = false;
    this.socket = null;
    this.waitMs = FIRST_WAIT_MS;
    this.lastHeardMs = 0;
    this.wanted = false;
    setInterval(() => this.keepAlive(), PING_MS);
  }

  /** The session with this tutor; created once. */
  async session(tutorId) {
    const known = this.sessions.get(tutorId);
    if (known) return known;
    const key = JSON.stringify([tutorId, this.kbId]);
    if (!this.creating.has(key)) {
      const created = this.create(tutorId, this.kbId).finally(() => this.creating.delete(key));
      this.creating.set(key, created);
    }
    return this.creating.get(key);
  }

  async create(tutorId, kbId) {
    const body = JSON.stringify({ tutor_id: tutorId, student_id: this.studentId, kb_id: kbId });
    const created = await (await this.call("POST", "v1/sessions", body)).json();
    const session = { id: created.session_id, token: created.engine_token };
    if (kbId !== this.kbId) {
      this.end([session.id]); // another course was chosen meanwhile
      return this.session(tutorId);
    }
    this.sessions.set(tutorId, session);
    return session;
  }

  /** Ids of the knowledge bases in which there is something; none where they cannot be asked. */
  async courses(limitMs) {
    try {
      const answer = await this.call("GET", "v1/knowledge", undefined, AbortSignal.timeout(limitMs));
      return (await answer.json()).filter((base) => base.documents > 0).map((base) => base.kb_id);
    } catch {
      return [];
    }
  }

  /** New sessions are about this course; the ids of those there are, which are to be ended. */
  changeCourse(kbId) {
    this.kbId = kbId;
    const ids = [...this.sessions.values()].map((session) => session.id);
    ids.forEach((id) => this.left.add(id));
    this.sessions.clear();
    return ids;
  }

  end(ids) {
    for (const id of ids) this.call("DELETE", `v1/sessions/${id}`).catch(() => {});
  }

  async call(method, path, body, signal) {
    const headers = body ? { "Content-Type": "application/json" } : {};
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    let answer;
    try {
      answer = await fetch(new URL(path, BASE), { method, body, headers, signal, keepalive: method === "DELETE" });
    } catch {
      throw new Refused("engine_away", "");
    }
    if (answer.ok) return answer;
    throw new Refused(codeOf(answer.status), await sentenceOf(answer));
  }

  forget(sessionId) {
    for (const [tutorId, session] of this.sessions) {
      if (session.id === sessionId) this.sessions.delete(tutorId);
    }
  }

  /** Gives the places back; the page is about to close. */
  endSessions() {
    this.wanted = false;
    this.end([...this.sessions.values()].map((session) => session.id));
    this.sessions.clear();
  }

  /** Ends what earlier pages of this learner have left behind. */
  async endOthers() {
    const mine = new Set([...this.sessions.values()].map((session) => session.id));
    const listed = await (await this.call("GET", `v1/sessions?student_id=${this.studentId}`)).json();
    for (const { session_id: id } of listed) {
      if (!mine.has(id)) await this.call("DELETE", `v1/sessions/${id}`);
    }
  }

  // ── the socket ─────────────────────────────────────────────────────────────────────────────────

  connect() {
    this.wanted = true;
    const session = this.sessions.values().next().value;
    if (!session || this.socket) return;
    const url = new URL(`ws/user_${this.studentId}`, BASE);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url, ["bearer", session.token]);
    this.socket = socket;
    socket.onopen = () => this.greet();
    socket.onmessage = ({ data }) => this.take(JSON.parse(data));
    socket.onclose = ({ code }) => this.lost(socket, code);
  }

  /** Says hello, which also renews the ICE servers. */
  greet() {
    this.lastHeardMs = performance.now();
    this.send({ type: "hello", features: FEATURES });
  }

  take(event) {
    this.lastHeardMs = performance.now();
    if (event.type === "pong") return;
    if (event.type === "ice_servers") this.iceServers = event.items;
    if (event.type === "hello") this.greeted(event);
    this.dispatchEvent(new CustomEvent("event", { detail: event }));
  }

  greeted(hello) {
    this.features = new Set(hello.features);
    this.waitMs = FIRST_WAIT_MS;
    if (this.isUp) return;
    this.isUp = true;
    this.dispatchEvent(new Event("up"));
  }

  lost(socket, code) {
    if (socket !== this.socket) return;
    this.socket = null;
    this.isUp = false;
    // 4401 and 4404: the engine does not know our sessions any more.
    if (code === 4401 || code === 4404) this.sessions.clear();
    this.dispatchEvent(new CustomEvent("down", { detail: code }));
    if (!this.wanted) return;
    setTimeout(() => this.dispatchEvent(new Event("retry")), this.waitMs * (0.75 + Math.random() / 2));
    this.waitMs = Math.min(this.waitMs * 2, LONGEST_WAIT_MS);
  }

  keepAlive() {
    if (!this.socket) return;
    if (this.isUp && performance.now() - this.lastHeardMs > SILENCE_MS) {
      const socket = this.socket;
      this.lost(socket, 1006);
      socket.close();
      return;
    }
    this.send({ type: "ping" });
  }

  /** Whether it could be sent. */
  send(message) {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Live sound: PCM s16 at 16 kHz. Dropped when the network cannot take it in time. */
  sendSound(samples) {
    if (!this.isUp || this.socket.bufferedAmount > 256_000) return;
    this.socket.send(samples.buffer);
  }
}

function codeOf(status) {
  const codes = { 401: "key_wanted", 429: "too_many_sessions_for_student", 503: "too_many_sessions" };
  return codes[status] ?? "refused";
}

async function sentenceOf(answer) {
  try {
    const { detail } = await answer.json();
    return typeof detail === "string" ? detail : `HTTP ${answer.status}`;
  } catch {
    return `HTTP ${answer.status}`;
  }
}

function studentId() {
  const fresh = 1 + Math.floor(Math.random() * 2_000_000_000);
  try {
    const kept = Number(localStorage.getItem("tutor.student"));
    if (Number.isSafeInteger(kept) && kept > 0) return kept;
    localStorage.setItem("tutor.student", String(fresh));
  } catch {
    // Without storage this page is a learner of its own.
  }
  return fresh;
}
