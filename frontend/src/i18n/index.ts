import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import type { accountEn } from "./account.en";
import type { adminEn } from "./admin.en";
import { en } from "./en";
import { zh } from "./zh";

export type Language = "zh" | "en";

const KEY = "tutor.language";

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof en; admin: typeof adminEn; account: typeof accountEn };
  }
}

function kept(): Language | null {
  try {
    const language = localStorage.getItem(KEY);
    return language === "zh" || language === "en" ? language : null;
  } catch {
    return null;
  }
}

/** The first of the browser's languages that this page speaks. */
export function languageOf(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    if (tag.toLowerCase().startsWith("zh")) return "zh";
    if (tag.toLowerCase().startsWith("en")) return "en";
  }
  return "en";
}

function told(language: string): void {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.title = i18next.t("app.name");
}

export function startWords(): void {
  i18next.on("languageChanged", told);
  void i18next.use(initReactI18next).init({
    resources: { en: { translation: en }, zh: { translation: zh } },
    lng: kept() ?? languageOf(navigator.languages),
    fallbackLng: "en",
    interpolation: { escapeValue: false }, // React escapes
    initAsync: false,
  });
}

/** The words of pages that are loaded later, in both languages. */
export function addWords(namespace: "admin" | "account", english: object, chinese: object): void {
  i18next.addResourceBundle("en", namespace, english);
  i18next.addResourceBundle("zh", namespace, chinese);
}

/** In which the page speaks now; the web server is asked to answer in it. */
export function spoken(): Language {
  return i18next.language === "zh" ? "zh" : "en";
}

export function speak(language: Language): void {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // Without storage the choice ends with the page.
  }
  void i18next.changeLanguage(language);
}
