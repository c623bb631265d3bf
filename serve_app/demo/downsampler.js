// From the sound card's rate to 16 kHz, without what 16 kHz cannot carry (which would fold back).

const HALF_WIDTH = 16; // zero crossings of the kernel on each side
const CUT = 0.92; // of the new Nyquist frequency
const PHASES = 64;

/** A windowed sinc at fractional places; state is kept from block to block. */
export class Downsampler {
  constructor(fromHz, toHz) {
    this.step = fromHz / toHz;
    this.reach = Math.ceil(HALF_WIDTH * Math.max(this.step, 1));
    this.kernels = Array.from({ length: PHASES + 1 }, (_, phase) => this.kernel(phase / PHASES));
    this.held = new Float32Array(2 * this.reach);
    this.place = this.reach; // of the next output, in `held`
  }

  /** The weights of 2·reach samples around a place that lies `fraction` after the middle one. */
  kernel(fraction) {
    const weights = new Float32Array(2 * this.reach);
    const cut = CUT / Math.max(this.step, 1);
    let sum = 0;
    for (let index = 0; index < weights.length; index += 1) {
      const x = index - this.reach + 1 - fraction;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * x) / (this.reach + 1));
      weights[index] = window * (x === 0 ? 1 : Math.sin(Math.PI * cut * x) / (Math.PI * cut * x));
      sum += weights[index];
    }
    return weights.map((weight) => weight / sum);
  }

  /** What has become complete with this block. */
  feed(block) {
    const samples = new Float32Array(this.held.length + block.length);
    samples.set(this.held);
    samples.set(block, this.held.length);
    const result = [];
    while (Math.floor(this.place) + this.reach < samples.length) {
      result.push(this.at(samples, this.place));
      this.place += this.step;
    }
    const done = Math.max(0, Math.floor(this.place) - this.reach);
    this.held = samples.slice(done);
    this.place -= done;
    return result;
  }

  at(samples, place) {
    const middle = Math.floor(place);
    const weights = this.kernels[Math.round((place - middle) * PHASES)];
    const first = middle - this.reach + 1;
    let value = 0;
    for (let index = 0; index < weights.length; index += 1) value += weights[index] * samples[first + index];
    return value;
  }
}
