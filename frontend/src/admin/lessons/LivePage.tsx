import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { RadioTower } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { call } from "../../api/http";
import { Empty } from "../../parts/Empty";
import { useMoment } from "../../parts/useMoment";
import type { LiveSession } from "../models";
import { Confirm } from "../parts/Confirm";
import { Head } from "../parts/Head";
import { Loaded } from "../parts/Loaded";
import parts from "../parts/Parts.module.css";
import { LIVE, useChange } from "../queries";

/** Who is talking with whom, looked at every few seconds. */
export function LivePage() {
  const { t } = useTranslation("admin");
  return (
    <>
      <Head title={t("lessons.title")} hint={t("lessons.hint")} />
      <Loaded query={useQuery(LIVE)}>{(live) => <Lessons live={live} />}</Loaded>
    </>
  );
}

function Lessons({ live }: { live: LiveSession[] }) {
  const { t } = useTranslation("admin");
  const [ending, setEnding] = useState<LiveSession | null>(null);
  const end = useChange((id: string) => call("DELETE", `/api/admin/sessions/${id}`), [LIVE.queryKey]);
  if (!live.length) {
    return (
      <Empty
        icon={<RadioTower size={36} aria-hidden />}
        title={t("lessons.empty")}
        hint={t("lessons.emptyHint")}
      />
    );
  }
  return (
    <>
      <ul className={parts.rows}>
        {live.map((session) => (
          <li key={session.id} className={parts.row}>
            <Lesson session={session} />
            <Button variant="default" size="xs" onClick={() => setEnding(session)}>
              {t("lessons.end")}
            </Button>
          </li>
        ))}
      </ul>
      {ending && (
        <Confirm
          title={t("lessons.endTitle")}
          hint={t("lessons.endHint", { student: ending.student_name, tutor: ending.tutor_name })}
          yes={t("lessons.end")}
          act={() => end.mutateAsync(ending.id)}
          close={() => setEnding(null)}
        />
      )}
    </>
  );
}

function Lesson({ session }: { session: LiveSession }) {
  const { t } = useTranslation("admin");
  const moment = useMoment();
  const { student_name: student, tutor_name: tutor } = session;
  return (
    <span>
      <span className={parts.who}>{t("lessons.who", { student, tutor })}</span>
      <span className={parts.facts}>
        <span>{t("lessons.since", { moment: moment(session.started_at) })}</span>
        <span>{t("lessons.last", { moment: moment(session.last_activity) })}</span>
      </span>
    </span>
  );
}
