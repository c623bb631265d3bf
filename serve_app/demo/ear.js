// Hears what the learner hears of the tutor: how loud, and when an answer begins to sound.

const LOOK_MS = 8;
const LOUD = 0.008; // RMS, -42 dB: above the noise of a codec, below any voice
const GAP_MS = 60; // quiet for so long: what sounded before is over
const PATIENCE_MS = 120_000;

export class Ear {
  constructor(context) {
    this.context = context;
    this.analyser = new AnalyserNode(context, { fftSize: 512 });
    this.samples = new Float32Array(this.analyser.fftSize);
    this.level = 0;
    this.lastLoudMs = -Infinity;
    this.waiting = null;
    this.source = null;
    setInterval(() => this.look(), LOOK_MS);
  }

  /** Listen to the voice of this connection. */
  attend(stream) {
    if (!stream.getAudioTracks().length) return;
    this.source?.disconnect();
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.analyser);
  }

  /** Tells how many milliseconds after `askedMs` the answer begins to sound. */
  expect(askedMs, tell) {
    const nowMs = performance.now();
    this.waiting = { askedMs, tell, fromMs: nowMs, quiet: nowMs - this.lastLoudMs > GAP_MS };
  }

  forget() {
    this.waiting = null;
  }

  look() {
    this.analyser.getFloatTimeDomainData(this.samples);
    let power = 0;
    for (const sample of this.samples) power += sample * sample;
    this.level = Math.sqrt(power / this.samples.length);
    const nowMs = performance.now();
    const wait = this.waiting;
    if (this.level > LOUD) {
      this.lastLoudMs = nowMs;
      if (wait?.quiet) {
        this.waiting = null;
        wait.tell(Math.round(nowMs - wait.askedMs));
      }
    } else if (wait && nowMs - this.lastLoudMs > GAP_MS) {
      wait.quiet = true;
    }
    if (wait && nowMs - wait.fromMs > PATIENCE_MS) this.forget();
  }
}
