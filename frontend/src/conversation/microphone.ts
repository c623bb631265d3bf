// The learner's microphone: opened when wanted, its loudness, and its sound as PCM when the socket has
// to carry it.

import { loudness } from "./loudness";
import workletUrl from "./pcm.worklet.ts?worker&url";

const METER_MS = 20;
const KEPT_MS = 60_000; // between two presses of the key: opening it again would cost a syllable
const QUIETEST = 0.012; // RMS; a silent room with automatic gain lies below
const ABOVE_NOISE = 3;

export type MicrophoneTrouble = "microphone_insecure" | "microphone_denied" | "microphone_missing";

export class NoMicrophone extends Error {
  constructor(readonly code: MicrophoneTrouble) {
    super(code);
  }
}

export interface MicrophoneEvents {
  /** A piece of 40 ms, PCM s16 at 16 kHz, while streaming. */
  sound(samples: Int16Array<ArrayBuffer>): void;
  /** The device was taken away. */
  ended(): void;
}

export class Microphone {
  /** 0 to 1, for a meter. */
  level = 0;
  /** When a voice was last loud, on the clock of `performance.now`. */
  lastLoudMs = 0;
  private stream: MediaStream | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private worklet: AudioWorkletNode | null = null;
  private loaded: Promise<void> | null = null;
  private opening: Promise<void> | null = null;
  private meter: ReturnType<typeof setInterval> | undefined;
  private release: ReturnType<typeof setTimeout> | undefined;
  private wanted = false;
  private noise = QUIETEST / ABOVE_NOISE;

  constructor(
    private readonly context: AudioContext,
    private readonly events: MicrophoneEvents,
  ) {}

  get track(): MediaStreamTrack | null {
    return this.stream?.getAudioTracks()[0] ?? null;
  }

  get deviceId(): string {
    return this.track?.getSettings().deviceId ?? "";
  }

  /** Asks for the microphone. Throws `NoMicrophone`. */
  async open(deviceId = ""): Promise<void> {
    clearTimeout(this.release);
    if (deviceId && this.track && this.deviceId !== deviceId) this.letGo();
    this.opening ??= this.acquire(deviceId).finally(() => {
      this.opening = null;
    });
    await this.opening;
    if (this.track) this.track.enabled = true;
  }

  /** Stops sending; lets go of the microphone now, or a while after the key was let go. */
  close({ soon }: { soon: boolean }): void {
    if (!this.track) return;
    this.track.enabled = false;
    this.level = 0;
    clearTimeout(this.release);
    this.release = setTimeout(() => this.letGo(), soon ? KEPT_MS : 0);
  }

  letGo(): void {
    clearInterval(this.meter);
    clearTimeout(this.release);
    this.stopStreaming();
    this.source?.disconnect();
    for (const track of this.stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.stream = null;
    this.source = null;
    this.level = 0;
  }

  async startStreaming(): Promise<void> {
    this.wanted = true;
    this.loaded ??= this.context.audioWorklet.addModule(workletUrl);
    await this.loaded;
    if (!this.wanted || this.worklet || !this.source) return;
    this.worklet = new AudioWorkletNode(this.context, "pcm", {
      numberOfInputs: 1,
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    this.worklet.port.onmessage = ({ data }) => this.events.sound(data);
    this.source.connect(this.worklet);
  }

  stopStreaming(): void {
    this.wanted = false;
    if (!this.worklet) return;
    this.worklet.port.onmessage = null;
    this.source?.disconnect(this.worklet);
    this.worklet = null;
  }

  private async acquire(deviceId: string): Promise<void> {
    if (this.track?.readyState === "live") return;
    if (!navigator.mediaDevices?.getUserMedia) throw new NoMicrophone("microphone_insecure");
    const audio: MediaTrackConstraints = {
      echoCancellation: true,
      noiseSuppression: true,
      autoGainControl: true,
    };
    if (deviceId) audio.deviceId = { ideal: deviceId };
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      const denied = error instanceof DOMException && error.name === "NotAllowedError";
      throw new NoMicrophone(denied ? "microphone_denied" : "microphone_missing");
    }
    if (this.context.state === "closed") {
      for (const track of stream.getTracks()) track.stop(); // the page was left meanwhile
      throw new NoMicrophone("microphone_missing");
    }
    this.stream = stream;
    if (this.track) this.track.onended = () => this.events.ended();
    this.listen(this.stream);
  }

  private listen(stream: MediaStream): void {
    this.source = this.context.createMediaStreamSource(stream);
    const analyser = new AnalyserNode(this.context, { fftSize: 1024 });
    this.source.connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    clearInterval(this.meter);
    this.meter = setInterval(() => this.measure(analyser, samples), METER_MS);
  }

  private measure(analyser: AnalyserNode, samples: Float32Array<ArrayBuffer>): void {
    analyser.getFloatTimeDomainData(samples);
    const rms = this.track?.enabled ? loudness(samples) : 0;
    if (rms > Math.max(QUIETEST, this.noise * ABOVE_NOISE)) this.lastLoudMs = performance.now();
    // The floor sinks at once and rises within some ten seconds.
    if (rms > 0) this.noise = Math.min(rms, this.noise * 1.003);
    const shown = Math.min(1, Math.max(0, 1 + Math.log10(rms + 1e-6) / 2.2));
    this.level = Math.max(shown, this.level * 0.85);
  }
}
