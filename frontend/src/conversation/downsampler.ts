// From the sound card's rate to 16 kHz, without what 16 kHz cannot carry (which would fold back).

const HALF_WIDTH = 16; // zero crossings of the kernel on each side
const CUT = 0.92; // of the new Nyquist frequency
const PHASES = 64;

/** A windowed sinc at fractional places; state is kept from block to block. */
export class Downsampler {
  private readonly step: number;
  private readonly reach: number;
  private readonly kernels: Float32Array[];
  private held: Float32Array;
  /** Of the next output, in `held`. */
  private place: number;

  constructor(fromHz: number, toHz: number) {
    this.step = fromHz / toHz;
    this.reach = Math.ceil(HALF_WIDTH * Math.max(this.step, 1));
    this.kernels = Array.from({ length: PHASES + 1 }, (_, phase) => this.kernel(phase / PHASES));
    this.held = new Float32Array(2 * this.reach);
    this.place = this.reach;
  }

  /** What has become complete with this block. */
  feed(block: Float32Array): number[] {
    const samples = new Float32Array(this.held.length + block.length);
    samples.set(this.held);
    samples.set(block, this.held.length);
    const result: number[] = [];
    while (Math.floor(this.place) + this.reach < samples.length) {
      result.push(this.at(samples, this.place));
      this.place += this.step;
    }
    const done = Math.max(0, Math.floor(this.place) - this.reach);
    this.held = samples.slice(done);
    this.place -= done;
    return result;
  }

  /** The weights of 2·reach samples around a place that lies `fraction` after the middle one. */
  private kernel(fraction: number): Float32Array {
    const cut = CUT / Math.max(this.step, 1);
    const weights = Float32Array.from({ length: 2 * this.reach }, (_, index) => {
      const x = index - this.reach + 1 - fraction;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / (this.reach + 1));
      return window * (x === 0 ? 1 : Math.sin(Math.PI * cut * x) / (Math.PI * cut * x));
    });
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  }

  private at(samples: Float32Array, place: number): number {
    const middle = Math.floor(place);
    const first = middle - this.reach + 1;
    const weights = this.kernels[Math.round((place - middle) * PHASES)] ?? new Float32Array();
    return weights.reduce((value, weight, index) => value + weight * (samples[first + index] ?? 0), 0);
  }
}
