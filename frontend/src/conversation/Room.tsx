import { Button } from "@mantine/core";
import { DoorOpen } from "lucide-react";
import { useCallback, useEffect } from "react";
import { useTranslation } from "react-i18next";
import { useNavigate } from "react-router";
import type { TutorCard } from "../api/models";
import { CaptionBoard } from "./CaptionBoard";
import { Composer } from "./Composer";
import { Controls } from "./Controls";
import type { Classroom } from "./classroom";
import { Notices } from "./Notices";
import classes from "./Room.module.css";
import { Sayings } from "./Sayings";
import { Stage } from "./Stage";
import { useClassroom } from "./useClassroom";
import { useKeys } from "./useKeys";

/** A lesson: the tutor's face, what is being said, the conversation, and ways to speak. */
export function Room({ tutor, userId }: { tutor: TutorCard; userId: number }) {
  const { classroom, view } = useClassroom(tutor, userId);
  useStartAfterClick(classroom);
  useKeys(classroom);
  if (!classroom) return null;
  return (
    <div className={classes.room}>
      <h1 className="unseen">
        <Title tutor={tutor} />
      </h1>
      <section className={classes.front}>
        <Stage tutor={tutor} classroom={classroom} view={view} />
        <CaptionBoard caption={view.caption} />
        <Controls classroom={classroom} view={view} />
      </section>
      <Book tutor={tutor} classroom={classroom} view={view} />
    </div>
  );
}

type Here = { tutor: TutorCard } & ReturnType<typeof useClassroom>;

function Book({ tutor, classroom, view }: Here) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const end = async () => {
    await classroom?.end();
    navigate("/");
  };
  if (!classroom) return null;
  return (
    <section className={classes.book}>
      <header className={classes.head}>
        <span>
          <strong className={classes.name}>{tutor.name}</strong>
          <span className={classes.subject}>{tutor.subject}</span>
        </span>
        <Button
          variant="subtle"
          size="compact-md"
          onClick={end}
          leftSection={<DoorOpen size={17} aria-hidden />}
        >
          {t("lesson.end")}
        </Button>
      </header>
      <Notices notices={view.notices} dismiss={classroom.dismiss} />
      <div className={classes.log}>
        {view.bubbles.length ? (
          <Sayings bubbles={view.bubbles} follow />
        ) : (
          <p className={classes.empty}>{t("lesson.empty", { name: tutor.name })}</p>
        )}
      </div>
      <Answers view={view} />
      <Composer name={tutor.name} say={classroom.say} disabled={view.link === "off"} />
    </section>
  );
}

function Title({ tutor }: { tutor: TutorCard }) {
  const { t } = useTranslation();
  return <>{t("lesson.title", { name: tutor.name })}</>;
}

/** For screen readers, whole answers; where there are captions those are read instead. */
function Answers({ view }: Pick<Here, "view">) {
  const answer = view.bubbles.findLast(({ role }) => role === "assistant");
  const isRead = answer?.state === "whole" && !view.features.includes("captions");
  return (
    <p className="unseen" aria-live="polite">
      {isRead ? answer.text : ""}
    </p>
  );
}

/** Browsers let a page sound after a click: the one that led here counts, an address opened directly not. */
function useStartAfterClick(classroom: Classroom | null): void {
  const start = useCallback(() => {
    if (navigator.userActivation?.hasBeenActive) void classroom?.start();
  }, [classroom]);
  useEffect(start, [start]);
}
