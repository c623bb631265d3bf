import { expect, test } from "vitest";
import { base64Of, LIMIT_BYTES, troubleOf } from "./recording";
import { samplePath } from "./sample";

test.each([
  [1_000, 2.9, "tooShort"],
  [1_000, 3, null],
  [1_000, 30, null],
  [1_000, 30.1, "tooLong"],
  [1_000, null, null],
  [LIMIT_BYTES + 1, 5, "tooLarge"],
])("a recording of %i bytes and %s s: %s", (bytes, seconds, trouble) => {
  expect(troubleOf(bytes, seconds)).toBe(trouble);
});

test("a long recording is all there in base64", async () => {
  const bytes = Uint8Array.from({ length: 100_001 }, (_, index) => index % 251);
  const back = Uint8Array.from(atob(await base64Of(new Blob([bytes]))), (letter) => letter.charCodeAt(0));
  expect(back).toEqual(bytes);
});

test("a voice is heard under its name, and the usual one without", () => {
  expect(samplePath("梅/Li", { language: "zh", rate: 1.5 })).toBe(
    "/api/admin/voices/%E6%A2%85%2FLi/sample?language=zh&rate=1.5",
  );
  expect(samplePath("", { language: null })).toBe("/api/admin/voices/sample?");
});
