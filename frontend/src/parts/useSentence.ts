import { useTranslation } from "react-i18next";
import { Refusal } from "../api/http";

/** An error as a sentence that says what to do. */
export function useSentence(): (error: unknown) => string {
  const { t } = useTranslation();
  return (error) => {
    if (!(error instanceof Refusal)) return t("app.broken");
    if (error.status === 0) return t("refusal.away");
    if (error.status === 429 && error.retryAfterS) return t("refusal.busy", { seconds: error.retryAfterS });
    return error.message || t("refusal.other", { status: error.status });
  };
}
