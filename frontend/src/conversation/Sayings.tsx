import { UnstyledButton } from "@mantine/core";
import { ArrowDown, AudioLines } from "lucide-react";
import { memo, type ReactNode, useCallback, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Markdown } from "./Markdown";
import classes from "./Sayings.module.css";
import { Sources } from "./Sources";
import type { Bubble } from "./view";

const NEAR_PX = 80; // so near the end, the reader wants to see what comes

/** What was said. With `follow`, it scrolls by itself, and stays where a reader has scrolled back. */
export function Sayings({ bubbles, follow = false }: { bubbles: Bubble[]; follow?: boolean }) {
  const list = (
    <ol className={classes.sayings}>
      {bubbles.map((bubble) => (
        <Saying key={bubble.key} bubble={bubble} />
      ))}
    </ol>
  );
  return follow ? <Following asked={questionsIn(bubbles)}>{list}</Following> : list;
}

const questionsIn = (bubbles: Bubble[]) => bubbles.filter(({ role }) => role === "user").length;

/** Keeps its end in sight while it grows; a new question brings it back there. */
function Following({ asked, children }: { asked: number; children: ReactNode }) {
  const { t } = useTranslation();
  const frame = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const [isAtEnd, setIsAtEnd] = useState(true);
  const toEnd = useCallback(() => {
    const node = frame.current;
    if (node) node.scrollTop = node.scrollHeight;
  }, []);
  const scrolled = () => {
    const node = frame.current;
    if (!node) return;
    atEnd.current = node.scrollHeight - node.scrollTop - node.clientHeight < NEAR_PX;
    setIsAtEnd(atEnd.current);
  };
  useEffect(() => {
    const list = frame.current?.firstElementChild;
    if (!list) return;
    const observer = new ResizeObserver(() => atEnd.current && toEnd());
    observer.observe(list);
    return () => observer.disconnect();
  }, [toEnd]);
  useEffect(() => {
    if (asked) toEnd();
  }, [asked, toEnd]);
  return (
    <div className={classes.frame}>
      <section
        className={classes.scroll}
        ref={frame}
        onScroll={scrolled}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must be able to scroll it
        tabIndex={0}
        aria-label={t("lesson.chat")}
      >
        {children}
      </section>
      {!isAtEnd && (
        <UnstyledButton className={classes.latest} onClick={toEnd} aria-label={t("lesson.latest")}>
          <ArrowDown size={18} aria-hidden />
        </UnstyledButton>
      )}
    </div>
  );
}

const Saying = memo(function Saying({ bubble }: { bubble: Bubble }) {
  const { t } = useTranslation();
  const { role, text, state, spoken, sources } = bubble;
  if (role === "assistant") {
    return (
      <li className={classes.answer} data-state={state}>
        <Markdown text={text} />
        {state === "cut" && <p className={classes.note}>{t("lesson.cut")}</p>}
        <Sources items={sources} />
      </li>
    );
  }
  return (
    <li className={classes.question} data-state={state}>
      <span className="unseen">{t("lesson.you")}: </span>
      {spoken && <AudioLines size={16} role="img" aria-label={t("lesson.spoken")} />}
      <span>{text}</span>
      {state === "waiting" && <p className={classes.note}>{t("lesson.waiting")}</p>}
    </li>
  );
});
