// Hears what the learner hears of the tutor: how loud, and when an answer begins to sound.

import { loudness } from "./loudness";

const LOOK_MS = 10;
const LOUD = 0.008; // RMS, -42 dB: above the noise of a codec, below any voice
const GAP_MS = 60; // quiet for so long: what sounded before is over
const PATIENCE_MS = 120_000;

interface Waiting {
  askedMs: number;
  fromMs: number;
  quiet: boolean;
  tell(ms: number): void;
}

export class Ear {
  readonly analyser: AnalyserNode;
  /** RMS of what sounds now. */
  level = 0;
  private readonly samples: Float32Array<ArrayBuffer>;
  private readonly timer: ReturnType<typeof setInterval>;
  private lastLoudMs = Number.NEGATIVE_INFINITY;
  private waiting: Waiting | null = null;
  private source: MediaStreamAudioSourceNode | null = null;

  constructor(private readonly context: AudioContext) {
    this.analyser = new AnalyserNode(context, { fftSize: 512 });
    this.samples = new Float32Array(this.analyser.fftSize);
    this.timer = setInterval(() => this.look(), LOOK_MS);
  }

  /** Listen to the voice of this connection. */
  attend(stream: MediaStream): void {
    if (!stream.getAudioTracks().length) return;
    this.source?.disconnect();
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.analyser);
  }

  /** Tells how many milliseconds after `askedMs` the answer begins to sound. */
  expect(askedMs: number, tell: (ms: number) => void): void {
    const nowMs = performance.now();
    this.waiting = { askedMs, tell, fromMs: nowMs, quiet: nowMs - this.lastLoudMs > GAP_MS };
  }

  forget(): void {
    this.waiting = null;
  }

  close(): void {
    clearInterval(this.timer);
    this.source?.disconnect();
  }

  private look(): void {
    this.analyser.getFloatTimeDomainData(this.samples);
    this.level = loudness(this.samples);
    const nowMs = performance.now();
    const isLoud = this.level > LOUD;
    if (isLoud) this.lastLoudMs = nowMs;
    const wait = this.waiting;
    if (!wait) return;
    if (isLoud && wait.quiet) {
      this.waiting = null;
      wait.tell(Math.round(nowMs - wait.askedMs));
    } else if (!isLoud && nowMs - this.lastLoudMs > GAP_MS) {
      wait.quiet = true;
    }
    if (nowMs - wait.fromMs > PATIENCE_MS) this.forget();
  }
}
