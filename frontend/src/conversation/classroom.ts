// A learner and a tutor: what is said goes to the engine, what comes back is heard and shown.

import { Refusal } from "../api/http";
import { createLesson, endLesson, forgetLesson, type Lesson, openLesson } from "../api/lessons";
import type { TutorCard } from "../api/models";
import { tokens } from "../auth/tokens";
import type { EngineEvent, IceServer } from "../wire/generated";
import { Ear } from "./ear";
import { Microphone, NoMicrophone } from "./microphone";
import { type Call, Peer } from "./peer";
import { Player } from "./player";
import { EngineSocket, isAway, proxyUrl } from "./socket";
import { BLANK, type Happening, isAnswering, type Link, type Listening, next, type View } from "./view";

const RETRY_MS = 5_000;
const TRIES_BEFORE_TELLING = 2; // the first offer may fail for reasons that are gone a second later
const SPEECH_IS_RECENT_MS = 10_000;
const SESSION_GONE = 4404; // the engine does not know our session any more

export class Classroom {
  stream: MediaStream | null = null;
  private current: View = BLANK;
  private readonly listeners = new Set<() => void>();
  private readonly socket: EngineSocket;
  private readonly peer: Peer;
  private context: AudioContext | null = null;
  private ear: Ear | null = null;
  private player: Player | null = null;
  private microphone: Microphone | null = null;
  private lesson: Lesson | null = null;
  private entering: Promise<void> | null = null;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private iceServers: IceServer[] = [];
  private unsent: string[] = [];
  private wished: Listening = "closed";
  private openBefore = false;
  private wasUp = false;
  private isLeft = false;
  private toldOfPeer = false;
  private unanswered = false;
  private deviceId = "";

  constructor(
    private readonly tutor: Pick<TutorCard, "id">,
    private readonly userId: number,
  ) {
    this.socket = new EngineSocket(tokens, {
      event: (event) => this.take(event),
      up: () => this.up(),
      down: (code) => this.down(code),
      retry: () => this.enter(),
    });
    this.peer = new Peer((message) => this.socket.send(message), {
      change: () => this.peerChanged(),
      stream: (stream) => this.streamed(stream),
      again: () => this.socket.greet(), // with fresh ICE servers
    });
  }

  // ── for the page ───────────────────────────────────────────────────────────────────────────────

  view = (): View => this.current;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** RMS of the tutor's voice as it is heard. */
  voiceLevel = (): number => this.ear?.level ?? 0;

  /** The learner's voice, 0 to 1. */
  microphoneLevel = (): number => this.microphone?.level ?? 0;

  dismiss = (key: number): void => this.happen({ type: "dismissed", key });

  private happen(happening: Happening): void {
    this.current = next(this.current, happening);
    for (const listener of this.listeners) listener();
  }

  private tell(code: string, sentence = ""): void {
    this.happen({ type: "notice", code, sentence });
  }

  // ── coming and going ───────────────────────────────────────────────────────────────────────────

  /** Must come from a click, or the browser keeps silent. */
  start = async (): Promise<void> => {
    this.isLeft = false;
    this.context ??= new AudioContext({ latencyHint: "interactive" });
    void this.context.resume();
    this.ear ??= new Ear(this.context);
    this.player ??= new Player(this.context, this.ear.analyser, () => this.played());
    this.microphone ??= new Microphone(this.context, {
      sound: (samples) => this.socket.sendSound(samples),
      ended: () => void this.listen("closed"),
    });
    this.happen({ type: "link", link: "connecting" });
    await this.enter();
  };

  /** Finds the lesson that was left open, or begins one, and connects. */
  private async enter(): Promise<void> {
    this.entering ??= this.tryToEnter().finally(() => {
      this.entering = null;
    });
    await this.entering;
  }

  private async tryToEnter(): Promise<void> {
    clearTimeout(this.retry);
    try {
      this.lesson ??= (await this.reopened()) ?? (await createLesson(this.userId, this.tutor.id));
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      this.refused(refusal);
      return;
    }
    if (this.isLeft) return;
    this.socket.connect(proxyUrl(this.userId, location.href));
  }

  private async reopened(): Promise<Lesson | null> {
    const found = await openLesson(this.userId, this.tutor.id);
    if (!found) return null;
    const [lesson, messages] = found;
    if (!this.wasUp) this.happen({ type: "history", messages });
    return lesson;
  }

  private refused(refusal: Refusal): void {
    this.tell(refusal.status === 0 ? "server_away" : "lesson_refused", refusal.message);
    if (refusal.status === 401 || refusal.status === 404 || this.isLeft) return;
    const waitMs = refusal.retryAfterS ? refusal.retryAfterS * 1000 : RETRY_MS;
    this.retry = setTimeout(() => void this.enter(), waitMs);
  }

