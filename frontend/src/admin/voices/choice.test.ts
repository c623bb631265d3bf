import { expect, test } from "vitest";
import { enginesOf, languagesOf, wanted } from "./choice";

const voices = [
  { name: "Claribel", engine: "coqui", language: null },
  { name: "Thorsten", engine: "coqui", language: "de" },
  { name: "f3", engine: "espeak-ng", language: null },
];
const names = (found: typeof voices) => found.map(({ name }) => name);

test("a voice is found by a part of its name, in any capitals", () => {
  expect(names(wanted(voices, " THOR ", null))).toEqual(["Thorsten"]);
  expect(wanted(voices, "nobody", null)).toEqual([]);
});

test("one that speaks every language speaks the wanted one as well", () => {
  expect(names(wanted(voices, "", "de"))).toEqual(["Claribel", "Thorsten", "f3"]);
  expect(names(wanted(voices, "", "fr"))).toEqual(["Claribel", "f3"]);
});

test("voices stand with their engine, in the order in which they came", () => {
  expect(enginesOf(voices).map(([engine, own]) => [engine, own.length])).toEqual([
    ["coqui", 2],
    ["espeak-ng", 1],
  ]);
});

test("only languages that set voices apart are named", () => {
  expect(languagesOf(voices)).toEqual(["de"]);
});
