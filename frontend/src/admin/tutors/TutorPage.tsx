import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { MessagesSquare, Trash2 } from "lucide-react";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Link, useLocation, useNavigate, useParams } from "react-router";
import { call } from "../../api/http";
import classes from "../knowledge/Knowledge.module.css";
import type { Tutor, TutorWish } from "../models";
import { Confirm } from "../parts/Confirm";
import { Head } from "../parts/Head";
import { Loaded } from "../parts/Loaded";
import { Notes } from "../parts/Notes";
import { TUTORS, tutorQuery, useChange } from "../queries";
import { TutorForm } from "./TutorForm";

const NEW = "new";
const SHOWN = [TUTORS.queryKey, ["tutors"]]; // to administrators, and to students

const EMPTY: TutorWish = {
  name: "",
  subject: "",
  description: "",
  language: null,
  prompt: "",
  model: null,
  voice: { name: "", rate: 1, pitch: 1 },
  face: "anna",
  kb_id: null,
  outside: "say_so",
  published: false,
};

/** One tutor, or a new one. */
export function TutorPage() {
  const { t } = useTranslation("admin");
  const { tutorId = NEW } = useParams();
  return (
    <>
      <Link to="/admin/tutors" className={classes.back}>
        {t("tutors.back")}
      </Link>
      {tutorId === NEW ? <NewTutor /> : <KnownTutor key={tutorId} id={tutorId} />}
    </>
  );
}

function NewTutor() {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const keep = useKeep();
  const make = useChange((wish: TutorWish) => call<Tutor>("POST", "/api/admin/tutors", wish), SHOWN, keep);
  const save = async (wish: TutorWish) => {
    const made = await make.mutateAsync(wish);
    navigate(`/admin/tutors/${made.id}`, { replace: true, state: { notes: made.notes, isSaved: true } });
  };
  return (
    <>
      <Head title={t("tutors.new")} />
      <TutorForm id={NEW} saved={EMPTY} save={save} error={make.error} isSaving={make.isPending} />
    </>
  );
}

/** What a change was answered with is what the tutor is now. */
function useKeep(): (tutor: Tutor) => void {
  const queries = useQueryClient();
  return (tutor) => queries.setQueryData(tutorQuery(String(tutor.id)).queryKey, tutor);
}

function KnownTutor({ id }: { id: string }) {
  return (
    <Loaded query={useQuery({ ...tutorQuery(id), refetchOnWindowFocus: false })}>
      {(tutor) => <OpenTutor tutor={tutor} />}
    </Loaded>
  );
}

function OpenTutor({ tutor }: { tutor: Tutor }) {
  const { t } = useTranslation("admin");
  const before = useLocation().state as { notes?: string[]; isSaved?: boolean } | null;
  const keep = useKeep();
  const save = useChange(
    (wish: TutorWish) => call<Tutor>("PUT", `/api/admin/tutors/${tutor.id}`, wish),
    SHOWN,
    keep,
  );
  const notes = save.data?.notes ?? before?.notes ?? [];
  return (
    <>
      <Head title={tutor.name} hint={tutor.subject}>
        <Button
          component={Link}
          to={`/lesson/${tutor.id}`}
          variant="light"
          leftSection={<MessagesSquare size={16} aria-hidden />}
        >
          {t("tutors.try")}
        </Button>
        <DeleteButton tutor={tutor} />
      </Head>
      <Notes title={t("tutors.notes")} notes={notes} />
      <TutorForm
        id={String(tutor.id)}
        saved={tutor}
        save={(wish) => save.mutateAsync(wish)}
        error={save.error}
        isSaving={save.isPending}
        wasSaved={save.isSuccess || before?.isSaved}
      />
    </>
  );
}

function DeleteButton({ tutor }: { tutor: Tutor }) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const [isAsking, setIsAsking] = useState(false);
  const queries = useQueryClient();
  const remove = async () => {
    await call("DELETE", `/api/admin/tutors/${tutor.id}`);
    navigate("/admin/tutors");
    queries.removeQueries({ queryKey: tutorQuery(String(tutor.id)).queryKey });
    await Promise.all(SHOWN.map((queryKey) => queries.invalidateQueries({ queryKey })));
  };
  return (
    <>
      <Button
        variant="default"
        leftSection={<Trash2 size={16} aria-hidden />}
        onClick={() => setIsAsking(true)}
      >
        {t("tutors.delete")}
      </Button>
      {isAsking && (
        <Confirm
          title={t("tutors.deleteTitle", { name: tutor.name })}
          hint={t("tutors.deleteHint")}
          yes={t("tutors.delete")}
          act={remove}
          close={() => setIsAsking(false)}
        />
      )}
    </>
  );
}
