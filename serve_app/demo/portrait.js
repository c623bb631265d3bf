// The tutor while there is no live picture: breathes, blinks, and opens the mouth with the voice.

const FRAME_MS = 40;
const QUIET = 0.006; // RMS
const FULL = 0.16; // RMS of a loud vowel
const BLINK_MS = 130;

export class Portrait {
  /** `level` tells the loudness of the voice. */
  constructor(node, level) {
    this.node = node;
    this.level = level;
    this.face = "";
    this.opening = 0;
    this.blinkAtMs = performance.now() + 2_000;
    this.mouths = [];
    this.lids = null;
    setInterval(() => this.move(performance.now()), FRAME_MS);
  }

  async show(face) {
    if (face === this.face) return;
    this.face = face;
    const image = new Image(512, 512);
    image.alt = "";
    image.src = new URL(`${face}.svg`, import.meta.url);
    const text = await (await fetch(new URL(`${face}-motion.svg`, import.meta.url))).text();
    await image.decode().catch(() => {});
    if (face !== this.face) return;
    const motion = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
    this.lids = motion.querySelector("#lids");
    this.mouths = [...motion.querySelector("#mouths").children];
    const person = document.createElement("div");
    person.className = "person";
    person.append(image, motion);
    const before = [...this.node.children];
    this.node.append(person);
    setTimeout(() => before.forEach((old) => old.remove()), 400); // faded over by then
    this.draw(0, false);
  }

  move(nowMs) {
    if (!this.lids || document.hidden || this.node.dataset.hidden === "yes") return;
    const level = this.level();
    const wanted = level < QUIET ? 0 : Math.min(1, Math.sqrt(level / FULL));
    this.opening += (wanted - this.opening) * (wanted > this.opening ? 0.6 : 0.4);
    if (nowMs > this.blinkAtMs + BLINK_MS) this.blinkAtMs = nowMs + 2_000 + 3_500 * Math.random();
    this.draw(Math.round(this.opening * (this.mouths.length - 1)), nowMs > this.blinkAtMs);
  }

  draw(mouth, blink) {
    this.lids.setAttribute("visibility", blink ? "visible" : "hidden");
    this.mouths.forEach((node, index) => {
      node.setAttribute("visibility", index === mouth && mouth > 0 ? "visible" : "hidden");
    });
  }
}
