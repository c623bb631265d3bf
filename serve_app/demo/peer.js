// The live face and voice: one WebRTC connection, offered anew when it breaks.

const CONNECT_LIMIT_MS = 15_000;
const GRACE_MS = 4_000; // a connection may come back by itself
const WAITS_MS = [1_000, 2_000, 5_000, 10_000, 30_000];

/** Events: `change` (see `state`), `stream` (detail: the MediaStream), `again` (offer, please). */
export class Peer extends EventTarget {
  constructor(send, relayOnly) {
    super();
    this.send = send;
    this.relayOnly = relayOnly;
    this.pc = null;
    this.state = "none"; // connecting, connected, failed, unavailable
    this.failures = 0;
    this.lastSignMs = 0;
    this.microphone = null;
    this.sender = null;
    this.timer = 0;
    this.grace = 0;
  }

  get isConnected() {
    return this.state === "connected";
  }

  get isAlive() {
    return this.state === "connected" || this.state === "connecting";
  }

  /** Connect; `call` holds user_id, avatar_id and engine_session_id. */
  async offer(iceServers, call) {
    this.drop();
    const policy = this.relayOnly ? "relay" : "all";
    const pc = new RTCPeerConnection({ iceServers, bundlePolicy: "max-bundle", iceTransportPolicy: policy });
    this.pc = pc;
    this.turn("connecting");
    this.timer = setTimeout(() => this.fail(pc), CONNECT_LIMIT_MS);
    const stream = new MediaStream();
    pc.ontrack = ({ track, streams }) => this.received(track, streams[0] ?? stream);
    pc.onconnectionstatechange = () => this.changed(pc);
    pc.createDataChannel("events").onmessage = () => {
      this.lastSignMs = performance.now();
    };
    pc.addTransceiver("video", { direction: "recvonly" });
    this.sender = pc.addTransceiver("audio", { direction: "sendrecv" }).sender;
    if (this.microphone) await this.sender.replaceTrack(this.microphone);
    await this.describe(pc, call);
  }

  async describe(pc, call) {
    const waiting = [];
    let offered = false;
    const trickle = (candidate) => {
      if (this.pc !== pc) return;
      this.send({ type: "webrtc_ice_candidate", candidate, user_id: call.user_id, engine_session_id: call.engine_session_id });
    };
    pc.onicecandidate = ({ candidate }) => {
      const found = candidate?.candidate ? candidate.toJSON() : null;
      if (offered) trickle(found);
      else waiting.push(found);
    };
    await pc.setLocalDescription(await pc.createOffer());
    if (this.pc !== pc) return;
    this.send({ type: "webrtc_offer", sdp: pc.localDescription.sdp, ...call });
    offered = true;
    waiting.forEach(trickle);
  }

  async answered(sdp) {
    const pc = this.pc;
    if (pc?.signalingState !== "have-local-offer") return;
    try {
      await pc.setRemoteDescription({ type: "answer", sdp });
    } catch {
      this.fail(pc);
    }
  }

  /** Sends this microphone from now on; null: silence. Needs no renegotiation. */
  async hear(track) {
    this.microphone = track;
    await this.sender?.replaceTrack(track);
  }

  received(track, stream) {
    if (!stream.getTracks().includes(track)) stream.addTrack(track);
    this.dispatchEvent(new CustomEvent("stream", { detail: stream }));
  }

  changed(pc) {
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

  /** It does not work; try again, ever more slowly. */
  fail(pc = this.pc) {
    if (pc !== this.pc || this.state === "unavailable") return;
    this.drop();
    this.failures += 1;
    this.turn("failed");
    const waitMs = WAITS_MS[Math.min(this.failures, WAITS_MS.length) - 1];
    this.timer = setTimeout(() => this.dispatchEvent(new Event("again")), waitMs);
  }

  /** The engine has none: do not ask again. */
  giveUp() {
    this.drop();
    this.turn("unavailable");
  }

  drop() {
    clearTimeout(this.timer);
    clearTimeout(this.grace);
    const pc = this.pc;
    this.pc = this.sender = null;
    if (!pc) return;
    pc.onconnectionstatechange = pc.onicecandidate = pc.ontrack = null;
    pc.close();
  }

  turn(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}
