// Models write formulas in several ways, and money with the sign of formulas.

const CODE = /(```[\s\S]*?(?:```|$)|~~~[\s\S]*?(?:~~~|$)|`[^`\n]*`)/;
const DISPLAYED = /\\\[([\s\S]+?)\\\]/g;
const INLINE = /\\\(([^\n]+?)\\\)/g;
// `$$…$$`, or `$…$` with no space inside its ends and no digit after it; any other `$` is money.
const DOLLARS = /\$\$[\s\S]+?\$\$|\$(?![\s$])(?:\\.|[^$\\\n])*?(?<!\s)\$(?!\d)|\\\$|\$/g;

/** The same text with every formula between dollars, and every other dollar sign escaped. */
export function dollarsOf(markdown: string): string {
  const parts = markdown.split(CODE);
  // Odd ones are code: nothing in them is a formula.
  return parts.map((part, index) => (index % 2 ? part : proseOf(part))).join("");
}

function proseOf(text: string): string {
  return text
    .replace(DISPLAYED, (_, formula: string) => `\n$$\n${formula.trim()}\n$$\n`)
    .replace(INLINE, (_, formula: string) => `$${formula.trim()}$`)
    .replace(DOLLARS, (found) => (found === "$" ? "\\$" : found));
}

/** A sentence out of a list or a heading, by itself. */
export function sentenceOf(markdown: string): string {
  return markdown.trim().replace(/^(?:[-*+>]\s+|#{1,6}\s+|\d+[.)]\s+)+/, "");
}

/** A line of a list: without the signs that would make it bold, code or a formula. */
export function plainOf(markdown: string): string {
  return sentenceOf(markdown).replace(/[*`$]/g, "");
}

/** What a text needs beyond plain Markdown. */
export function needsOf(dollars: string): { formulas: boolean; code: boolean } {
  const prose = dollars.split(CODE).filter((_, index) => index % 2 === 0);
  return { formulas: prose.some((part) => /(?<!\\)\$/.test(part)), code: /```|~~~/.test(dollars) };
}
