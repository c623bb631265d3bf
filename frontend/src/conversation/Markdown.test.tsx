import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { Markdown } from "./Markdown";

const shown = (text: string) => renderToStaticMarkup(<Markdown text={text} />);

test("lists, tables and emphasis are shown as such", () => {
  expect(shown("**So** it is:\n\n- one")).toMatch(/<strong>So<\/strong>.*<li>one<\/li>/s);
  expect(shown("|a|\n|-|\n|b|")).toContain("<td>b</td>");
});

test("HTML in an answer is text, and no link runs a program", () => {
  expect(shown("<script>alert(1)</script><b>x</b>")).not.toMatch(/<script|<b>/);
  expect(shown("[x](javascript:alert(1))")).not.toContain("javascript");
});

test("a link leads out of the lesson without saying whence", () => {
  expect(shown("[x](https://example.com/)")).toContain(
    '<a href="https://example.com/" target="_blank" rel="noopener noreferrer">x</a>',
  );
});

test("no picture is loaded from elsewhere", () => {
  expect(shown("![a cloud](https://example.com/c.png)")).toContain("a cloud");
  expect(shown("![a cloud](https://example.com/c.png)")).not.toContain("<img");
});
