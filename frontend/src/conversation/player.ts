// Plays the voice that comes over the socket: in pieces while it is made, or whole.

const AHEAD_S = 0.06; // the first piece waits so long, so that the second is there in time

/** Samples of PCM s16, little-endian, in base64. */
export function samplesOf(base64: string): Float32Array<ArrayBuffer> {
  const bytes = bytesOf(base64);
  const view = new DataView(bytes.buffer);
  const samples = new Float32Array(bytes.length >> 1);
  for (let index = 0; index < samples.length; index += 1)
    samples[index] = view.getInt16(2 * index, true) / 32_768;
  return samples;
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

export class Player {
  private readonly output: GainNode;
  private readonly nodes = new Set<AudioBufferSourceNode>();
  private endS = 0;
  private hadPieces = false;

  constructor(
    private readonly context: AudioContext,
    ear: AudioNode,
    private readonly changed: () => void,
  ) {
    this.output = new GainNode(context);
    this.output.connect(context.destination);
    this.output.connect(ear);
  }

  get isPlaying(): boolean {
    return this.nodes.size > 0;
  }

  /** What comes next belongs to another answer. */
  begin(): void {
    this.hadPieces = false;
  }

  /** A piece of PCM s16 in base64; follows the one before. */
  piece(data: string, rateHz: number): void {
    const samples = samplesOf(data);
    if (!samples.length) return;
    const buffer = this.context.createBuffer(1, samples.length, rateHz);
    buffer.copyToChannel(samples, 0);
    this.hadPieces = true;
    this.queue(buffer);
  }

  /** A whole recording in base64, unless its pieces have been played already. */
  async whole(data: string): Promise<void> {
    if (this.hadPieces) return;
    this.queue(await this.context.decodeAudioData(bytesOf(data).buffer));
  }

  stop(): void {
    for (const node of this.nodes) {
      node.onended = null;
      node.stop();
      node.disconnect();
    }
    this.nodes.clear();
    this.endS = 0;
    this.hadPieces = false;
    this.changed();
  }

  private queue(buffer: AudioBuffer): void {
    const node = new AudioBufferSourceNode(this.context, { buffer });
    const startS = Math.max(this.endS, this.context.currentTime + (this.isPlaying ? 0 : AHEAD_S));
    node.connect(this.output);
    node.onended = () => this.done(node);
    node.start(startS);
    this.endS = startS + buffer.duration;
    this.nodes.add(node);
    this.changed();
  }

  private done(node: AudioBufferSourceNode): void {
    this.nodes.delete(node);
    if (!this.nodes.size) this.changed();
  }
}
