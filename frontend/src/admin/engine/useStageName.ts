import { useTranslation } from "react-i18next";

const KNOWN = ["asr", "llm", "tts", "avatar", "knowledge"] as const;

/** A stage of the engine's health in words; one of a tutor's own model keeps its name. */
export function useStageName(): (stage: string) => string {
  const { t } = useTranslation("admin");
  return (stage) => {
    const known = KNOWN.find((name) => name === stage);
    return known ? t(`stage.${known}`) : stage;
  };
}
