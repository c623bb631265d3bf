import { useTranslation } from "react-i18next";
import classes from "./CaptionBoard.module.css";
import { sentenceOf } from "./formulas";
import { Markdown } from "./Markdown";
import type { View } from "./view";

/** What is being said, in time with the voice, as chalk on a board. */
export function CaptionBoard({ caption }: Pick<View, "caption">) {
  const { t } = useTranslation();
  return (
    <section className={classes.board} aria-label={t("lesson.captions")}>
      <div
        className={classes.chalk}
        data-mine={caption.mine || undefined}
        aria-live={caption.mine ? "off" : "polite"}
      >
        {caption.mine ? caption.text : <Markdown text={sentenceOf(caption.text)} />}
      </div>
    </section>
  );
}
