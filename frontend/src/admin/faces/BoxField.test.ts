import { describe, expect, test } from "vitest";
import { boxAround, moved, textOf, USUAL_BOX } from "./BoxField";

describe("a box", () => {
  test("is drawn from any corner, and not by a slip", () => {
    expect(boxAround([0.7, 0.2], [0.3, 0.6])).toEqual([0.3, 0.2, 0.7, 0.6]);
    expect(boxAround([0.3, 0.2], [0.32, 0.6])).toBeNull();
  });

  test("keeps its sides in order and inside of the picture", () => {
    expect(moved(USUAL_BOX, 1, 0.1)).toEqual([0.34, 0.1, 0.66, 0.69]);
    expect(moved([0.3, 0.2, 0.7, 0.6], 0, 0.9)[0]).toBeCloseTo(0.65);
    expect(moved([0.3, 0.2, 0.7, 0.6], 3, 7)[3]).toBe(1);
  });

  test("is told as the engine reads it", () => {
    expect(textOf([0, 1 / 3, 1, 0.5])).toBe("0.000,0.333,1.000,0.500");
  });
});
