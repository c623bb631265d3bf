import { describe, expect, test } from "vitest";
import { dollarsOf, needsOf, plainOf, sentenceOf } from "./formulas";

describe("formulas", () => {
  test.each([
    ["Let \\(x^2\\) be.", "Let $x^2$ be."],
    ["So \\[ a+b \\] holds", "So \n$$\na+b\n$$\n holds"],
    ["Let $x^2$ be, and $$y$$.", "Let $x^2$ be, and $$y$$."],
    ["It costs $5 and $10.", "It costs \\$5 and \\$10."],
    ["From $5 to $x$.", "From \\$5 to $x$."],
    ["Already \\$5.", "Already \\$5."],
    ["Half of $x^", "Half of \\$x^"],
    ["Use `$HOME` and `\\(x\\)`.", "Use `$HOME` and `\\(x\\)`."],
    ["```sh\necho $A $B\n```\n$x$", "```sh\necho $A $B\n```\n$x$"],
    ["```sh\necho $A $B", "```sh\necho $A $B"],
  ])("%j becomes %j", (markdown, dollars) => {
    expect(dollarsOf(markdown)).toBe(dollars);
  });

  test.each([
    ["- At sea level.", "At sea level."],
    ["## 2. Heat", "Heat"],
    ["-5 degrees", "-5 degrees"],
    ["3.5 metres", "3.5 metres"],
  ])("the sentence of %j is %j", (markdown, sentence) => {
    expect(sentenceOf(markdown)).toBe(sentence);
  });

  test("are plain words in a list", () => {
    expect(plainOf("- So **that** is `x`, or $x$.")).toBe("So that is x, or x.");
  });

  test("and code are loaded when they are needed", () => {
    const needs = (text: string) => needsOf(dollarsOf(text));
    expect(needs("plain, for $5")).toEqual({ formulas: false, code: false });
    expect(needs("$x$")).toEqual({ formulas: true, code: false });
    expect(needs("```sh\necho $A\n```")).toEqual({ formulas: false, code: true });
  });
});
