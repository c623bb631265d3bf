import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { BookOpenText } from "lucide-react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { call } from "../api/http";
import type { PastConversation } from "../api/models";
import { plainOf } from "../conversation/formulas";
import { Empty } from "../parts/Empty";
import { Loading } from "../parts/Loading";
import { Trouble } from "../parts/Trouble";
import { useMoment } from "../parts/useMoment";
import classes from "./HistoryPage.module.css";

const PAGE = 20; // a screen or two

function usePastLessons() {
  return useInfiniteQuery({
    queryKey: ["past lessons"],
    queryFn: ({ pageParam }) => {
      const query = new URLSearchParams({ limit: String(PAGE) });
      if (pageParam) query.set("before", pageParam);
      return call<PastConversation[]>("GET", `/api/student/conversations?${query}`);
    },
    initialPageParam: "",
    getNextPageParam: (page) => (page.length < PAGE ? undefined : page.at(-1)?.id),
    staleTime: 0, // a lesson may have been going on since
  });
}

export default function HistoryPage() {
  const { t } = useTranslation();
  return (
    <div className={classes.page}>
      <h1>{t("history.title")}</h1>
      <Lessons />
    </div>
  );
}

function Lessons() {
  const { t } = useTranslation();
  const lessons = usePastLessons();
  if (lessons.isPending) return <Loading />;
  if (lessons.isError) return <Trouble error={lessons.error} retry={lessons.refetch} />;
  const all = lessons.data.pages.flat();
  if (!all.length) {
    return (
      <Empty
        icon={<BookOpenText size={36} aria-hidden />}
        title={t("history.empty")}
        hint={t("history.emptyHint")}
      />
    );
  }
  return (
    <>
      <ul className={classes.lessons}>
        {all.map((lesson) => (
          <li key={lesson.id}>
            <Entry lesson={lesson} />
          </li>
        ))}
      </ul>
      {lessons.hasNextPage && (
        <Button variant="light" loading={lessons.isFetchingNextPage} onClick={() => lessons.fetchNextPage()}>
          {t("history.more")}
        </Button>
      )}
    </>
  );
}

function Entry({ lesson }: { lesson: PastConversation }) {
  const { t } = useTranslation();
  const moment = useMoment();
  return (
    <Link className={classes.lesson} to={`/history/${lesson.id}`} state={lesson}>
      <span className={classes.when}>
        {moment(lesson.started_at)}
        {lesson.status === "active" && <span className={classes.now}>{t("history.now")}</span>}
      </span>
      <span className={classes.who}>{t("history.with", { name: lesson.tutor_name })}</span>
      {lesson.last_words && <span className={classes.words}>{plainOf(lesson.last_words)}</span>}
    </Link>
  );
}