  private up(): void {
    this.wasUp = true;
    if (this.current.listening !== "closed") this.tellMicrophone(this.current.listening);
    const questions = this.unsent.splice(0);
    this.happen({ type: "sent" });
    for (const question of questions) this.ask(question);
    this.linked();
  }

  private down(code: number): void {
    if (code === SESSION_GONE && this.over()) return;
    if (this.unanswered) this.tell("question_lost");
    this.unanswered = false;
    this.happen({ type: "down" });
    this.linked();
  }

  /** Because the learner wants it: at once. */
  reconnect = (): void => {
    this.toldOfPeer = false;
    this.peer.reset();
    if (this.socket.isUp) this.socket.greet();
    else void this.enter();
  };

  /** Lets go of everything. The lesson stays open for whoever comes back. */
  leave = (): void => {
    this.isLeft = true;
    clearTimeout(this.retry);
    this.socket.close();
    this.peer.drop();
    this.player?.stop();
    this.microphone?.letGo();
    this.ear?.close();
    void this.context?.close();
    this.context = this.ear = this.player = this.microphone = null;
    this.stream = null;
  };

  /** Ends the lesson and gives its place to others. */
  end = async (): Promise<void> => {
    this.leave();
    const lesson = this.lesson;
    this.lesson = null;
    if (lesson) await endLesson(this.userId, this.tutor.id, lesson).catch(() => {}); // it ends by itself in time
  };

  /** It was ended, or has ended by itself. The next one begins when the learner wants it: pages that nobody
   * looks at must not take places, nor take them from one another. */
  private over(): boolean {
    forgetLesson(this.userId, this.tutor.id);
    this.lesson = null;
    if (!this.wasUp) return false;
    this.socket.close();
    this.peer.drop();
    void this.listen("closed");
    this.happen({ type: "down" });
    this.tell("lesson_over");
    this.happen({ type: "link", link: "off" });
    return true;
  }

  private linked(): void {
    this.happen({ type: "link", link: this.link() });
  }

  private link(): Link {
    if (!this.socket.isUp) return this.wasUp ? "reconnecting" : "connecting";
    if (this.peer.isConnected) return "live";
    return this.peer.state === "connecting" ? "connecting" : "socket";
  }

  // ── the live picture ───────────────────────────────────────────────────────────────────────────

  private call(): Call | null {
    if (!this.lesson) return null;
    const avatar_id = `avatar_tutor_${this.tutor.id}`;
    return { user_id: this.userId, avatar_id, engine_session_id: this.lesson.engineId };
  }

  /** Ask for the live picture, unless it is there or cannot be had. */
  private offer(): void {
    const call = this.call();
    if (!call || this.peer.isAlive || this.peer.state === "unavailable") return;
    void this.peer.offer(this.iceServers, call);
  }

  private peerChanged(): void {
    if (this.peer.isConnected) this.toldOfPeer = false;
    if (this.peer.state === "failed" && this.peer.failures === TRIES_BEFORE_TELLING)
      this.tellOfPeer("webrtc_failed");
    void this.carrySound();
    this.linked();
  }

  private tellOfPeer(code: string, sentence = ""): void {
    if (this.toldOfPeer) return;
    this.toldOfPeer = true;
    this.tell(code, sentence);
  }

  private streamed(stream: MediaStream): void {
    this.stream = stream;
    this.ear?.attend(stream);
    this.linked();
  }

  private played(): void {
    this.happen({ type: "playing", playing: this.player?.isPlaying ?? false });
  }

  // ── the learner ────────────────────────────────────────────────────────────────────────────────

  /** Ask in writing; what is being answered stops. */
  say = (text: string): void => {
    const content = text.trim();
    if (!content) return;
    if (isAnswering(this.current)) this.interrupt();
    this.expectVoice(performance.now());
    this.happen({ type: "asked", text: content, sent: this.socket.isUp });
    this.ask(content);
  };

  private ask(content: string): void {
    const call = this.call();
    if (!call || !this.socket.isUp) {
      this.unsent.push(content);
    } else if (this.peer.isConnected) {
      this.unanswered = this.socket.send({ type: "text_webrtc", content, ...call });
    } else {
      this.unanswered = this.socket.send({
        type: "text",
        content,
        engine_session_id: call.engine_session_id,
      });
    }
  }

  interrupt = (): void => {
    this.player?.stop();
    this.ear?.forget();
    if (!this.lesson) return;
    if (this.socket.send({ type: "interrupt", engine_session_id: this.lesson.engineId }))
      this.happen({ type: "stopped" });
  };

