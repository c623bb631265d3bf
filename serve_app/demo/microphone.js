// The learner's microphone: opened when wanted, its loudness, and its sound as PCM when the socket
// has to carry it.

const WISH = { audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true } };
const METER_MS = 20;
const KEPT_MS = 60_000; // between two presses of the key: opening it again would cost a syllable
const QUIETEST = 0.012; // RMS; a silent room with automatic gain lies below
const ABOVE_NOISE = 3;

/** Events: `sound` (detail: Int16Array), while streaming. */
export class Microphone extends EventTarget {
  constructor(context) {
    super();
    this.context = context;
    this.stream = null;
    this.level = 0;
    this.lastLoudMs = 0;
    this.noise = QUIETEST / ABOVE_NOISE;
    this.worklet = null;
    this.source = null;
    this.release = 0;
    this.opening = null;
  }

  get track() {
    return this.stream?.getAudioTracks()[0] ?? null;
  }

  /** Asks for the microphone. Throws an Error whose `code` says what is wrong. */
  async open() {
    clearTimeout(this.release);
    this.opening ??= this.acquire().finally(() => {
      this.opening = null;
    });
    await this.opening;
    this.track.enabled = true;
  }

  async acquire() {
    if (this.track?.readyState === "live") return;
    if (!navigator.mediaDevices?.getUserMedia) throw coded("microphone_insecure");
    try {
      this.stream = await navigator.mediaDevices.getUserMedia(WISH);
    } catch (error) {
      throw coded(error.name === "NotAllowedError" ? "microphone_denied" : "microphone_missing");
    }
    this.track.onended = () => this.dispatchEvent(new Event("ended"));
    this.listen();
  }

  listen() {
    this.source = this.context.createMediaStreamSource(this.stream);
    const analyser = new AnalyserNode(this.context, { fftSize: 1024 });
    this.source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    clearInterval(this.meter);
    this.meter = setInterval(() => this.measure(analyser, samples), METER_MS);
  }

  measure(analyser, samples) {
    analyser.getFloatTimeDomainData(samples);
    let power = 0;
    for (const sample of samples) power += sample * sample;
    const rms = this.track?.enabled ? Math.sqrt(power / samples.length) : 0;
    if (rms > Math.max(QUIETEST, this.noise * ABOVE_NOISE)) this.lastLoudMs = performance.now();
    // The floor sinks at once and rises within some ten seconds.
    if (rms > 0) this.noise = Math.min(rms, this.noise * 1.003);
    const shown = Math.min(1, Math.max(0, 1 + Math.log10(rms + 1e-6) / 2.2));
    this.level = Math.max(shown, this.level * 0.85);
  }

  /** Stops sending; lets go of the microphone now, or a while after the key was let go. */
  close({ soon }) {
    if (!this.stream) return;
    this.track.enabled = false;
    this.level = 0;
    clearTimeout(this.release);
    this.release = setTimeout(() => this.letGo(), soon ? KEPT_MS : 0);
  }

  letGo() {
    clearInterval(this.meter);
    this.stopStreaming();
    this.source?.disconnect();
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.source = null;
    this.level = 0;
  }

  // ── over the socket ────────────────────────────────────────────────────────────────────────────

  async startStreaming() {
    if (this.worklet || !this.source) return;
    this.loaded ??= this.context.audioWorklet.addModule(new URL("pcm.js", import.meta.url));
    await this.loaded;
    if (this.worklet || !this.source) return;
    this.worklet = new AudioWorkletNode(this.context, "pcm", { numberOfInputs: 1, numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.worklet.port.onmessage = ({ data }) => this.dispatchEvent(new CustomEvent("sound", { detail: data }));
    this.source.connect(this.worklet);
  }

  stopStreaming() {
    if (!this.worklet) return;
    this.worklet.port.onmessage = null;
    this.source?.disconnect(this.worklet);
    this.worklet = null;
  }
}

function coded(code) {
  return Object.assign(new Error(code), { code });
}
