// Runs in the audio thread: the microphone as PCM s16, 16 kHz, mono, in pieces of 40 ms.

import { Downsampler } from "./downsampler";

declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

const RATE_HZ = 16_000;
const PIECE = 640;

class Pcm extends AudioWorkletProcessor {
  private readonly downsampler = new Downsampler(sampleRate, RATE_HZ);
  private piece = new Int16Array(PIECE);
  private filled = 0;

  process([channels]: Float32Array[][]): boolean {
    const [mono] = channels ?? [];
    if (mono) for (const sample of this.downsampler.feed(mono)) this.push(sample);
    return true;
  }

  private push(sample: number): void {
    this.piece[this.filled] = Math.max(-1, Math.min(1, sample)) * 32_767;
    this.filled += 1;
    if (this.filled < PIECE) return;
    this.port.postMessage(this.piece, [this.piece.buffer]);
    this.piece = new Int16Array(PIECE);
    this.filled = 0;
  }
}

registerProcessor("pcm", Pcm);
