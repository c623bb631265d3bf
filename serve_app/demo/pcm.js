// Runs in the audio thread: the microphone as PCM s16, 16 kHz, mono, in pieces of 40 ms.

import { Downsampler } from "./downsampler.js";

const RATE_HZ = 16_000;
const PIECE = 640;

class Pcm extends AudioWorkletProcessor {
  constructor() {
    super();
    this.downsampler = new Downsampler(sampleRate, RATE_HZ);
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
  }

  process([channels]) {
    if (channels.length) this.downsampler.feed(channels[0]).forEach((sample) => this.push(sample));
    return true;
  }

  push(sample) {
    this.piece[this.filled] = Math.max(-1, Math.min(1, sample)) * 32_767;
    this.filled += 1;
    if (this.filled < PIECE) return;
    this.port.postMessage(this.piece, [this.piece.buffer]);
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
  }
}

registerProcessor("pcm", Pcm);
