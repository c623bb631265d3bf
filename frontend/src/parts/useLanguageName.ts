import { useTranslation } from "react-i18next";

/** The name of a language (ISO 639-1) in the page's own. */
export function useLanguageName(): (code: string) => string {
  const { i18n } = useTranslation();
  return (code) => {
    try {
      return new Intl.DisplayNames([i18n.language], { type: "language" }).of(code) ?? code;
    } catch {
      return code; // not a code that the browser knows
    }
  };
}
