import { useTranslation } from "react-i18next";

/** A moment (ISO 8601) in the reader's own time and language. */
export function useMoment(): (iso: string) => string {
  const { i18n } = useTranslation();
  return (iso) => new Date(iso).toLocaleString(i18n.language, { dateStyle: "medium", timeStyle: "short" });
}
