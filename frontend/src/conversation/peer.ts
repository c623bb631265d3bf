// The live face and voice: one WebRTC connection, offered anew when it breaks.

import type { ClientEvent, IceServer } from "../wire/generated";

const CONNECT_LIMIT_MS = 15_000; // the engine tells after ten seconds; this is for when it cannot
const GRACE_MS = 4_000; // a connection may come back by itself
const WAITS_MS = [1_000, 2_000, 5_000, 10_000, 30_000] as const;

export type PeerState = "none" | "connecting" | "connected" | "failed" | "unavailable";

/** Who calls whom. */
export interface Call {
  user_id: number;
  avatar_id: string;
  engine_session_id: string;
}

export interface PeerEvents {
  change(): void;
  stream(stream: MediaStream): void;
  /** It is time to offer again. */
  again(): void;
}

export class Peer {
  state: PeerState = "none";
  failures = 0;
  private pc: RTCPeerConnection | null = null;
  private sender: RTCRtpSender | null = null;
  private microphone: MediaStreamTrack | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private grace: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly send: (message: ClientEvent) => void,
    private readonly events: PeerEvents,
  ) {
    if (typeof RTCPeerConnection === "undefined") this.state = "unavailable";
  }

  get isConnected(): boolean {
    return this.state === "connected";
  }

  get isAlive(): boolean {
    return this.state === "connected" || this.state === "connecting";
  }

  async offer(iceServers: IceServer[], call: Call): Promise<void> {
    this.drop();
    const pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle" });
    this.pc = pc;
    this.turn("connecting");
    this.timer = setTimeout(() => this.fail(pc), CONNECT_LIMIT_MS);
    const stream = new MediaStream();
    pc.ontrack = ({ track, streams }) => this.received(track, streams[0] ?? stream);
    pc.onconnectionstatechange = () => this.changed(pc);
    pc.addTransceiver("video", { direction: "recvonly" });
    this.sender = pc.addTransceiver("audio", { direction: "sendrecv" }).sender;
    if (this.microphone) await this.sender.replaceTrack(this.microphone);
    try {
      await this.describe(pc, call);
    } catch {
      this.fail(pc);
    }
  }

  async answered(sdp: string): Promise<void> {
    const pc = this.pc;
    if (pc?.signalingState !== "have-local-offer") return;
    try {
      await pc.setRemoteDescription({ type: "answer", sdp });
    } catch {
      this.fail(pc);
    }
  }

  /** Sends this microphone from now on; null: silence. Needs no renegotiation. */
  async hear(track: MediaStreamTrack | null): Promise<void> {
    this.microphone = track;
    await this.sender?.replaceTrack(track);
  }

  /** It does not work; try again, ever more slowly. */
  fail(pc: RTCPeerConnection | null = this.pc): void {
    if (pc !== this.pc || this.state === "unavailable") return;
    this.drop();
    this.failures += 1;
    this.turn("failed");
    const waitMs = WAITS_MS[Math.min(this.failures, WAITS_MS.length) - 1];
    this.timer = setTimeout(() => this.events.again(), waitMs);
  }

  /** Another page has it: do not ask again. */
  giveUp(): void {
    this.drop();
    this.turn("unavailable");
  }

  /** Because the learner wants it: at once. */
  reset(): void {
    if (this.isConnected || typeof RTCPeerConnection === "undefined") return;
    this.drop();
    this.failures = 0;
    this.turn("none");
  }

  drop(): void {
    clearTimeout(this.timer);
    clearTimeout(this.grace);
    const pc = this.pc;
    this.pc = null;
    this.sender = null;
    if (!pc) return;
    pc.onconnectionstatechange = null;
    pc.onicecandidate = null;
    pc.ontrack = null;
    pc.close();
  }

  private async describe(pc: RTCPeerConnection, call: Call): Promise<void> {
    const waiting: (Record<string, unknown> | null)[] = [];
    let offered = false;
    const { user_id, engine_session_id } = call;
    const trickle = (candidate: Record<string, unknown> | null) => {
      if (this.pc === pc) this.send({ type: "webrtc_ice_candidate", candidate, user_id, engine_session_id });
    };
    pc.onicecandidate = ({ candidate }) => {
      const found = candidate?.candidate ? { ...candidate.toJSON() } : null;
      if (offered) trickle(found);
      else waiting.push(found);
    };
    await pc.setLocalDescription(await pc.createOffer());
    if (this.pc !== pc) return;
    this.send({ type: "webrtc_offer", sdp: pc.localDescription?.sdp ?? "", ...call });
    offered = true;
    waiting.forEach(trickle);
  }

  private received(track: MediaStreamTrack, stream: MediaStream): void {
    if (!stream.getTracks().includes(track)) stream.addTrack(track);
    this.events.stream(stream);
  }

  private changed(pc: RTCPeerConnection): void {
    if (pc !== this.pc) return;
    clearTimeout(this.grace);
    if (pc.connectionState === "connected") {
      clearTimeout(this.timer);
      this.failures = 0;
      this.turn("connected");
    } else if (pc.connectionState === "failed") {
      this.fail(pc);
    } else if (pc.connectionState === "disconnected") {
      this.turn("connecting");
      this.grace = setTimeout(() => this.fail(pc), GRACE_MS);
    }
  }

  private turn(state: PeerState): void {
    if (state === this.state) return;
    this.state = state;
    this.events.change();
  }
}
