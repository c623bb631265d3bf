import { expect, test } from "vitest";
import { Downsampler } from "./downsampler";
import { loudness } from "./loudness";

const BLOCK = 128; // as the browser's audio thread gives it

function through(fromHz: number, toneHz: number, seconds: number): Float32Array {
  const downsampler = new Downsampler(fromHz, 16_000);
  const out: number[] = [];
  for (let start = 0; start < fromHz * seconds; start += BLOCK) {
    const block = Float32Array.from({ length: BLOCK }, (_, index) =>
      Math.sin((2 * Math.PI * toneHz * (start + index)) / fromHz),
    );
    out.push(...downsampler.feed(block));
  }
  return Float32Array.from(out);
}

test.each([48_000, 44_100, 16_000])("from %d Hz come 16,000 samples a second", (fromHz) => {
  expect(Math.abs(through(fromHz, 440, 1).length - 16_000)).toBeLessThan(200);
});

test("a voice's tone keeps its loudness", () => {
  expect(loudness(through(48_000, 1_000, 0.5).slice(400))).toBeCloseTo(Math.SQRT1_2, 2);
});

test("what 16 kHz cannot carry is left out, and does not come back as another tone", () => {
  expect(loudness(through(48_000, 11_000, 0.5).slice(400))).toBeLessThan(0.01);
});
