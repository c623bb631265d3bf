import { CloseButton } from "@mantine/core";
import { Info } from "lucide-react";
import { useTranslation } from "react-i18next";
import { en } from "../i18n/en";
import classes from "./Notices.module.css";
import type { Notice } from "./view";

type Known = keyof typeof en.notice;

const isKnown = (code: string): code is Known => code in en.notice;

/** What is not as it should be, and what to do about it. */
export function Notices({ notices, dismiss }: { notices: Notice[]; dismiss: (key: number) => void }) {
  const { t } = useTranslation();
  const sentence = ({ code, sentence: given }: Notice) => {
    // The page's own words are in the reader's language; a refused lesson's reason is only the server's.
    if (code === "lesson_refused") return given || t("notice.lesson_refused");
    return isKnown(code) ? t(`notice.${code}`) : given || t("notice.other", { code });
  };
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