  listen = async (listening: Listening): Promise<void> => {
    this.wished = listening;
    if (!this.microphone) return;
    if (listening !== "closed" && !(await this.openMicrophone())) this.wished = "closed";
    const before = this.current.listening;
    // Another wish may have come while the browser asked for permission.
    if (this.wished !== listening || before === listening) {
      if (this.current.listening === "closed" && this.wished === "closed")
        this.microphone?.close({ soon: true });
      return;
    }
    this.happen({ type: "listening", listening });
    await this.carrySound();
    this.tellMicrophone(listening);
    if (listening === "closed") this.microphone?.close({ soon: before === "held" });
  };

  /** The key is down: the tutor stops, and listens. */
  hold = async (): Promise<void> => {
    if (this.wished === "held") return;
    this.openBefore = this.wished === "open";
    if (isAnswering(this.current)) this.interrupt();
    await this.listen("held");
  };

  letGo = async (): Promise<void> => {
    if (this.wished !== "held") return;
    await this.listen("closed");
    if (this.openBefore) await this.listen("open");
  };

  /** Another microphone, from now on. */
  choose = async (deviceId: string): Promise<void> => {
    this.deviceId = deviceId;
    if (this.current.listening === "closed" || !(await this.openMicrophone())) return;
    await this.carrySound();
  };

  private async openMicrophone(): Promise<boolean> {
    try {
      await this.microphone?.open(this.deviceId);
      return true;
    } catch (error) {
      this.tell(error instanceof NoMicrophone ? error.code : "microphone_missing");
      return false;
    }
  }

  private tellMicrophone(state: Listening): void {
    if (this.lesson) this.socket.send({ type: "microphone", state, engine_session_id: this.lesson.engineId });
  }

  /** Over the live connection where there is one, else over the socket. */
  private async carrySound(): Promise<void> {
    const microphone = this.microphone;
    if (!microphone) return;
    const carried = this.current.listening !== "closed";
    await this.peer.hear(carried ? microphone.track : null);
    if (carried && !this.peer.isConnected) await microphone.startStreaming();
    else microphone.stopStreaming();
  }

  private expectVoice(fromMs: number): void {
    this.ear?.expect(fromMs, (ms) => this.happen({ type: "latency", ms }));
  }

  // ── the engine ─────────────────────────────────────────────────────────────────────────────────

  private take(event: EngineEvent): void {
    const session = event.engine_session_id;
    // The socket carries all of this learner's lessons; the others are other pages'.
    if (session && session !== this.lesson?.engineId) return;
    if (session) this.unanswered = false; // the engine has it
    if (event.type === "audio_delta") this.sounds(event.turn_id, event.data, event.sample_rate);
    else this.act(event);
    this.happen({ type: "told", event });
  }

  /** What an event does beside being shown. */
  private act(event: EngineEvent): void {
    if (event.type === "ice_servers") {
      this.iceServers = event.items;
      this.offer();
    } else if (event.type === "hello" && !event.features.includes("ice_servers")) {
      this.offer();
    } else if (event.type === "webrtc_answer") {
      void this.peer.answered(event.sdp);
    } else if (isAway(event)) {
      this.tell("engine_away");
    } else if (event.type === "error") {
      this.erred(event.code, event.content);
    } else {
      this.hear(event);
    }
  }

  private hear(event: EngineEvent): void {
    if (event.type === "transcription") {
      this.heard();
    } else if (event.type === "state" && event.state === "thinking") {
      this.player?.begin();
    } else if (event.type === "text" && event.audio) {
      this.plays(event.audio);
    } else if (event.type === "audio") {
      this.plays(event.data);
    } else if (event.type === "interrupted" && !this.current.stopping) {
      this.player?.stop(); // stopped by the key it is silent already, and the next answer may have begun
    }
  }

  private plays(recording: string): void {
    if (this.current.stopping) return; // of the answer that was stopped
    this.player?.whole(recording).catch(() => this.tell("voice_unreadable"));
  }

  private sounds(turnId: string, data: string, rateHz: number): void {
    if (!this.current.stopping && !this.current.over.includes(turnId)) this.player?.piece(data, rateHz);
  }

  private heard(): void {
    const nowMs = performance.now();
    const spokenMs = this.microphone?.lastLoudMs ?? 0;
    this.expectVoice(nowMs - spokenMs < SPEECH_IS_RECENT_MS ? spokenMs : nowMs);
  }

  private erred(code: string, sentence: string): void {
    if (code === "session_ended" || code === "session_not_found") {
      if (this.lesson) this.over();
    } else if (code === "webrtc_replaced") {
      this.peer.giveUp(); // or two pages would take it from each other for ever
      this.tell(code, sentence);
    } else if (code === "no_peer" || code === "peer_gone") {
      this.peer.fail(); // the engine has lost it; this answer comes over the socket
    } else if (code === "invalid_sdp" || code.startsWith("webrtc_") || code.startsWith("turn_")) {
      this.tellOfPeer(code, sentence);
      if (!this.peer.isConnected) this.peer.fail();
    } else {
      this.tell(code, sentence);
    }
  }
}
