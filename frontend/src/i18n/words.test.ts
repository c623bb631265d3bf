import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { accountEn } from "./account.en";
import { accountZh } from "./account.zh";
import { adminEn } from "./admin.en";
import { adminZh } from "./admin.zh";
import { en } from "./en";
import { languageOf } from "./index";
import { zh } from "./zh";

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, before = ""): Map<string, string> {
  const entries = Object.entries(tree).flatMap(([key, value]) =>
    typeof value === "string" ? [[before + key, value] as const] : [...flat(value, `${before}${key}.`)],
  );
  return new Map(entries);
}

const holes = (text: string) => [...text.matchAll(/{{(\w+)}}/g)].map((match) => match[1]).sort();

/** Words, and where the source is that says them. */
const parts: [string, string, Tree, Tree][] = [
  ["of every page", "", en, zh],
  ["of the administration", "admin", adminEn, adminZh],
  ["of one's own account", "account", accountEn, accountZh],
];

function sourceIn(folder: string): string {
  const source = resolve(import.meta.dirname, "..", folder);
  return readdirSync(source, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.tsx?$/.test(name) && !name.startsWith("i18n"))
    .map((name) => readFileSync(resolve(source, name), "utf8"))
    .join("\n");
}

describe.each(parts)("the words %s", (_, folder, one, other) => {
  const english = flat(one);
  const chinese = flat(other);

  test("have the same keys in both languages", () => {
    expect([...chinese.keys()].sort()).toEqual([...english.keys()].sort());
  });

  test("say something, with the same values in them", () => {
    for (const [key, text] of english) {
      expect(text.trim(), key).not.toBe("");
      expect(chinese.get(key)?.trim(), key).toBeTruthy();
      expect(holes(chinese.get(key) ?? ""), key).toEqual(holes(text));
    }
  });

  test("are all used", () => {
    const text = sourceIn(folder);
    // Made of a prefix and a value: `link.${link}`.
    const made = [...text.matchAll(/`(\w+)\.\$\{/g)].map((match) => match[1] ?? "");
    const unused = [...english.keys()].filter((key) => {
      const plain = key.replace(/_(one|other)$/, "");
      return !text.includes(`"${plain}"`) && !made.includes(key.split(".")[0] ?? "");
    });
    expect(unused).toEqual([]);
  });
});

describe("the words", () => {
  test("are those of the browser's first language that is spoken here", () => {
    expect(languageOf(["zh-TW", "en"])).toBe("zh");
    expect(languageOf(["fr", "en-GB"])).toBe("en");
    expect(languageOf(["fr"])).toBe("en");
  });
});
