import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { MantineProvider } from "@mantine/core";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, test, vi } from "vitest";
import { speak, startWords } from "../i18n";
import { en } from "../i18n/en";
import { Notices } from "./Notices";

vi.stubGlobal("document", { documentElement: {} });
vi.stubGlobal("navigator", { languages: ["en"] });
startWords();

const ENGINES = "The language model `m` failed. Look at its log.";

function shown(language: "zh" | "en", code: string, sentence: string): string {
  speak(language);
  const notices = [{ key: 1, code, sentence }];
  return renderToStaticMarkup(
    <MantineProvider>
      <Notices notices={notices} dismiss={() => {}} />
    </MantineProvider>,
  ).replace(/^.*?<p>(.*?)<\/p>.*$/s, "$1");
}

test("what goes wrong at the engine is said in the reader's language", () => {
  expect(shown("zh", "engine_failed", ENGINES)).toBe(
    "老师的一个部分出了问题，请再问一次。如果还是这样，请告诉你的老师。",
  );
  expect(shown("en", "engine_failed", ENGINES)).toBe(ENGINES);
  expect(shown("en", "engine_failed", "")).toMatch(/^A part of the tutor failed/);
});

test("what the page has no words for is quoted, or at least named", () => {
  expect(shown("zh", "brand_new", "Something new.")).toBe("Something new.");
  expect(shown("zh", "brand_new", "")).toContain("brand_new");
});

test("why a lesson is refused stands under words of the page", () => {
  expect(shown("zh", "lesson_refused", "All 10 places are taken.")).toBe(
    "现在还不能上课。 All 10 places are taken.",
  );
  expect(shown("zh", "lesson_refused", "")).toBe("现在还不能上课。");
});

test("the page has words for codes that there are", () => {
  const told = readFileSync(resolve(import.meta.dirname, "../../../docs/wire.md"), "utf8");
  expect(Object.keys(en.fault).filter((code) => !told.includes(`\`${code}\``))).toEqual([]);
});
