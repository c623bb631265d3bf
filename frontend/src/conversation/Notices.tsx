import { CloseButton } from "@mantine/core";
import { Info } from "lucide-react";
import { useTranslation } from "react-i18next";
import { en } from "../i18n/en";
import classes from "./Notices.module.css";
import type { Notice } from "./view";

type Known = keyof typeof en.notice;
type Fault = keyof typeof en.fault;

const isKnown = (code: string): code is Known => code in en.notice;
const isFault = (code: string): code is Fault => code in en.fault;

/** What is not as it should be, and what to do about it. */
export function Notices({ notices, dismiss }: { notices: Notice[]; dismiss: (key: number) => void }) {
  const { t } = useTranslation();
  const sentence = useSentenceOf();
  return (
    <div className={classes.notices} role="alert">
      {notices.map((notice) => (
        <div key={notice.key} className={classes.notice}>
          <Info size={18} aria-hidden />
          <p>{sentence(notice)}</p>
          <CloseButton size="sm" onClick={() => dismiss(notice.key)} aria-label={t("notice.dismiss")} />
        </div>
      ))}
    </div>
  );
}

/** In the reader's language wherever the page has words of its own. */
function useSentenceOf(): (notice: Notice) => string {
  const { t, i18n } = useTranslation();
  return ({ code, sentence: given }) => {
    // Why a lesson is refused only the server knows; its words may be the engine's, which are English.
    if (code === "lesson_refused") return `${t("notice.lesson_refused")} ${given}`.trim();
    if (isKnown(code)) return t(`notice.${code}`);
    const own = isFault(code) ? t(`fault.${code}`) : "";
    // The engine's own sentences say more, to those who read English.
    const [first, second] = i18n.language === "en" ? [given, own] : [own, given];
    return first || second || t("notice.other", { code });
  };
}
