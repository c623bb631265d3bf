// Plays the voice that comes over the socket: in pieces while it is made, or whole.

const AHEAD_S = 0.06; // the first piece waits so long, so that the second is there in time

export class Player {
  constructor(context, ear, ended) {
    this.context = context;
    this.ended = ended;
    this.output = new GainNode(context);
    this.output.connect(context.destination);
    this.output.connect(ear.analyser);
    this.nodes = new Set();
    this.endS = 0;
    this.played = false;
  }

  get isPlaying() {
    return this.nodes.size > 0;
  }

  /** A piece of PCM s16 in base64; follows the one before. */
  piece(data, rateHz) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const count = bytes.length >> 1;
    if (!count) return;
    const buffer = this.context.createBuffer(1, count, rateHz);
    const samples = buffer.getChannelData(0);
    for (let index = 0; index < count; index += 1) samples[index] = view.getInt16(2 * index, true) / 32_768;
    this.played = true;
    this.queue(buffer);
  }

  /** A whole recording in base64, unless its pieces have been played already. */
  async whole(data) {
    if (this.played) return;
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    this.queue(await this.context.decodeAudioData(bytes.buffer));
  }

  /** What comes next belongs to another answer. */
  begin() {
    this.played = false;
  }

  done(node) {
    this.nodes.delete(node);
    if (!this.nodes.size) this.ended();
  }

  queue(buffer) {
    const node = new AudioBufferSourceNode(this.context, { buffer });
    const startS = Math.max(this.endS, this.context.currentTime + (this.isPlaying ? 0 : AHEAD_S));
    node.connect(this.output);
    node.onended = () => this.done(node);
    node.start(startS);
    this.endS = startS + buffer.duration;
    this.nodes.add(node);
  }

  stop() {
    for (const node of this.nodes) {
      node.onended = null;
      node.stop();
      node.disconnect();
    }
    this.nodes.clear();
    this.endS = 0;
    this.played = false;
  }
}
