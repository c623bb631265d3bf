import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { Link, useLocation, useParams } from "react-router";
import { messagesOf } from "../api/lessons";
import type { PastConversation } from "../api/models";
import { Sayings } from "../conversation/Sayings";
import { BLANK, next } from "../conversation/view";
import { Loading } from "../parts/Loading";
import { Trouble } from "../parts/Trouble";
import { useMoment } from "../parts/useMoment";
import classes from "./HistoryPage.module.css";

export default function PastLessonPage() {
  const { t } = useTranslation();
  const moment = useMoment();
  const { conversationId = "" } = useParams();
  // The list hands its entry over; whoever comes by the address alone sees what was said all the same.
  const lesson = useLocation().state as PastConversation | null;
  return (
    <div className={classes.page}>
      <Link className={classes.back} to="/history">
        {t("history.back")}
      </Link>
      <h1>{lesson ? t("history.with", { name: lesson.tutor_name }) : t("lesson.chat")}</h1>
      {lesson && <span className={classes.when}>{moment(lesson.started_at)}</span>}
      <Said conversationId={conversationId} />
      {lesson && (
        <Button component={Link} to={`/lesson/${lesson.tutor_id}`}>
          {t("history.again", { name: lesson.tutor_name })}
        </Button>
      )}
    </div>
  );
}

function Said({ conversationId }: { conversationId: string }) {
  const { t } = useTranslation();
  const messages = useQuery({
    queryKey: ["messages", conversationId],
    queryFn: () => messagesOf(conversationId),
    staleTime: 0, // it may still be going on
  });
  if (messages.isPending) return <Loading />;
  if (messages.isError) return <Trouble error={messages.error} retry={messages.refetch} />;
  if (!messages.data.length) return <p>{t("history.silent")}</p>;
  const { bubbles } = next(BLANK, { type: "history", messages: messages.data });
  return (
    <div className={classes.log}>
      <Sayings bubbles={bubbles} />
    </div>
  );
}
