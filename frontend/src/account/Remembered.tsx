import { Button, Modal } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Eraser } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { call } from "../api/http";
import { TUTORS } from "../pages/TutorsPage";
import { Empty } from "../parts/Empty";
import { Loading } from "../parts/Loading";
import { Trouble } from "../parts/Trouble";
import { useMoment } from "../parts/useMoment";
import type { MemoryPublic } from "../wire/generated";
import classes from "./Account.module.css";
import { Told } from "./Told";

const PATH = "/api/student/memory";
const MEMORY = ["memory"];

/** Of whom it is to be forgotten: one tutor, or all of them. */
type Forgetting = { tutorId: number | null; name: string };

/** What the tutors remember of the person who is logged in. */
export function Remembered() {
  const { t } = useTranslation("account");
  const [forgetting, setForgetting] = useState<Forgetting | null>(null);
  return (
    <section className={classes.sheet}>
      <h2>{t("memory")}</h2>
      <p className={classes.hint}>{t("memoryHint")}</p>
      <Memories forget={setForgetting} />
      {forgetting && <Forget of={forgetting} close={() => setForgetting(null)} />}
    </section>
  );
}

function Memories({ forget }: { forget: (of: Forgetting) => void }) {
  const { t } = useTranslation("account");
  const tutors = useQuery(TUTORS);
  const memories = useQuery({
    queryKey: MEMORY,
    queryFn: () => call<MemoryPublic[]>("GET", PATH),
    staleTime: 0, // a lesson may have been going on since
  });
  if (memories.isPending) return <Loading />;
  if (memories.isError) return <Trouble error={memories.error} retry={memories.refetch} />;
  if (!memories.data.length) {
    return <Empty icon={<Eraser size={36} aria-hidden />} title={t("nothing")} hint={t("nothingHint")} />;
  }
  const nameOf = (id: number) => tutors.data?.find((tutor) => tutor.id === id)?.name ?? t("aTutor");
  return (
    <>
      {memories.data.map((memory) => (
        <Memory
          key={memory.tutor_id}
          memory={memory}
          name={nameOf(memory.tutor_id)}
          forget={() => forget({ tutorId: memory.tutor_id, name: nameOf(memory.tutor_id) })}
        />
      ))}
      <Button variant="light" color="clay" onClick={() => forget({ tutorId: null, name: "" })}>
        {t("forgetAll")}
      </Button>
    </>
  );
}

function Memory({ memory, name, forget }: { memory: MemoryPublic; name: string; forget: () => void }) {
  const { t } = useTranslation("account");
  const moment = useMoment();
  return (
    <article className={classes.memory}>
      <header>
        <h3>{name}</h3>
        <Button size="xs" variant="default" onClick={forget} aria-label={t("forgetOne", { name })}>
          {t("forget")}
        </Button>
      </header>
      <div className={classes.when}>{t("updated", { moment: moment(memory.updated_at) })}</div>
      {memory.summary && <p>{memory.summary}</p>}
      {memory.facts.length > 0 && (
        <ul className={classes.facts}>
          {memory.facts.map(({ kind, text }) => (
            <li key={`${kind} ${text}`}>
              <span className={classes.kind}>{t(`fact.${kind}`)}</span> {text}
            </li>
          ))}
        </ul>
      )}
      {memory.recent.length > 0 && (
        <>
          <div className={classes.when}>{t("recent")}</div>
          {memory.recent.map(({ role, content }, place) => (
            <p key={place}>
              <span className={classes.kind}>{role === "user" ? t("you") : name}</span> {content}
            </p>
          ))}
        </>
      )}
    </article>
  );
}

function Forget({ of: { tutorId, name }, close }: { of: Forgetting; close: () => void }) {
  const { t } = useTranslation("account");
  const queries = useQueryClient();
  const forget = useMutation({
    mutationFn: () => call("DELETE", tutorId === null ? PATH : `${PATH}?tutor_id=${tutorId}`),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: MEMORY });
      close();
    },
  });
  const title = tutorId === null ? t("forgetAllTitle") : t("forgetTitle", { name });
  return (
    <Modal opened onClose={close} title={title} centered closeButtonProps={{ "aria-label": t("cancel") }}>
      <p>{t("forgetHint")}</p>
      <Told error={forget.error} done={false} />
      <div className={classes.buttons}>
        <Button variant="default" onClick={close} data-autofocus>
          {t("cancel")}
        </Button>
        <Button color="clay" loading={forget.isPending} onClick={() => forget.mutate()}>
          {t("forget")}
        </Button>
      </div>
    </Modal>
  );
}
